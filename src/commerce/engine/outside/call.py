"""Calls: what is asked of somebody outside, by whom, and what is heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any

import msgspec
import structlog

SECONDS_MAX = 30.0
"""How long an answer from outside is waited for: after that, nobody knows what became of it."""

log = structlog.get_logger("commerce.outside")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of somebody outside: whatever can be asked is a struct of its own.

    It may hold what is kept nowhere, such as a card's number: it stands in memory only.
    """

    account: str
    """On whose behalf."""
    livemode: bool
    """Whether real money moves."""
    key: str
    """By what the other side knows it again, so that it does it once: used for no other call."""

    def __repr__(self) -> str:
        """Never show what must not be seen."""
        return f"{type(self).__name__}(key={self.key!r})"


class Heard(Enum):
    """What may be heard of any call, beside what the other side says."""

    SILENCE = "silence"
    """Nothing: it may have been done, or be done yet, or not."""
    ABSENT = "absent"
    """The other side was asked, and has never seen the call: nothing was done."""


class Outside:
    """Knows whom to ask: a way to ask for each type of call."""

    def __init__(
        self,
        ways: Mapping[type[Call], Callable[[Any], Awaitable[Any]]],
        *,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self._ways = ways
        self._seconds_max = seconds_max

    async def ask(self, call: Call) -> Any:
        """What the other side says; `SILENCE` where it does not say it, whatever the reason."""
        way = self._ways[type(call)]
        try:
            async with asyncio.timeout(self._seconds_max):
                return await way(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, what became of it is unknown
            # By its type alone: what was sent may stand in the words of an error.
            reason = type(error).__name__
            log.warning("outside_silent", asked=type(call).__name__, key=call.key, reason=reason)
            return Heard.SILENCE
