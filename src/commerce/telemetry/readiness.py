"""Whether the store is ready: asked by one at a time, and remembered for a moment."""

from __future__ import annotations

import asyncio
import time

from commerce.store.session import Store

REMEMBERED_SECONDS = 1.0
"""How old an answer may be: whoever asks more often costs the store nothing."""


class Readiness:
    """Asks a store whether it is ready, on behalf of all who want to know."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking = asyncio.Lock()
        self._ready = False
        self._until = 0.0

    async def known(self) -> bool:
        """Whether the store was ready a moment ago."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._ready = await self._store.ready()
                self._until = time.monotonic() + REMEMBERED_SECONDS
            return self._ready
