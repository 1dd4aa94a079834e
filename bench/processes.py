"""`python -m bench.processes`: the same load on one, two and four API processes."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.loader import LoadResult
from bench.measure import Usage, serving
from bench.report import machine, table
from bench.seed import seed
from bench.transfers import (
    TPCB_AFTER,
    TPCB_BEFORE,
    Run,
    database_url,
    measure_tpcb,
    measured,
    temporary_folder,
)

RESULTS = Path(__file__).parent / "RESULTS.md"
TOLD = ("commands", "batches", "restarts", "conflicts")
"""What a process says of its engine when it stops."""


@dataclass(frozen=True)
class Shared:
    """What was measured with so many processes."""

    processes: int
    load: LoadResult
    usage: Usage
    told: Counter[str]


def main() -> None:
    """Measure each number of processes that the command line names, pgbench before and after."""
    parser = argparse.ArgumentParser(prog="python -m bench.processes", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--wallets", type=int, default=10_000)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run = Run(arguments.seconds, arguments.wallets)
    with temporary_folder() as folder:
        data_dir = folder / "data"
        with serving(data_dir) as server:
            url = database_url(data_dir)
            wallets = asyncio.run(seed(data_dir, url, run.wallets))
            measure_tpcb(run, TPCB_BEFORE, server, url)
        found = [shared(run, count, wallets) for count in arguments.processes]
        with serving(data_dir) as server:
            measure_tpcb(run, TPCB_AFTER, server, database_url(data_dir))
    section = markdown(run, found)
    sys.stdout.write(section)
    with RESULTS.open("a") as results:
        results.write(f"\n{section}")


def shared(run: Run, count: int, wallets: Path) -> Shared:
    """Measure a load that so many processes share."""
    data_dir = wallets.parent
    log = data_dir.with_suffix(".log")
    begins = log.stat().st_size
    with serving(data_dir, workers=count) as server:
        url = database_url(data_dir)
        each = measured(run, f"{count} processes", server, wallets, url, "uniform", 64)
    assert isinstance(each.load, LoadResult)
    return Shared(count, each.load, each.usage, told(log, begins))


def told(log: Path, begins: int) -> Counter[str]:
    """Add up what the engines of a server have said when they stopped."""
    total: Counter[str] = Counter()
    with log.open("rb") as file:
        file.seek(begins)
        for line in file:
            if b'"event":"stopped"' in line:
                said = json.loads(line)
                total.update({name: said.get(name, 0) for name in TOLD})
    return total


def markdown(run: Run, found: list[Shared]) -> str:
    """Render one section of RESULTS.md."""
    tpcb = [run.measured[name].load.throughput for name in (TPCB_BEFORE, TPCB_AFTER)]
    beside = sum(tpcb) / len(tpcb)
    rows = []
    for each in found:
        load, used, said = each.load, each.usage, each.told
        machine_seconds = (os.cpu_count() or 1) * used.wall
        rows.append(
            [
                f"{each.processes}",
                f"{load.throughput:,.0f}",
                f"{load.throughput / found[0].load.throughput:.2f}",
                f"{load.throughput / beside:.2f}",
                f"{load.p50_ms:.1f} / {load.p99_ms:.1f}",
                f"{load.fairness:.2f}",
                f"{said['commands'] / max(said['batches'], 1):.1f}",
                f"{1e6 * said['restarts'] / max(said['commands'], 1):,.0f}",
                f"{1e6 * said['conflicts'] / max(said['commands'], 1):,.0f}",
                f"{1e6 * used.server / load.count:.0f} / {1e6 * used.postgres / load.count:.0f}",
                f"{100 * used.busy / machine_seconds:.0f}",
            ]
        )
    heading = (
        "processes | transfers/s | of the first | ÷ TPC-B | p50 / p99 ms | fairness |"
        " transfers a batch | restarts a million | conflicts a million |"
        " server / postgres µs | machine busy %"
    )
    conditions = (
        f"{run.seconds} s of uniform transfers with each, 64 connections, {run.wallets:,} wallets; "
        f"pgbench TPC-B {tpcb[0]:,.0f}/s before and {tpcb[1]:,.0f}/s after. Fairness is what the "
        "connection that was served worst got done over what the best served one did."
    )
    lines = [
        f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, processes",
        "",
        machine(),
        "",
        conditions,
        "",
        *table(heading, iter(rows)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
