"""What a server under test is sabotaged with: points at which it dies, and a clock that is wrong.

It wraps what the product is made of from outside, so nothing of it is in the product. A point is
armed by a file of its name; the process that reaches it first removes the file and kills itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

ENGINE_POINTS = (
    "begin.before",
    "begin.after",
    "load.before",
    "load.after",
    "verb.before",
    "verb.after",
    "write.before",
    "write.after",
    "commit.before",
    "commit.during",
    "commit.after",
    "answer.before",
    "answer.between",
    "submit.after",
    "recall.before",
    "recall.after",
    "session.before",
    "session.after",
)
"""In the order of a batch's steps; the session is opened again by a process that takes over."""
NEIGHBOURS = frozenset(
    {"session.after", "begin.after", "load.after", "write.after", "commit.after", "recall.after"}
    | {"turn.before", "forget.before"}
)
"""Between these and the next point nothing is done that anybody could see."""
LIMITER_POINTS = ("take.before", "take.during", "take.after")
WORKER_POINTS = (
    "turn.before",
    "job.before",
    "job.verb",
    "job.after",
    "forget.before",
    "forget.during",
    "forget.after",
)
OUTSIDE_POINTS = ("send.before", "ask.before", "ask.during", "ask.after")
"""Between the two commits of a verb that needs somebody outside."""
MIGRATION_POINTS = ("migration.before", "migration.during", "migration.after")
DURING_SECONDS = 0.003
"""How long a statement that was sent runs before its sender is killed."""

Call = Callable[..., Coroutine[Any, Any, Any]]


class Saboteur:
    """The faults of one folder, in one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._passed: Counter[str] = Counter()

    def armed(self, point: str) -> bool:
        """Whether this process is to die here, now; the file says how often it passes before."""
        try:
            passes = int((self._folder / point).read_text())
        except FileNotFoundError:
            return False
        self._passed[point] += 1
        return self._passed[point] > passes

    def reach(self, point: str) -> None:
        """Die, if this is where."""
        if self.armed(point):
            self.die(point)

    def die(self, point: str) -> None:
        """Kill this process, unless another has died of this already."""
        with suppress(FileNotFoundError):
            (self._folder / point).unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, label: str) -> None:
        """Die before a call, while it is on its way, or after it."""
        call: Call = getattr(owner, name)

        async def wrapped(*values: Any, **named: Any) -> Any:
            self.reach(f"{label}.before")
            during = self.armed(f"{label}.during")
            running = asyncio.ensure_future(call(*values, **named))
            if during:
                await asyncio.wait([running], timeout=DURING_SECONDS)
                self.die(f"{label}.during")
            result = await running
            self.reach(f"{label}.after")
            return result

        setattr(owner, name, wrapped)

    def before(self, owner: Any, name: str, point: str) -> None:
        """Die before a plain call."""
        call = getattr(owner, name)

        def wrapped(*values: Any, **named: Any) -> Any:
            self.reach(point)
            return call(*values, **named)

        setattr(owner, name, wrapped)

    def after(self, owner: Any, name: str, point: str) -> None:
        """Die after a plain call."""
        call = getattr(owner, name)

        def wrapped(*values: Any, **named: Any) -> Any:
            result = call(*values, **named)
            self.reach(point)
            return result

        setattr(owner, name, wrapped)


def install() -> None:
    """Sabotage this process, which has just begun, as the folder FAULTS says."""
    folder = Path(os.environ["FAULTS"])
    if (folder / "clock").exists():
        _bend_clock(folder / "clock")
    _sabotage(Saboteur(folder))


def _sabotage(saboteur: Saboteur) -> None:
    from commerce.engine.batch import Batch  # noqa: PLC0415 - after the clock was bent
    from commerce.engine.command import Work  # noqa: PLC0415
    from commerce.engine.engine import Engine  # noqa: PLC0415
    from commerce.engine.outside.call import Outside  # noqa: PLC0415
    from commerce.engine.outside.errand import Errands  # noqa: PLC0415
    from commerce.engine.tx import Tx  # noqa: PLC0415
    from commerce.jobs.worker import Worker  # noqa: PLC0415
    from commerce.store import migrate  # noqa: PLC0415
    from commerce.store.database import Database, DatabaseSession  # noqa: PLC0415

    for step in ("begin", "load", "write", "commit"):
        saboteur.around(DatabaseSession, step, step)
    saboteur.before(Batch, "_verb", "verb.before")
    saboteur.after(Batch, "_verb", "verb.after")
    saboteur.before(Batch, "answer", "answer.before")
    saboteur.after(Work, "succeed", "answer.between")
    saboteur.before(Errands, "send", "send.before")
    saboteur.around(Outside, "ask", "ask")
    saboteur.around(Engine, "submit", "submit")
    saboteur.around(Engine, "recall", "recall")
    saboteur.around(Database, "session", "session")
    saboteur.around(Database, "take", "take")
    saboteur.around(Database, "forget", "forget")
    saboteur.around(Worker, "turn", "turn")
    saboteur.around(Worker, "_do", "job")
    saboteur.after(Tx, "change_job", "job.verb")
    saboteur.around(migrate, "_apply", "migration")


def _bend_clock(path: Path) -> None:
    """Have this process read a wrong time: the right one and as many seconds as the file says."""
    right_ns = time.time_ns

    def wrong_ns() -> int:
        return right_ns() + int(path.read_text()) * 1_000_000_000

    time.time_ns = wrong_ns
    time.time = lambda: wrong_ns() / 1_000_000_000
