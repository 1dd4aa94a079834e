"""The use of a pool of connections: how many queries run or wait, and how often one had to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from commerce.meter.meters import Meters

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]


class PoolUse:
    """Entered around each query on a pool."""

    __slots__ = ("_running", "_size", "_use", "_waits")

    def __init__(self, size: int, meters: Meters) -> None:
        self._size = size
        self._running = 0
        meters.gauge("commerce_pool_size", "Connections that processes may read with.").set(size)
        self._use = meters.gauge(
            "commerce_pool_queries", "Reading queries that run, or wait for a connection."
        )
        self._waits = meters.counter(
            "commerce_pool_waits_total", "Reading queries that found every connection in use."
        )

    @asynccontextmanager
    async def lent(self, pool: Pool, seconds: float) -> AsyncIterator[Connection]:
        """A connection of the pool, hung up on if waiting for it and using it takes longer.

        To time out the query alone would be no use: the pool takes no connection back before the
        server has heard that it is to give up, and one that stands still never does.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with self:
            async with pool.acquire(timeout=seconds) as lent:
                connection = cast("Connection", lent)
                hang_up = loop.call_at(until, connection.terminate)
                try:
                    yield connection
                finally:
                    hang_up.cancel()

    def __enter__(self) -> None:
        self._running += 1
        self._use.set(self._running)
        if self._running > self._size:
            self._waits.add()

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        self._use.set(self._running)
