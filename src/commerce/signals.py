"""The signals that say stop, taken where no loop can lose them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Takes the signals that say stop; an exception raised by one could get lost in a loop."""

    def __init__(self) -> None:
        self.came = False
        self._then: Callable[[], object] = lambda: None
        for number in STOP_SIGNALS:
            signal.signal(number, self._take)

    def _take(self, *_: object) -> None:
        self.came = True
        self._then()

    @contextmanager
    def cancelling(self) -> Iterator[None]:
        """Cancel the current task at once when one comes, or when one came before."""
        task = asyncio.current_task()
        assert task is not None
        loop, then = asyncio.get_running_loop(), self._then
        self._then = partial(loop.call_soon_threadsafe, task.cancel)
        if self.came:
            task.cancel()
        try:
            yield
        finally:
            self._then = then
