"""What a run found, as Markdown: figures, where the CPU went, and the targets."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.loader import LoadResult
from bench.pgbench import TpcbResult
from bench.transfers import (
    CONNECTIONS,
    LIMITED,
    TPCB_AFTER,
    TPCB_BEFORE,
    UNLIMITED,
    VERSION,
    WARMUP_SECONDS,
    WARMUP_SECONDS_MIN,
    Measured,
    Run,
)

TITLES = {
    TPCB_BEFORE: "pgbench TPC-B, before",
    "uniform": "transfers, uniform",
    "hot": "transfers, one hot sender",
    "one": "transfers, one connection",
    LIMITED: "transfers, rate limits on",
    UNLIMITED: "transfers, rate limits off",
    "batch": "transfers, batches of 500",
    "payroll": "the same, own payees",
    "naive": "transfers, batch of one",
    TPCB_AFTER: "pgbench TPC-B, after",
}


@dataclass(frozen=True)
class Target:
    """A figure beside what it should be: at least `least`, or below `below`."""

    name: str
    figure: float
    least: float | None = None
    below: float | None = None

    @property
    def met(self) -> bool:
        """Whether the figure is where it should be."""
        if self.least is not None and self.figure < self.least:
            return False
        return self.below is None or self.figure < self.below


def markdown(run: Run) -> str:
    """Render one section of RESULTS.md."""
    lines = [
        f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        machine(),
        "",
        conditions(run),
        "",
        *table(
            "scenario | per second | p50 ms | p99 ms | p99.9 ms | max ms | not 201", speeds(run)
        ),
        "",
        "CPU, in % of the machine, and per transfer or transaction:",
        "",
        *table(
            "scenario | server | postgres | loader | other | unused | server µs | postgres µs | "
            "loader µs",
            shares(run),
        ),
        "",
        *table("target | measured | wanted | met", verdicts(run)),
        *complaints(run),
    ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Describe the machine: CPU model, cores this process may use, memory, system."""
    model = _first_value(Path("/proc/cpuinfo"), "model name") or platform.machine()
    memory_kib = int(_first_value(Path("/proc/meminfo"), "MemTotal").split()[0])
    gigabytes = memory_kib * 1024 / 1e9
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {gigabytes:.1f} GB, {platform.system()} {platform.release()}."


def _first_value(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def conditions(run: Run) -> str:
    """Name the versions, the settings that matter to the figures, and the size of the run."""
    settings = [f"{name} {value}" for name, value in run.settings.items() if name != VERSION]
    return (
        f"PostgreSQL {run.settings[VERSION]} ({', '.join(settings)}). "
        f"Python {platform.python_version()}. "
        f"{run.seconds} s a scenario after {WARMUP_SECONDS} s of warm-up where all wallets send "
        f"and {WARMUP_SECONDS_MIN} s elsewhere (pgbench has none), "
        f"{run.wallets:,} wallets, {CONNECTIONS} connections."
    )


def table(heading: str, rows: Iterator[list[str]]) -> list[str]:
    """Render a Markdown table, aligned so that it reads well in a terminal too."""
    cells = [heading.split(" | "), *rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    cells.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells)
    return [f"| {' | '.join(row)} |" for row in padded]


def speeds(run: Run) -> Iterator[list[str]]:
    """Give each scenario's throughput, latencies and errors."""
    for name, measured in run.measured.items():
        load = measured.load
        yield [TITLES[name], f"{load.throughput:,.0f}", *latencies(load)]


def latencies(load: LoadResult | TpcbResult) -> list[str]:
    """Give p50, p99, p99.9, max and the number of errors; pgbench reports a mean only."""
    if isinstance(load, TpcbResult):
        return [f"mean {load.latency_ms_mean:.1f}", "", "", "", str(load.failed)]
    figures = [load.p50_ms, load.p99_ms, load.p999_ms, load.max_ms]
    return [*(f"{figure:.2f}" for figure in figures), str(sum(load.errors.values()))]


def shares(run: Run) -> Iterator[list[str]]:
    """Give each scenario's CPU split; `other` is whatever else the machine did, kernel included."""
    for name, measured in run.measured.items():
        usage, loader = measured.usage, measured.load.cpu_seconds
        capacity = usage.wall * (os.cpu_count() or 1)
        ours = usage.server + usage.postgres + loader
        parts = [usage.server, usage.postgres, loader, max(0.0, usage.busy - ours)]
        unused = max(0.0, capacity - max(usage.busy, ours))
        done = max(1.0, measured.load.throughput * usage.wall)
        yield [
            TITLES[name],
            *(f"{100 * part / capacity:.0f}" for part in [*parts, unused]),
            *(f"{1e6 * part / done:.0f}" for part in parts[:3]),
        ]


def targets(run: Run) -> Iterator[Target]:
    """Give the targets whose figures this run measured."""
    speed = {name: measured.load.throughput for name, measured in run.measured.items()}
    uniform, hot, naive = speed.get("uniform"), speed.get("hot"), speed.get("naive")
    before, after = (speed.get(name) for name in (TPCB_BEFORE, TPCB_AFTER))
    batch, payroll = speed.get("batch"), speed.get("payroll")
    if uniform and before and after:
        yield Target("uniform ÷ TPC-B, mean of both", 2 * uniform / (before + after), least=1.2)
        yield Target("uniform ÷ TPC-B before", uniform / before, least=1.2)
        yield Target("uniform ÷ TPC-B after", uniform / after, least=1.2)
    if uniform and hot:
        yield Target("hot ÷ uniform", hot / uniform, least=0.9)
    if batch:
        yield Target("transfers/s in batches of 500", batch, least=8000)
    if payroll:
        yield Target("transfers/s in batches of 500, own payees", payroll, least=8000)
    if uniform and naive:
        yield Target("uniform ÷ batch of one", uniform / naive, least=8)
    if run.limits_ratios:
        spread = f"{min(run.limits_ratios):.2f} to {max(run.limits_ratios):.2f}"
        name = f"rate limits on ÷ off, median of {spread}"
        yield Target(name, median(run.limits_ratios), least=0.95)
    for name, measured in run.measured.items():
        yield from latency_targets(name, measured)
    if not {"uniform", "hot", "one"}.isdisjoint(run.measured):
        yield Target("server's most resident memory, MB", run.memory_mb_max, below=250)


def latency_targets(name: str, measured: Measured) -> Iterator[Target]:
    """Give the targets on one scenario's latency."""
    load = measured.load
    if isinstance(load, TpcbResult):
        return
    if name == "one":
        yield Target("p50 ms at one connection", load.p50_ms, below=3)
    if name in {"uniform", "hot"}:
        yield Target(f"p99 ms, {name}", load.p99_ms, below=30)


def verdicts(run: Run) -> Iterator[list[str]]:
    """Give the measured figures beside the targets."""
    for target in targets(run):
        wanted = f"≥ {target.least:g}" if target.least is not None else f"< {target.below:g}"
        yield [target.name, f"{target.figure:.2f}", wanted, "yes" if target.met else "no"]


def complaints(run: Run) -> Iterator[str]:
    """Give the answers other than 201, with the first bodies of each kind."""
    for name, measured in run.measured.items():
        load = measured.load
        if isinstance(load, TpcbResult):
            continue
        for kind, number in load.errors.items():
            yield f"\n{TITLES[name]}: {number} × {kind}, the first:\n"
            yield from (f"    {' '.join(body.split())}" for body in load.samples.get(kind, []))
