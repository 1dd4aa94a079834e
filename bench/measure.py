"""A server under measurement: started, watched through /proc (Linux), and stopped again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
POLL_SECONDS = 0.05
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One row of the process table; CPU seconds include children it has waited for."""

    pid: int
    parent: int
    name: str
    cpu_seconds: float


def processes() -> dict[int, Process]:
    """Read the process table."""
    table = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        # A process may end while the table is read.
        with suppress(FileNotFoundError, ProcessLookupError):
            process = parse_stat((folder / "stat").read_text())
            table[process.pid] = process
    return table


def parse_stat(line: str) -> Process:
    """Parse a line of /proc/<pid>/stat (proc_pid_stat(5)); the name may hold anything."""
    pid, _, rest = line.partition(" (")
    name, _, fields = rest.rpartition(") ")
    values = fields.split()
    ticks = sum(int(value) for value in values[11:15])  # utime, stime, cutime, cstime
    return Process(int(pid), int(values[1]), name, ticks / TICKS_PER_SECOND)


def tree(table: dict[int, Process], root: int) -> list[Process]:
    """Return a process of the table and its descendants; none if it is gone."""
    found = [table[root]] if root in table else []
    for process in found:
        found += [child for child in table.values() if child.parent == process.pid]
    return found


@dataclass(frozen=True)
class Usage:
    """CPU seconds used: since the start of each process, or between two moments."""

    wall: float
    server: float
    postgres: float
    busy: float
    """The whole machine, everything that runs on it included."""

    def since(self, earlier: Self) -> "Usage":
        """Return what was used after `earlier`."""
        return Usage(
            wall=self.wall - earlier.wall,
            server=self.server - earlier.server,
            postgres=self.postgres - earlier.postgres,
            busy=self.busy - earlier.busy,
        )


def busy_seconds() -> float:
    """Return the machine's CPU seconds since boot that were not idle or waiting for a disk."""
    values = [int(value) for value in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    idle, waiting = values[3], values[4]
    return (sum(values) - idle - waiting) / TICKS_PER_SECOND


class Server:
    """A running `commerce serve` and the PostgreSQL it started."""

    def __init__(self, process: subprocess.Popen[bytes], base_url: str, data_dir: Path) -> None:
        """Take over a server that answers at `base_url`."""
        self.process = process
        self.base_url = base_url
        self.postmaster = postmaster_pid(data_dir)

    def usage(self) -> Usage:
        """Return the CPU seconds used so far."""
        table = processes()
        postgres = {each.pid for each in tree(table, self.postmaster or 0)}
        server = [each for each in tree(table, self.process.pid) if each.pid not in postgres]
        return Usage(
            wall=time.monotonic(),
            server=sum(each.cpu_seconds for each in server),
            postgres=sum(table[pid].cpu_seconds for pid in postgres),
            busy=busy_seconds(),
        )

    def memory_mb_max(self) -> float:
        """Return the most resident memory the server has had, in MB, without PostgreSQL's."""
        table = processes()
        postgres = {each.pid for each in tree(table, self.postmaster or 0)}
        server = [each.pid for each in tree(table, self.process.pid) if each.pid not in postgres]
        return sum(peak_memory_kib(pid) for pid in server) * 1024 / 1e6


def peak_memory_kib(pid: int) -> int:
    """Return a process's largest resident set so far; 0 if it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def postmaster_pid(data_dir: Path) -> int | None:
    """Return the process id of the PostgreSQL that runs inside `data_dir`, if one does."""
    with suppress(FileNotFoundError, ValueError):
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        process = processes().get(pid)
        # The file outlives a crash, and its number may be another process's by now.
        return pid if process and process.name == "postgres" else None
    return None


@contextmanager
def serving(
    data_dir: Path, environment: dict[str, str] | None = None, *, workers: int = 1
) -> Iterator[Server]:
    """Run `commerce serve` on `data_dir` with default settings plus `environment`.

    Gives the server once it is ready. Stops it and its PostgreSQL afterwards, whatever happens.
    Raises RuntimeError with the end of its log if it does not become ready.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COMMERCE_")}
    command = [sys.executable, "-m", "commerce", "serve", "--port", "0"]
    command += ["--workers", str(workers)]
    log_path = data_dir.with_suffix(".log")
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir)],
            env=inherited | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield Server(process, ready_url(process, data_dir, log_path), data_dir)
    finally:
        stop(process, data_dir)


def ready_url(process: subprocess.Popen[bytes], data_dir: Path, log_path: Path) -> str:
    """Wait for the server's base URL to stand in `sandbox.json` and to answer as ready."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        # The file of an earlier run names a port where nobody answers any more.
        with suppress(FileNotFoundError, json.JSONDecodeError, OSError):
            url = str(json.loads((data_dir / "sandbox.json").read_bytes())["base_url"])
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - its own file
                return url
        time.sleep(POLL_SECONDS)
    tail = log_path.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the server did not become ready; its log ends:\n{tail}")


def stop(process: subprocess.Popen[bytes], data_dir: Path) -> None:
    """Stop the server as an operator would, by force if it must be, then its PostgreSQL."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    pid = postmaster_pid(data_dir)
    if pid is None:
        return
    os.kill(pid, signal.SIGINT)  # PostgreSQL's fast shutdown
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while postmaster_pid(data_dir) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
