"""The limiter by itself: what it asks the store, what it leases, whom it lets through."""

from __future__ import annotations

import asyncio
import time

import pytest

from commerce.http.limits import account as account_limit
from commerce.http.limits.account import PLANS, Limiter, Limits
from commerce.kernel.errors import ApiError
from commerce.store.memory import Memory
from commerce.store.rate import DAY, NANOSECONDS
from commerce.store.session import StoreUnavailable
from tests.http.limited import (
    NOON,
    TAKEN,
    counted,
    limiter_of,
    outcome,
    outcomes,
    request,
    stopped,
)


async def test_a_slow_plan_asks_for_every_request_and_a_fast_one_seldom() -> None:
    memory = Memory()
    steps = counted(memory)
    slow, fast = limiter_of(memory, PLANS["free"]), limiter_of(memory, PLANS["enterprise"])
    for _ in range(5):
        assert await outcome(slow) == TAKEN
    assert len(steps) == 5
    steps.clear()
    for _ in range(500):
        assert await outcome(fast, "acct_2") == TAKEN
    assert len(steps) == 1


async def test_whoever_asks_at_once_shares_a_statement() -> None:
    memory = Memory()
    steps = counted(memory)
    limiter = limiter_of(memory, PLANS["free"])
    found = await asyncio.gather(*(outcome(limiter, f"acct_{n % 50}") for n in range(500)))
    assert (set(found), len(steps)) == ({TAKEN}, 1)


async def test_requests_at_once_are_let_through_exactly_and_refusals_ask_nobody_again() -> None:
    memory = stopped(Memory())
    steps = counted(memory)
    limiter = limiter_of(memory, Limits(1, 20, None))
    assert await outcomes(limiter, 50) == {TAKEN: 20, "rate_limit_exceeded": 30}
    assert await outcomes(limiter, 50) == {"rate_limit_exceeded": 50}
    assert len(steps) == 1


async def test_a_fast_plan_gives_a_four_hundredth_without_asking() -> None:
    memory = stopped(Memory())
    steps = counted(memory)
    limiter = limiter_of(memory, PLANS["enterprise"])
    assert await outcomes(limiter, 100) == {TAKEN: 100}
    assert not steps
    last = request()
    await limiter.take(last, "acct_1", False)
    assert len(steps) == 1
    for _ in range(398):
        assert await outcome(limiter) == TAKEN
    assert len(steps) == 1, "the lease is used before the grace that has come back"


async def test_grace_comes_back_at_its_part_of_the_rate() -> None:
    memory = stopped(Memory())
    limiter = limiter_of(memory, PLANS["enterprise"])
    assert await outcomes(limiter, 100) == {TAKEN: 100}
    bucket = limiter._buckets["acct_1", False]
    now = bucket._gracious_at - NANOSECONDS
    given = 0
    while bucket.try_take(now) is not None:
        given += 1
    assert given == 50


async def test_a_grace_tells_what_this_process_knows_of_the_bucket() -> None:
    memory = stopped(Memory(), time.time_ns())
    limiter = limiter_of(memory, PLANS["enterprise"])
    before = time.time()
    asked = request()
    await limiter.take(asked, "acct_1", False)
    fields = dict(asked.limits)
    assert fields[b"x-ratelimit-remaining"] == b"39999"
    assert before <= int(fields[b"x-ratelimit-reset"]) <= time.time() + 2


@pytest.mark.parametrize(
    "limits", [Limits(20_000, 40_000, 10**9), Limits(99, 4_000, None), Limits(100, 399, None)]
)
async def test_a_plan_that_is_slow_or_small_or_counts_its_days_gives_no_grace(
    limits: Limits,
) -> None:
    memory = stopped(Memory())
    steps = counted(memory)
    assert await outcome(limiter_of(memory, limits)) == TAKEN
    assert len(steps) == 1


async def test_whoever_is_refused_is_given_no_grace() -> None:
    memory = stopped(Memory())
    limiter = limiter_of(memory, Limits(100, 400, None))
    assert await outcomes(limiter, 450) == {TAKEN: 401, "rate_limit_exceeded": 49}
    assert await outcome(limiter) == "rate_limit_exceeded"


@pytest.fixture
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that lapse in no test, however slow the machine."""
    monkeypatch.setattr(account_limit, "LEASE_NANOSECONDS", 600 * NANOSECONDS)


@pytest.mark.usefixtures("long_leases")
async def test_those_who_come_while_a_lease_is_fetched_use_it() -> None:
    memory = stopped(Memory())
    limiter = limiter_of(memory, Limits(100, 200, None))
    given = 0
    for _ in range(200):
        found = await asyncio.gather(*(outcome(limiter) for _ in range(3)))
        given += found.count(TAKEN)
    assert given == 200


async def test_a_day_that_is_used_up_says_so_until_midnight() -> None:
    memory = stopped(Memory())
    limiter = limiter_of(memory, Limits(1_000, 2_000, 30))
    assert await outcomes(limiter, 50) == {TAKEN: 30, "daily_limit_exceeded": 20}
    with pytest.raises(ApiError) as refused:
        await limiter.take(request(), "acct_1", False)
    assert int(refused.value.headers["Retry-After"]) in (DAY // 2 // NANOSECONDS, 43_199)


async def test_a_lease_that_was_not_used_does_not_count_for_the_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_limit, "LEASE_NANOSECONDS", NANOSECONDS // 50)
    memory = stopped(Memory())
    one, two = (limiter_of(memory, Limits(1_000, 2_000, 30)) for _ in range(2))
    assert await outcomes(one, 5) == {TAKEN: 5}
    await asyncio.sleep(0.1)
    assert await outcomes(two, 30) == {TAKEN: 25, "daily_limit_exceeded": 5}


async def test_a_limiter_that_is_closed_gives_its_leases_back() -> None:
    memory = stopped(Memory())
    limits = Limits(1_000, 2_000, 30)
    one = limiter_of(memory, limits)
    assert await outcomes(one, 5) == {TAKEN: 5}
    await one.close()
    two = limiter_of(memory, limits)
    assert await outcomes(two, 30) == {TAKEN: 25, "daily_limit_exceeded": 5}
    await two.close()


async def test_a_process_that_is_killed_loses_its_lease_and_no_more() -> None:
    memory = stopped(Memory())
    limits = Limits(1_000, 2_000, 30)
    killed = limiter_of(memory, limits)
    assert await outcomes(killed, 5) == {TAKEN: 5}
    after = limiter_of(memory, limits)
    lease = account_limit.Policy(limits).lease
    assert await outcomes(after, 30) == {TAKEN: 30 - lease, "daily_limit_exceeded": lease}


async def test_a_lease_that_is_given_back_after_midnight_leaves_the_new_day_alone() -> None:
    memory = stopped(Memory(), NOON)
    limiter = limiter_of(memory, Limits(1_000, 2_000, 30))
    assert await outcomes(limiter, 5) == {TAKEN: 5}
    bucket = limiter._buckets["acct_1", False]
    bucket._ahead += DAY
    assert bucket.ask(time.monotonic_ns()).returned == 0


async def test_a_lease_ends_with_its_day() -> None:
    memory = stopped(Memory(), NOON + DAY // 2 - NANOSECONDS // 100)
    limiter = limiter_of(memory, Limits(1_000, 2_000, 30))
    assert await outcomes(limiter, 5) == {TAKEN: 5}
    bucket = limiter._buckets["acct_1", False]
    assert bucket._until - time.monotonic_ns() <= NANOSECONDS // 100


async def test_without_a_store_nobody_is_let_through_and_everyone_afterwards() -> None:
    memory = Memory()

    async def interrupt(_: str) -> None:
        raise StoreUnavailable

    memory.interrupt = interrupt
    limiter = limiter_of(memory, PLANS["growth"])
    found = await asyncio.gather(*(outcome(limiter) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 3
    memory.interrupt = None
    assert await outcome(limiter) == TAKEN


@pytest.mark.parametrize(("seconds", "asked"), [(-1.0, 1), (5.0, 2)])
async def test_who_stands_in_line_behind_an_ask_in_vain_is_told_so_too(
    monkeypatch: pytest.MonkeyPatch, seconds: float, asked: int
) -> None:
    """Each who took the place would wait as long again; what failed at once is asked again."""
    monkeypatch.setattr(account_limit, "IN_VAIN_SECONDS", seconds)
    memory, go, steps = Memory(), asyncio.Event(), list[str]()

    async def interrupt(step: str) -> None:
        steps.append(step)
        await go.wait()
        raise StoreUnavailable

    memory.interrupt = interrupt
    limiter = limiter_of(memory, PLANS["growth"])
    tasks = []
    for account in ("acct_1", "acct_1", "acct_2"):
        tasks.append(asyncio.create_task(outcome(limiter, account)))
        await asyncio.sleep(0.01)
    go.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 3
    assert steps == ["take"] * asked
    memory.interrupt = None
    assert await outcome(limiter) == TAKEN


async def test_whoever_goes_while_waiting_takes_no_token_along() -> None:
    memory = stopped(Memory())
    limiter = limiter_of(memory, Limits(1, 2, 2))
    go = asyncio.Event()

    async def interrupt(_: str) -> None:
        await go.wait()

    memory.interrupt = interrupt
    held = asyncio.create_task(outcome(limiter))
    await asyncio.sleep(0.01)
    gone = asyncio.create_task(outcome(limiter))
    await asyncio.sleep(0)
    gone.cancel()
    go.set()
    assert await held == TAKEN
    memory.interrupt = None
    assert await outcomes(limiter, 2) == {TAKEN: 1, "daily_limit_exceeded": 1}


async def test_whoever_goes_while_the_store_is_asked_is_told_nothing() -> None:
    memory = stopped(Memory())
    limiter = limiter_of(memory, Limits(1, 4, 2))
    go = asyncio.Event()
    fails: list[Exception] = []

    async def interrupt(_: str) -> None:
        await go.wait()
        for error in fails:
            raise error

    memory.interrupt = interrupt
    for error in ([], [StoreUnavailable()]):
        fails[:] = error
        go.clear()
        gone, stays = (asyncio.create_task(outcome(limiter)) for _ in range(2))
        await asyncio.sleep(0.01)
        gone.cancel()
        closing = asyncio.create_task(limiter.close())
        await asyncio.sleep(0)
        assert not closing.done()
        go.set()
        found = await asyncio.gather(stays, gone, return_exceptions=True)
        assert [TAKEN if each == TAKEN else type(each) for each in found] == [
            type(error[0]) if error else TAKEN,
            asyncio.CancelledError,
        ]
        await closing
    memory.interrupt = None
    # Of what was taken for who went nothing counts for the day.
    assert await outcomes(limiter, 2) == {TAKEN: 1, "daily_limit_exceeded": 1}


async def test_who_is_waited_for_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_limit, "REMEMBERED_MAX", 2)
    memory = stopped(Memory())
    limiter = limiter_of(memory, Limits(1, 1, None))
    go = asyncio.Event()

    async def interrupt(_: str) -> None:
        await go.wait()

    memory.interrupt = interrupt
    waiting = [asyncio.create_task(outcome(limiter, f"acct_{n}")) for n in range(2)]
    await asyncio.sleep(0.01)
    # The store is asked for these two; the third finds no room, and the first asks again.
    again = asyncio.create_task(outcome(limiter, "acct_0"))
    await asyncio.sleep(0)
    third = asyncio.create_task(outcome(limiter, "acct_2"))
    await asyncio.sleep(0)
    assert ("acct_0", False) in limiter._buckets
    go.set()
    assert await asyncio.gather(*waiting, third) == [TAKEN] * 3
    assert await again == "rate_limit_exceeded"


async def test_what_is_announced_changes_the_limits() -> None:
    memory = stopped(Memory())
    plan = "free"

    async def limits_of(_account: str, _livemode: bool) -> Limits:
        return PLANS[plan]

    limiter = Limiter(memory, limits_of)
    assert (await outcomes(limiter, 21))["rate_limit_exceeded"] == 1
    plan = "growth"
    assert (await outcomes(limiter, 21))["rate_limit_exceeded"] == 21
    limiter.told("api_key:key_1")
    limiter.told("account:acct_unknown")
    assert (await outcomes(limiter, 21))["rate_limit_exceeded"] == 21
    limiter.told("account:acct_1")
    assert (await outcomes(limiter, 21))["rate_limit_exceeded"] == 21, "it is empty as before"
    limiter.told("account:acct_1")
    stopped(memory, NOON + NANOSECONDS // 10)
    await asyncio.sleep(0.01)
    assert (await outcomes(limiter, 110)) == {TAKEN: 100, "rate_limit_exceeded": 10}
    plan = "free"
    limiter.told(None)
    assert (await outcomes(limiter, 100))["rate_limit_exceeded"] > 0


async def test_a_plan_that_changes_while_it_is_looked_up_is_looked_up_again() -> None:
    looked = 0

    async def limits_of(_account: str, _livemode: bool) -> Limits:
        nonlocal looked
        looked += 1
        if looked == 1:
            limiter.told("account:acct_1")
        return PLANS["free"]

    limiter = Limiter(Memory(), limits_of)
    for _ in range(3):
        assert await outcome(limiter) == TAKEN
    assert looked == 2


async def test_only_so_many_accounts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_limit, "REMEMBERED_MAX", 10)
    limiter = limiter_of(Memory(), PLANS["enterprise"])
    for number in range(100):
        assert await outcome(limiter, f"acct_{number}") == TAKEN
    assert len(limiter._buckets) <= 10


async def test_more_than_one_statement_takes_are_asked_for_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(account_limit, "ASKS_AT_ONCE_MAX", 10)
    memory = Memory()
    steps = counted(memory)
    limiter = limiter_of(memory, PLANS["free"])
    found = await asyncio.gather(*(outcome(limiter, f"acct_{n}") for n in range(35)))
    assert (set(found), len(steps)) == ({TAKEN}, 4)
