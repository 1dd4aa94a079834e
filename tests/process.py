"""Programs of a test's own: servers started as users start them, and never left behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from commerce.store.postmaster import Postmaster, _command, postmaster

WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.02
READY = re.compile(r"^Commerce Network is ready at (\S+)$", re.MULTILINE)

Serve = Callable[..., "Server"]


class Ran(NamedTuple):
    """What became of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment, with these settings and no others."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("COMMERCE_")}
    return ours | settings


def commerce(*arguments: str | Path, **settings: str) -> Ran:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "commerce", *arguments],
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def refused(ran: Ran, status: int = 2) -> str:
    """The one line a command said before it gave up."""
    assert (ran.status, ran.out) == (status, ""), ran
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("commerce: ")
    return lines[0].removeprefix("commerce: ")


def reachable_folder() -> Path:
    """A new short folder that the user who runs PostgreSQL for root may enter."""
    folder = Path(tempfile.mkdtemp(prefix="commerce-test-", dir="/tmp")).resolve()
    folder.chmod(0o711)
    return folder


def command_line(pid: int) -> str:
    """The command line of a process; empty when it has ended, noticed or not."""
    return _command(pid)


def wait_until(so: Callable[[], bool]) -> None:
    """Wait for what is to come about by itself."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(POLL_SECONDS)


async def eventually(so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what is to come about by itself, without holding up what runs here."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not await so():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(POLL_SECONDS)


class Server:
    """`commerce serve` on a data folder; killed or stopped, it can be started again.

    Settings that are not COMMERCE_* are variables of its environment too.
    """

    def __init__(self, data_dir: Path, *options: str, **settings: str) -> None:
        self.data_dir = data_dir
        self.port = 0
        """The port to start on: any free one, and from then on the same again."""
        self.url = ""
        self._options = options
        self._environment = environment(settings)
        self._out = data_dir.with_name(f"{data_dir.name}.out")
        self._err = data_dir.with_name(f"{data_dir.name}.err")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        said = len(self.out)
        self.launch()
        wait_until(lambda: not self.running or READY.search(self.out[said:]) is not None)
        ready = READY.search(self.out[said:])
        assert ready is not None, self.log[-4000:]
        self.url = ready[1]
        self.port = int(self.url.rpartition(":")[2])
        return self

    def launch(self) -> None:
        """Start it, at the head of a process group of its own, and wait for nothing."""
        command = [sys.executable, "-m", "commerce", "serve", "--data-dir", str(self.data_dir)]
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), *self._options],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def out(self) -> str:
        """All it printed."""
        return self._out.read_text() if self._out.exists() else ""

    @property
    def log(self) -> str:
        """All it wrote on standard error."""
        return self._err.read_text() if self._err.exists() else ""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def sandbox(self) -> dict[str, str]:
        """What stands in `sandbox.json`."""
        sandbox: dict[str, str] = json.loads((self.data_dir / "sandbox.json").read_text())
        return sandbox

    @property
    def workers(self) -> list[int]:
        """The API processes it ever started, where there are several."""
        return [line["pid"] for line in self.lines if line["event"] == "worker_started"]

    @property
    def postgres(self) -> Postmaster | None:
        """The embedded PostgreSQL that runs on its folder."""
        return postmaster(self.data_dir.resolve() / "postgres")

    def kill(self) -> None:
        """Kill the process that was started, without a warning, and nothing else."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to stop."""
        assert self._process is not None
        self._process.terminate()

    def wait(self) -> int:
        """Wait until it has ended, and give its exit status."""
        assert self._process is not None
        return self._process.wait(WAIT_SECONDS_MAX)

    def stop(self) -> int:
        """Stop it as an operator does."""
        self.terminate()
        return self.wait()

    def remove(self) -> None:
        """End all that is left of it: itself, its API processes, its PostgreSQL."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            if self.running:
                self.stop()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        found = self.postgres
        if found is not None:
            os.kill(found.pid, signal.SIGQUIT)
            wait_until(lambda: self.postgres is None)


@contextmanager
def servers() -> Iterator[Serve]:
    """Start servers that are gone afterwards, whatever happens."""
    made: list[Server] = []

    def serve(data_dir: Path, *options: str, **settings: str) -> Server:
        made.append(Server(data_dir, *options, **settings))
        return made[-1].start()

    try:
        yield serve
    finally:
        for server in made:
            server.remove()
