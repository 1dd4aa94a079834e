"""Servers that die while a card is charged or captured: one charge, and the right final state."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.areas.payments.card.scene import DECLINED, VISA, charge, recover
from tests.faults.fault import LONG, ROOT, Faults
from tests.faults.saboteur import OUTSIDE_POINTS
from tests.outside.cashier import name
from tests.stage import Party, Reply, Stage, staged

FIRST, ASKED, SECOND = 0, 1, 2
"""The commits: of the payment, of what the test processor has done, and of what it said."""
POINTS = [
    *[(point, FIRST) for point in ("write.after", "commit.before", "commit.during")],
    *[(point, FIRST) for point in ("commit.after", "answer.before", *OUTSIDE_POINTS)],
    *[(point, ASKED) for point in ("verb.after", "commit.before", "commit.during")],
    *[(point, ASKED) for point in ("commit.after", "answer.before")],
    *[(point, SECOND) for point in ("load.after", "verb.after", "write.after", "commit.before")],
    *[(point, SECOND) for point in ("commit.during", "commit.after", "answer.before")],
    ("forget.before", FIRST),
    ("forget.during", FIRST),
]
EVERY_CASE = [(*point, kind) for point in POINTS for kind in ("charge", "decline", "capture")]
CASES = EVERY_CASE if LONG else EVERY_CASE[::5]
"""In `make test` every fifth."""


@pytest.fixture(scope="module")
async def stage(postgres: EmbeddedPostgres) -> AsyncIterator[Stage]:
    """The server that goes on."""
    async with staged(postgres.url) as stage:
        yield stage


async def act(stage: Stage, key: str, route: str, body: str, faults: Faults) -> int:
    """Have another server be asked for something; gives how it ended."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.outside.cashier", stage.url, key, route, body],
        cwd=ROOT,
        env=os.environ | faults.environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    return await asyncio.wait_for(process.wait(), 60)


async def asked_for(stage: Stage, party: Party, kind: str) -> tuple[str, str]:
    """What is asked for, on a stage that is set for it."""
    if kind == "capture":
        held = await charge(stage, party, capture=False)
        return f"POST /payments/{held['id']}/capture", json.dumps({"amount": "40.00"})
    method = VISA if kind == "charge" else DECLINED
    body = {"amount": "100.00", "currency": "usd", "payment_method": method}
    return "POST /payments/create", json.dumps(body)


def what_became(payment: dict[str, Any], reply: Reply, kind: str, *, done: bool) -> None:
    """See that a payment is what its processor says, and that the answer says so."""
    if not done and kind == "capture":
        assert (payment["status"], payment["amount_captured"]) == ("requires_capture", 0)
        assert (reply.status, reply.error["code"]) == (402, "processing_error")
        return
    failed = not done or kind == "decline"
    assert payment["status"] == ("failed" if failed else "succeeded")
    if failed:
        code = "card_declined" if done else "processing_error"
        assert (reply.status, reply.error["code"], payment["failure_code"]) == (402, code, code)
        assert reply.error["payment"] == payment["id"]
    else:
        assert reply.status == (201 if kind == "charge" else 200)
        assert payment["amount_captured"] == (10_000 if kind == "charge" else 4_000)
        assert reply.json["net"] == ("96.80" if kind == "charge" else "38.54")


@pytest.mark.parametrize(("point", "passes", "kind"), CASES)
async def test_a_server_that_dies_anywhere_charges_once(
    stage: Stage, tmp_path: Path, point: str, passes: int, kind: str
) -> None:
    party, faults = await stage.open_account(), Faults(tmp_path)
    route, body = await asked_for(stage, party, kind)
    faults.arm(point, passes)
    assert await act(stage, party.key, route, body, faults) == -signal.SIGKILL
    assert not faults.is_armed(point)

    await recover(stage, 61)
    await recover(stage, 61)
    reply, again = [
        await stage.ask(route, party.key, body, Idempotency_Key=name(route, body)) for _ in range(2)
    ]

    query = "SELECT * FROM payment WHERE account = $1 AND id <> 'pay_test_456'"
    (payment,) = await stage.rows(query, party.id)
    query = "SELECT * FROM test_call WHERE account = $1 AND asked = $2 AND id <> 'pay_test_456'"
    asked = "capture" if kind == "capture" else "charge"
    notes = await stage.rows(query, party.id, asked)
    assert len(notes) <= 1, "the processor was asked twice"
    done = any(note["verdict"] for note in notes)
    what_became(payment, reply, kind, done=done)
    assert payment["unknown_since"] is None
    assert (again.status, again.body) == (reply.status, reply.body)
    assert again.headers["idempotent-replayed"] == "true"
    query = """SELECT booking FROM ledger_transaction
        WHERE account = $1 AND source = $2"""
    booked = [row["booking"] for row in await stage.rows(query, party.id, payment["id"])]
    assert booked == (["paid"] if payment["status"] == "succeeded" else [])
    await stage.audit()
