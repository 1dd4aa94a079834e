"""The purge: what is kept for a time only, deleted after it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from commerce.engine.answers import ANSWER, KEPT_SECONDS
from commerce.store.session import StoreUnavailable

if TYPE_CHECKING:
    from commerce.store.session import Store

LOOK_SECONDS = 600.0
"""About how often a process looks for what is too old."""
ROWS_AT_ONCE = 2_000
"""How many rows are deleted in one statement, so that none holds anybody up."""
PAUSE_SECONDS = 0.05

log = structlog.get_logger("commerce.jobs")


class Purge:
    """Forgets answers that nobody may ask for any more."""

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Purge now and then, until told to stop."""
        while not self._stopping.is_set():
            try:
                await self.turn()
            except StoreUnavailable as error:
                log.warning("purge_waits", reason=str(error))
            except Exception:
                log.exception("purge_failed")
            await self._rest(LOOK_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311

    def stop(self) -> None:
        """Delete no more."""
        self._stopping.set()

    async def turn(self) -> int:
        """Delete all that is too old now; gives how many rows. Raises `StoreUnavailable`."""
        oldest = self._now() - KEPT_SECONDS
        purged = 0
        while not self._stopping.is_set():
            found = await self._store.purge(ANSWER, created_before=oldest, at_most=ROWS_AT_ONCE)
            purged += found
            if found < ROWS_AT_ONCE:
                break
            await self._rest(PAUSE_SECONDS)
        if purged:
            log.info("answers_purged", answers=purged)
        return purged

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
