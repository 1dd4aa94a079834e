"""Requests that a limiter decides about, on a store whose clock and steps are seen."""

from __future__ import annotations

import asyncio
from collections import Counter

from commerce.http.limits.account import Limiter, Limits
from commerce.http.request import Request
from commerce.kernel.errors import ApiError
from commerce.store.memory import Memory
from commerce.store.rate import DAY

TAKEN = ""
NOON = 20_000 * DAY + DAY // 2


async def no_body() -> dict[str, object]:
    raise AssertionError("no body is read")


def request() -> Request:
    return Request("req_1", "GET", "/v1/account", b"", {}, no_body)


def limiter_of(memory: Memory, limits: Limits) -> Limiter:
    """A limiter for which every account has these limits."""

    async def limits_of(_account: str, _livemode: bool) -> Limits:
        return limits

    return Limiter(memory, limits_of)


async def outcome(limiter: Limiter, account: str = "acct_1") -> str:
    """The code of a refusal; empty where there was none."""
    try:
        await limiter.take(request(), account, False)
    except ApiError as error:
        return error.code
    return TAKEN


async def outcomes(limiter: Limiter, number: int) -> Counter[str]:
    """What becomes of requests that come at once."""
    return Counter(await asyncio.gather(*(outcome(limiter) for _ in range(number))))


def counted(memory: Memory) -> list[str]:
    """The steps of the store from now on."""
    steps: list[str] = []

    async def interrupt(step: str) -> None:
        steps.append(step)

    memory.interrupt = interrupt
    return steps


def stopped(memory: Memory, at: int = NOON) -> Memory:
    """A store whose clock stands still."""
    memory.now = lambda: at
    return memory
