"""The plan of one run: transfers over HTTP, with pgbench and a batch of one beside them."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.loader import LoadResult, Mode
from bench.measure import Server, Usage, serving
from bench.pgbench import TpcbResult, checkpoint, query, run_tpcb, tpcb_database
from bench.seed import seed
from commerce.store.embedded import running_url

CONNECTIONS = 64
CONNECTIONS_OF = {"one": 1, "batch": 4, "payroll": 4}
"""Where a scenario has others."""
MODES: dict[str, Mode] = {"hot": "hot", "batch": "batch", "payroll": "payroll"}
WARMUP_SECONDS = 15
"""Of uniform loads, so that most of the keys and wallets have been seen before."""
WARMUP_SECONDS_MIN = 3
NAIVE = {"COMMERCE_BATCH_WEIGHT_MAX": "1"}
LIMITS_ROUNDS = 5
"""How often both servers are measured in turn, so that a machine that drifts harms both alike."""
VERSION = "server_version"
SETTINGS = (VERSION, "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")

TPCB_BEFORE, TPCB_AFTER = "TPC-B before", "TPC-B after"
SCENARIOS = ("tpcb", "uniform", "hot", "one", "batch", "payroll", "limits", "naive")
LIMITED, UNLIMITED = "limits on", "limits off"


@dataclass(frozen=True)
class Measured:
    """One scenario's figures and the CPU used meanwhile."""

    load: LoadResult | TpcbResult
    usage: Usage


@dataclass
class Run:
    """What one run was asked to do and what it found, by scenario in the order measured."""

    seconds: int
    wallets: int
    only: Collection[str] = SCENARIOS
    measured: dict[str, Measured] = field(default_factory=dict)
    limits_ratios: list[float] = field(default_factory=list)
    """Transfers with rate limits ÷ without, of each round."""
    memory_mb_max: float = 0.0
    settings: dict[str, str] = field(default_factory=dict)


def execute(run: Run) -> None:
    """Carry out the plan on a fresh server in a temporary folder and fill in `run`.

    pgbench goes first and last, so that the ratio to it brackets a machine that drifts. Every
    process is stopped and the folder removed at the end, also on failure.
    """
    with temporary_folder() as folder:
        data_dir = folder / "data"
        with serving(data_dir) as server:
            url = database_url(data_dir)
            run.settings = {name: query(url, f"SHOW {name}") for name in SETTINGS}
            wallets = asyncio.run(seed(data_dir, url, run.wallets))
            measure_tpcb(run, TPCB_BEFORE, server, url)
            measure_transfers(run, "uniform", server, wallets, url)
            measure_transfers(run, "hot", server, wallets, url)
            measure_transfers(run, "one", server, wallets, url)
            measure_transfers(run, "batch", server, wallets, url)
            measure_transfers(run, "payroll", server, wallets, url)
            measure_limits(run, server, wallets, url)
            run.memory_mb_max = server.memory_mb_max()
        if {"naive", "tpcb"}.isdisjoint(run.only):
            return
        with serving(data_dir, NAIVE) as server:
            url = database_url(data_dir)
            measure_transfers(run, "naive", server, wallets, url)
            measure_tpcb(run, TPCB_AFTER, server, url)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that PostgreSQL's own user may pass through, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="commerce-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def database_url(data_dir: Path) -> str:
    """Return the URL of the PostgreSQL that the server started; RuntimeError if there is none."""
    url = running_url(data_dir)
    if url is None:
        raise RuntimeError("the server runs without a PostgreSQL of its own")
    return url


def measure_tpcb(run: Run, name: str, server: Server, url: str) -> None:
    """Measure pgbench while the server idles."""
    if "tpcb" not in run.only:
        return
    announce(name)
    with tpcb_database(url) as own_url:
        checkpoint(url)
        began = server.usage()
        result = run_tpcb(own_url, run.seconds)
        run.measured[name] = Measured(result, server.usage().since(began))


def measure_transfers(run: Run, scenario: str, server: Server, wallets: Path, url: str) -> None:
    """Measure one load of transfers."""
    if scenario not in run.only:
        return
    mode = MODES.get(scenario, "uniform")
    connections = CONNECTIONS_OF.get(scenario, CONNECTIONS)
    run.measured[scenario] = measured(run, scenario, server, wallets, url, mode, connections)


def measure_limits(run: Run, server: Server, wallets: Path, url: str) -> None:
    """Measure uniform transfers with rate limits and, by another server beside it, without.

    Both are measured in turn, each first every other time, and a ratio is kept of each round; the
    figures kept are those of the round in the middle.
    """
    if "limits" not in run.only:
        return
    data_dir = wallets.parent
    environment = {
        "COMMERCE_RATE_LIMITS": "off",
        "COMMERCE_DATABASE_URL": url,
        "COMMERCE_MASTER_KEY": (data_dir / "master.key").read_text().strip(),
    }
    rounds: list[dict[str, Measured]] = []
    with serving(data_dir.with_name("unlimited"), environment) as other:
        other.postmaster = server.postmaster
        pairs = [(LIMITED, server), (UNLIMITED, other)]
        for turn in range(LIMITS_ROUNDS):
            order = pairs[:: -1 if turn % 2 else 1]
            found = [measured(run, *pair, wallets, url, "uniform", CONNECTIONS) for pair in order]
            rounds.append({name: each for (name, _), each in zip(order, found, strict=True)})
    rounds.sort(key=limits_ratio)
    run.limits_ratios = [limits_ratio(each) for each in rounds]
    run.measured |= rounds[len(rounds) // 2]


def limits_ratio(measured: dict[str, Measured]) -> float:
    """Give the transfers with limits in proportion to those without."""
    return measured[LIMITED].load.throughput / measured[UNLIMITED].load.throughput


def measured(  # noqa: PLR0913, PLR0917 - what a load is
    run: Run,
    name: str,
    server: Server,
    wallets: Path,
    url: str,
    mode: Mode,
    connections: int,
) -> Measured:
    """Measure one load."""
    announce(name)
    checkpoint(url)
    warmup = WARMUP_SECONDS if mode == "uniform" and connections > 1 else WARMUP_SECONDS_MIN
    return watch_loader(
        load_command(wallets, server, mode, connections, warmup, run.seconds), server
    )


def load_command(  # noqa: PLR0913, PLR0917 - what a load is
    wallets: Path, server: Server, mode: Mode, connections: int, warmup: int, seconds: int
) -> list[str]:
    """The command that sends one load."""
    command = [sys.executable, "-m", "bench.loader", str(wallets), "--url", server.base_url]
    command += ["--mode", mode, "--connections", str(connections)]
    return [*command, "--warmup-seconds", str(warmup), "--seconds", str(seconds)]


def watch_loader(command: list[str], server: Server) -> Measured:
    """Run the loader and take the CPU used from the moment it says that it counts."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as loader:
        try:
            first_line = loader.stderr.readline() if loader.stderr else b""
            began = server.usage()
            output, complaint = loader.communicate()
        except BaseException:
            loader.kill()
            raise
        if loader.returncode:
            raise RuntimeError(
                f"the loader failed:\n{(first_line + complaint).decode(errors='replace')}"
            )
        result = msgspec.json.decode(output, type=LoadResult)
        return Measured(result, server.usage().since(began))


def announce(name: str) -> None:
    """Say on standard error what is being measured."""
    sys.stderr.write(f"measuring {name} …\n")
    sys.stderr.flush()
