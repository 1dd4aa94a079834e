"""An event loop whose time passes only when nobody has anything left to do."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from selectors import SelectSelector
from typing import Any, TypeVar, TypeVarTuple

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class Standstill(Exception):
    """Everybody waits for somebody else, and no time that could pass would change it."""


class _Clockwork(SelectSelector):
    """In a selector's place: it waits for no socket, it moves the time on."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let the time pass that the loop would have slept."""
        if timeout is None:
            raise Standstill
        self.seconds += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in the order in which it became ready; sleeping costs no time.

    So a world on it is the same each time it is run, and a lock that is given up after five
    seconds is given up at once.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        self._clockwork = _Clockwork()
        super().__init__(self._clockwork)

    def call_soon(
        self,
        callback: Callable[[*Given], object],
        *args: *Given,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """What the loop does anyway, without asking each time whether it is being debugged."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def time(self) -> float:
        """Seconds since this loop was made."""
        return self._clockwork.seconds


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run something to its end in virtual time. Raises `Standstill`."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
