"""`python -m bench.growth`: the same load on a ledger that has grown, and what growing costs."""

import argparse
import asyncio
import http.client
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bench.loader import LoadResult, percentile
from bench.measure import Server, serving
from bench.pgbench import query
from bench.report import machine, table
from bench.seed import seed
from bench.transfers import (
    Run,
    announce,
    database_url,
    load_command,
    measured,
    temporary_folder,
    watch_loader,
)

RESULTS = Path(__file__).parent / "RESULTS.md"
READS = 300
FILL_SECONDS = 20


@dataclass(frozen=True)
class Grown:
    """What was measured at one size."""

    entries: int
    transfers: int
    bytes: int
    load: LoadResult
    verify_seconds: float
    reads_ms: dict[str, tuple[float, float]]
    """p50 and p99 of each read, one after the other."""


def main() -> None:
    """Grow a ledger to each of the sizes that the command line names, and measure there."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--entries", type=int, nargs="+", default=[0, 1_000_000, 5_000_000])
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--wallets", type=int, default=10_000)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run = Run(arguments.seconds, arguments.wallets)
    with temporary_folder() as folder:
        data_dir = folder / "data"
        with serving(data_dir, {"COMMERCE_VERIFY_HOURS": "0"}) as server:
            url = database_url(data_dir)
            wallets = asyncio.run(seed(data_dir, url, run.wallets))
            sizes = [at_size(run, size, server, wallets, url) for size in arguments.entries]
            memory = server.memory_mb_max()
    section = markdown(run, sizes, memory)
    sys.stdout.write(section)
    with RESULTS.open("a") as results:
        results.write(f"\n{section}")


def at_size(run: Run, size: int, server: Server, wallets: Path, url: str) -> Grown:
    """Fill a ledger up to so many entries by batches, and measure."""
    while int(query(url, "SELECT count(*) FROM ledger_entry")) < size:
        announce(f"growing to {size:,} entries")
        watch_loader(load_command(wallets, server, "batch", 4, 0, FILL_SECONDS), server)
    load = measured(run, f"uniform at {size:,} entries", server, wallets, url, "uniform", 64).load
    assert isinstance(load, LoadResult)
    announce("reads")
    reads = read_times(server, json.loads(wallets.read_text())["wallets"][1])
    announce("verify")
    began = time.perf_counter()
    command = [sys.executable, "-m", "commerce", "verify", "--json"]
    done = subprocess.run(
        [*command, "--data-dir", str(wallets.parent)], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    report = json.loads(done.stdout)
    if not report["ok"]:
        raise RuntimeError(f"the ledger is wrong: {report['findings']}")
    return Grown(
        entries=report["entries"],
        transfers=int(query(url, "SELECT count(*) FROM stablecoin_transfer")),
        bytes=int(query(url, "SELECT pg_database_size(current_database())")),
        load=load,
        verify_seconds=seconds,
        reads_ms=reads,
    )


def read_times(server: Server, wallet: dict[str, str]) -> dict[str, tuple[float, float]]:
    """How long reads take on a connection of their own, one after the other."""
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port or 80)
    headers = {"Authorization": f"Bearer {wallet['secret_key']}"}

    def get(path: str) -> bytes:
        connection.request("GET", f"/v1/stablecoin/{path}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {body.decode(errors='replace')}")
        return body

    height = json.loads(get("blocks?limit=1"))["data"][0]["height"]
    paths = {
        "list of transfers": "transfers",
        "list of transactions": "transactions",
        "balance": "balance",
        "balance of the past": f"balance?block_height={height // 2}",
    }
    found = {}
    for name, path in paths.items():
        times = []
        for _ in range(READS):
            began = time.perf_counter()
            get(path)
            times.append(1000 * (time.perf_counter() - began))
        times.sort()
        found[name] = (percentile(times, 0.5), percentile(times, 0.99))
    connection.close()
    return found


def markdown(run: Run, sizes: list[Grown], memory_mb: float) -> str:
    """Render one section of RESULTS.md."""
    first = sizes[0]
    rows = []
    for at in sizes:
        grown = at.transfers - first.transfers
        each = f"{(at.bytes - first.bytes) / grown:,.0f}" if grown else ""
        rows.append(
            [
                f"{at.entries:,}",
                f"{at.load.throughput:,.0f}",
                f"{at.load.throughput / first.load.throughput:.2f}",
                f"{at.load.p99_ms:.1f}",
                f"{at.load.p99_ms / first.load.p99_ms:.2f}",
                each,
                f"{at.entries / at.verify_seconds:,.0f}",
                *(f"{p50:.2f} / {p99:.2f}" for p50, p99 in at.reads_ms.values()),
            ]
        )
    heading = (
        "entries | transfers/s | of the first | p99 ms | of the first | bytes a transfer |"
        " entries verified/s"
    )
    reads = "".join(f" | {name}, p50 / p99 ms" for name in first.reads_ms)
    conditions = (
        f"{run.seconds} s of uniform transfers at each size, 64 connections, {run.wallets:,} "
        f"wallets; {READS} reads of each kind on one connection while nothing else runs. Bytes a "
        "transfer are the database's growth since the first row over the transfers since. "
        f"Server's most resident memory {memory_mb:.0f} MB."
    )
    lines = [
        f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, growth",
        "",
        machine(),
        "",
        conditions,
        "",
        *table(heading + reads, iter(rows)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
