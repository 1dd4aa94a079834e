"""The limiter by itself: what it asks the store, what it leases, what its fields say."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.http.limits import account as account_limit
from commerce.http.limits import address as address_limit
from commerce.http.limits.account import PLANS, Fields, Limiter, Limits, Policy
from commerce.http.limits.address import Addresses, network
from commerce.http.request import Request
from commerce.kernel.errors import ApiError
from commerce.store.memory import Memory
from commerce.store.rate import DAY, NANOSECONDS
from commerce.store.session import StoreUnavailable

TAKEN = ""
NOON = 20_000 * DAY + DAY // 2


async def no_body() -> dict[str, object]:
    raise AssertionError("no body is read")


def request(peer: str | None = None) -> Request:
    return Request("req_1", "GET", "/v1/account", b"", {}, no_body, peer=peer)


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


async def test_a_slow_plan_asks_for_every_request_and_a_fast_one_seldom() -> None:
    memory = Memory()
    steps = counted(memory)
    slow, fast = limiter_of(memory, PLANS["free"]), limiter_of(memory, PLANS["enterprise"])
    for _ in range(5):
        assert await outcome(slow) == TAKEN
    assert len(steps) == 5
    steps.clear()
    for _ in range(400):
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
    limiter = limiter_of(memory, PLANS["enterprise"])
    found = await asyncio.gather(*(outcome(limiter) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 3
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


def read(fields: Fields) -> dict[str, str]:
    assert len(dict(fields)) == len(fields)
    return {name.decode(): value.decode() for name, value in fields}


def test_the_fields_of_the_free_plan_are_those_of_the_contract() -> None:
    fields = read(Policy(PLANS["free"]).fields(8 * NANOSECONDS // 10, NOON, 900))
    assert fields == {
        "x-ratelimit-limit": "20",
        "x-ratelimit-remaining": "12",
        "x-ratelimit-reset": str(NOON // NANOSECONDS + 1),
        "ratelimit-policy": '"burst";q=20;w=2, "daily";q=1000;w=86400',
        "ratelimit": '"burst";r=12;t=1',
    }


def test_without_a_daily_limit_there_is_no_daily_policy() -> None:
    fields = read(Policy(PLANS["enterprise"]).fields(0, NOON, None))
    assert fields["ratelimit-policy"] == '"burst";q=40000;w=2'
    assert fields["ratelimit"] == '"burst";r=40000;t=0'


def test_where_less_is_left_of_the_day_the_fields_tell_of_the_day() -> None:
    fields = read(Policy(PLANS["free"]).fields(0, NOON, 3))
    assert fields["x-ratelimit-remaining"] == "3"
    assert fields["ratelimit"] == '"daily";r=3;t=43200'
    assert fields["x-ratelimit-reset"] == str((NOON + DAY // 2) // NANOSECONDS)


limits = st.builds(
    Limits, st.integers(1, 1_000_000), st.integers(1, 10_000_000), st.none() | st.integers(1, 10**9)
)


@given(limits, st.data())
def test_the_fields_are_true_to_the_bucket(limits: Limits, data: st.DataObject) -> None:
    policy = Policy(limits)
    taken = data.draw(st.integers(0, limits.burst))
    part = data.draw(st.integers(0, policy.nanoseconds - 1)) if taken else 0
    owed = taken * policy.nanoseconds - part
    now = data.draw(st.integers(NOON, NOON + DAY - 1))
    fields = read(policy.fields(owed, now, None))
    assert fields["x-ratelimit-limit"] == str(limits.burst)
    assert fields["x-ratelimit-remaining"] == str(limits.burst - taken)
    reset = int(fields["x-ratelimit-reset"])
    assert (reset - 1) * NANOSECONDS < now + owed <= reset * NANOSECONDS
    seconds = -(-owed // NANOSECONDS)
    assert fields["ratelimit"] == f'"burst";r={limits.burst - taken};t={seconds}'
    assert policy.nanoseconds * limits.rate >= NANOSECONDS
    assert policy.lease * 100 <= limits.burst
    assert policy.lease == 0 or limits.rate >= 100


def test_an_address_is_held_to_its_rate_and_others_are_not_held_to_it() -> None:
    addresses = Addresses(1)
    for _ in range(2):
        addresses.check("192.0.2.1")
        addresses.take(request("192.0.2.1"))
    asked = request("192.0.2.1")
    with pytest.raises(ApiError) as refused:
        addresses.take(asked)
    assert (refused.value.code, refused.value.headers) == (
        "rate_limit_exceeded",
        {"Retry-After": "1"},
    )
    assert read(asked.limits)["x-ratelimit-remaining"] == "0"
    with pytest.raises(ApiError):
        addresses.check("192.0.2.1")
    addresses.take(request("192.0.2.2"))
    addresses.take(request(None))
    addresses.check(None)


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_limit, "REMEMBERED_MAX", 100)
    addresses = Addresses(1)
    for number in range(1_000):
        addresses.take(request(f"10.0.{number // 250}.{number % 250}"))
        assert len(addresses._full_at) <= 100
    addresses.take(request("10.0.3.249"))
    with pytest.raises(ApiError):
        addresses.take(request("10.0.3.249"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("a socket", "another socket", False),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
