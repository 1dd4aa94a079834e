"""`python -m bench.orders`: orders of three items beside transfers of the same run.

Orders reserve stock in the ledger, a transaction for each of three products. What is asked of
them: at least half as many as transfers, and of one product at least 0.9 times as many as of many.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import get_args

from bench.loader import LoadResult
from bench.measure import Server, serving
from bench.order_loader import Mode
from bench.pgbench import checkpoint
from bench.seed import seed
from bench.shops import open_shops
from bench.transfers import (
    CONNECTIONS,
    Measured,
    announce,
    database_url,
    load_command,
    temporary_folder,
    watch_loader,
)

ROUNDS = 3
"""How often each load is measured in turn, so that a machine that drifts harms all alike."""
WARMUP_SECONDS = 5
TRANSFERS = "transfers"
ORDERS: dict[str, Mode] = {f"orders, {mode}": mode for mode in get_args(Mode)}


def measure(seconds: int, wallets: int, shops: int) -> dict[str, list[Measured]]:
    """Measure every load in turn on a fresh server in a temporary folder."""
    found: dict[str, list[Measured]] = {}
    with temporary_folder() as folder:
        data_dir = folder / "data"
        with serving(data_dir) as server:
            url = database_url(data_dir)
            paths = (
                asyncio.run(seed(data_dir, url, wallets)),
                asyncio.run(open_shops(data_dir, url, shops)),
            )
            for _ in range(ROUNDS):
                for name in (TRANSFERS, *ORDERS):
                    announce(name)
                    checkpoint(url)
                    command = _command(name, server, *paths, seconds)
                    found.setdefault(name, []).append(watch_loader(command, server))
    return found


def _command(name: str, server: Server, wallets: Path, shops: Path, seconds: int) -> list[str]:
    if name == TRANSFERS:
        return load_command(wallets, server, "uniform", CONNECTIONS, WARMUP_SECONDS, seconds)
    command = [sys.executable, "-m", "bench.order_loader", str(shops), "--url", server.base_url]
    command += ["--mode", ORDERS[name], "--connections", str(CONNECTIONS)]
    return [*command, "--warmup-seconds", str(WARMUP_SECONDS), "--seconds", str(seconds)]


def middle(rounds: list[Measured]) -> LoadResult:
    """Return the load of the round in the middle, by throughput."""
    loads = [each.load for each in rounds if isinstance(each.load, LoadResult)]
    return sorted(loads, key=lambda load: load.throughput)[len(loads) // 2]


def table(found: dict[str, list[Measured]]) -> str:
    """Return the figures as a Markdown table, each with its ratio to the transfers."""
    transfers = middle(found[TRANSFERS]).throughput
    lines = [
        "| load | a second | ÷ transfers | p50 ms | p99 ms | errors |",
        "|---|--:|--:|--:|--:|",
    ]
    lines[1] += "--:|"
    for name, rounds in found.items():
        load = middle(rounds)
        ratio = load.throughput / transfers
        figures = f"{load.throughput:,.0f} | {ratio:.2f} | {load.p50_ms:.1f} | {load.p99_ms:.1f}"
        lines.append(f"| {name} | {figures} | {sum(load.errors.values())} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run what the command line asks for; figures are reported, never judged by exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.orders", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="measured seconds a load")
    parser.add_argument("--wallets", type=int, default=5_000)
    parser.add_argument("--shops", type=int, default=500)
    arguments = parser.parse_args()
    # As an exception, so that every server and folder is cleaned up on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.stdout.write(table(measure(arguments.seconds, arguments.wallets, arguments.shops)))


if __name__ == "__main__":
    main()
