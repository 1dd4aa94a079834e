"""Errands: between a command's first commit and its second, somebody outside is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from commerce.engine.agenda import JOB
from commerce.engine.answers import StillRunning
from commerce.engine.outside.call import Heard
from commerce.kernel.errors import ApiError
from commerce.store.session import StoreUnavailable

if TYPE_CHECKING:
    from commerce.engine.command import Command, Work
    from commerce.engine.engine import Engine
    from commerce.engine.outside.call import Call
    from commerce.store.table import Key

CLOSING_SECONDS = 5.0
"""How long an engine that closes waits for those who are outside; the rest is recovered."""

log = structlog.get_logger("commerce.outside")


class Errand(NamedTuple):
    """What is to be asked once the first commit is kept, and what the second one then does."""

    call: Call
    job: Key
    """Who asks again if this process does not come back: the job that recovers it."""
    since: int
    """When that job was made, Unix seconds."""
    finish: Callable[[Any], Command]
    """Makes the command that finishes it, of what was heard.

    It raises `StillRunning` where the recovery was faster: then that has the answer.
    """


class Errands:
    """Those of one engine that are outside."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, work: Work, errand: Errand) -> None:
        """Ask outside for a command whose first commit was kept; answer it after the second.

        It is done whether or not anybody still waits for the answer.
        """
        task = asyncio.create_task(self._run(work, errand))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let those who are outside come back; who does not in time is left to the recovery."""
        deadline = asyncio.get_running_loop().time() + CLOSING_SECONDS
        while self._tasks:
            left = deadline - asyncio.get_running_loop().time()
            _, late = await asyncio.wait(self._tasks, timeout=max(left, 0))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, work: Work, errand: Errand) -> None:
        try:
            heard = await self._engine.outside.ask(errand.call)
            answer = await self._engine.submit(errand.finish(heard))
        except StillRunning:
            work.fail(StillRunning() if work.answer_key else unavailable())
        except ApiError as error:
            work.fail(error)
        except asyncio.CancelledError:
            work.fail(unavailable())
            raise
        except Exception as error:
            log.exception("errand_failed", key=errand.call.key)
            work.fail(error)
        else:
            if heard is not Heard.SILENCE:
                await self._forget(errand)
            work.succeed(answer)

    async def _forget(self, errand: Errand) -> None:
        """Delete the job that recovers it, which is done; a sweep would find it, too."""
        with suppress(StoreUnavailable):
            await self._engine.store.forget(JOB, [errand.job], created_before=errand.since + 1)


def unavailable() -> ApiError:
    """Nothing was done, or nobody can say; a retry under the same key is safe."""
    return ApiError("unavailable", headers={"Retry-After": "1"})
