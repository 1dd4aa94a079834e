"""The use of a pool of connections: how many queries run or wait, and how often one had to wait."""

from __future__ import annotations

from commerce.meter.meters import Meters


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

    def __enter__(self) -> None:
        self._running += 1
        self._use.set(self._running)
        if self._running > self._size:
            self._waits.add()

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        self._use.set(self._running)
