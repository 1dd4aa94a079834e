"""Schemathesis, let loose on the OpenAPI document and a running server.

Whole, it takes longer than any other test, so each part of the document is a file of its own.
`TEST_EXAMPLES` is how many requests it makes up for an operation. `make fuzz` raises it, and goes
through every boundary of every parameter as well, which takes minutes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.client import Client
from tests.process import Server, environment

EXCLUDED = {
    "positive_data_acceptance": "a document says the form of a request; whether its meaning holds"
    " (an address's checksum, one cursor of two, a key used before) the product decides",
}
EXAMPLES = os.environ.get("TEST_EXAMPLES", "8")
PHASES = "examples,coverage,fuzzing" if "TEST_EXAMPLES" in os.environ else "examples,fuzzing"
SECONDS_MAX = 150 + 30 * int(EXAMPLES)
STABLECOIN = "^/v1/stablecoin"
MONEY = "^/v1/(payments|refunds|disputes|payouts|balance|tokens)"
"""The parts that are fuzzed apart; the rest is fuzzed together."""


def fund(server: Server) -> None:
    """Mint enough that requests which move money get as far as moving it."""
    body = {"recipient": server.sandbox["wallet"], "amount": "1000000.00", "reference_id": "fuzz"}

    async def issue() -> int:
        async with Client(server.url, server.sandbox["secret_key"]) as client:
            return (await client.settle("POST /stablecoin/issue", body)).status

    assert asyncio.run(issue()) == 201


def finds_nothing(server: Server, folder: Path, *which: str) -> None:
    """See that it finds nothing in the paths that these options choose."""
    fund(server)
    ran = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run"),
            *(f"{server.url}/openapi.json", "--no-color", "--warnings", "off"),
            *("-H", f"Authorization: Bearer {server.sandbox['secret_key']}"),
            *("--checks", "all", "--exclude-checks", ",".join(EXCLUDED)),
            *("--phases", PHASES, "--max-examples", EXAMPLES, "--seed", "1"),
            *("--max-failures", "20", *which),
        ],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert "No issues found" in ran.stdout
    broken = [line for line in server.lines if line.get("level") == "error"]
    assert broken == []
