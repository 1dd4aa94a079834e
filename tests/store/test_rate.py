"""Rate budgets: the statement and the model agree, and never give more than there is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.store.database import Database
from commerce.store.memory import Memory
from commerce.store.rate import DAY, NANOSECONDS, Ask, Budget, Grant, take
from commerce.store.session import Store, StoreUnavailable
from tests.store import row

TENTH = NANOSECONDS // 10
NOON = 20_000 * DAY + DAY // 2


def free(account: str, wanted: int = 1, returned: int = 0, daily: int | None = 1_000) -> Ask:
    return Ask(account, False, wanted, returned, TENTH, 20, daily)


async def taken(store: Store, ask: Ask) -> Grant:
    """What one ask is given."""
    return (await store.take([ask]))[ask.account, ask.livemode]


@pytest.fixture
async def connection(migrated_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection beside the store's."""
    connection = await asyncpg.connect(migrated_url)
    yield connection
    await connection.close()


async def test_a_full_bucket_gives_its_depth_and_no_more(store: Store) -> None:
    account = row.name()
    grant = await taken(store, free(account, 50))
    assert (grant.granted, grant.used, grant.full_at - grant.now) == (20, 20, 20 * TENTH)
    assert (await taken(store, free(account, 1))).granted == 0


async def test_accounts_and_modes_have_buckets_of_their_own(store: Store) -> None:
    one, two = row.name(), row.name()
    asks = [free(one, 20), free(two, 3), free(one, 20)._replace(livemode=True)]
    grants = await store.take(asks)
    assert {name: grant.granted for name, grant in grants.items()} == {
        (one, False): 20,
        (two, False): 3,
        (one, True): 20,
    }


async def test_a_day_ends_at_its_number_and_refusals_do_not_count(store: Store) -> None:
    account = row.name()
    assert (await taken(store, free(account, 3, daily=5))).used == 3
    grant = await taken(store, free(account, 3, daily=5))
    assert (grant.granted, grant.used) == (2, 5)
    grant = await taken(store, free(account, 3, daily=5))
    assert (grant.granted, grant.used) == (0, 5)


async def test_what_nobody_used_is_given_back_to_the_day_and_not_to_the_bucket(
    store: Store,
) -> None:
    account = row.name()
    before = await taken(store, free(account, 4))
    after = await taken(store, free(account, 0, returned=3))
    assert (after.granted, after.used, after.full_at) == (0, 1, before.full_at)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 50),
            st.integers(0, 3),
            st.sampled_from([0, 1, TENTH - 1, TENTH, 7 * TENTH, 30 * TENTH]),
        )
    ),
    st.sampled_from([None, 30, 1_000]),
)
def test_no_span_of_time_gets_more_than_a_bucket_and_the_rate(
    steps: list[tuple[int, int, int]], daily: int | None
) -> None:
    now, budget, given_at = NOON, None, []
    for wanted, returned, pause in steps:
        now += pause
        budget, grant = take(budget, free("a", wanted, returned, daily), now)
        given_at += [now] * grant.granted
    for first, since in enumerate(given_at):
        for last, until in enumerate(given_at[first:], first):
            assert last - first + 1 <= 20 + (until - since) // TENTH


@given(st.integers(0, 100), st.integers(1, 100 * TENTH))
def test_a_bucket_refills_with_time_up_to_its_depth(drained: int, pause: int) -> None:
    budget, first = take(None, free("a", drained), NOON)
    _, second = take(budget, free("a", 100), NOON + pause)
    assert second.granted == min(20, 20 - first.granted + pause // TENTH)


async def test_the_statement_gives_what_the_model_gives(
    database: Database, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    dice = random.Random(7)  # noqa: S311 - the same every time
    for _ in range(300):
        account = row.name()
        there = await taken(database, free(account, 0))
        asked_at = there.now - dice.choice([0, TENTH, DAY, -2 * DAY, -5 * TENTH])
        full_at = there.now + dice.randrange(-30, 60) * TENTH * dice.choice([1, 1, 1, 9])
        kept = Budget(asked_at, full_at, dice.randrange(1_010))
        await connection.execute(
            "UPDATE rate_budget SET asked_at = $2, full_at = $3, used = $4 WHERE account = $1",
            account,
            *kept,
        )
        daily = dice.choice([None, 10, 1_000])
        ask = free(account, dice.randrange(40), dice.randrange(4), daily)
        grant = await taken(database, ask)
        model, expected = take(kept, ask, grant.now)
        assert grant == expected
        query = "SELECT asked_at, full_at, used FROM rate_budget WHERE account = $1"
        assert [tuple(each) for each in await connection.fetch(query, account)] == [model]


async def test_those_who_ask_at_once_share_what_there_is(
    database: Database, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    accounts = [row.name() for _ in range(5)]
    slow = [Ask(account, False, 3, 0, 1_000 * NANOSECONDS, 20, None) for account in accounts]
    grants = await asyncio.gather(
        *(database.take(slow if turn % 2 else slow[::-1]) for turn in range(20))
    )
    for account in accounts:
        assert sum(each[account, False].granted for each in grants) == 20
    assert await connection.fetchval("SELECT count(*) FROM rate_budget WHERE granted < 0") == 0


async def test_a_clock_that_was_set_back_locks_nobody_out(
    database: Database, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    account = row.name()
    await taken(database, free(account, 5))
    hour = 3_600 * NANOSECONDS
    await connection.execute(
        "UPDATE rate_budget SET asked_at = asked_at + $2, full_at = full_at + $2"
        " WHERE account = $1",
        account,
        hour,
    )
    grant = await taken(database, free(account, 1))
    assert (grant.granted, grant.full_at - grant.now) == (0, 20 * TENTH)
    await asyncio.sleep(0.11)
    assert (await taken(database, free(account, 1))).granted == 1


async def test_a_row_that_somebody_holds_is_an_outage_and_not_a_fault(
    database: Database, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    account = row.name()
    await taken(database, free(account))
    pool = await database._pooled()
    await pool.execute("SET lock_timeout = '20ms'")
    async with connection.transaction():
        await connection.execute("SELECT FROM rate_budget WHERE account = $1 FOR UPDATE", account)
        with pytest.raises(StoreUnavailable):
            await taken(database, free(account))
    await pool.expire_connections()


async def test_the_store_in_memory_has_a_clock_that_can_be_set() -> None:
    memory = Memory()
    memory.now = lambda: NOON
    assert (await taken(memory, free("a", 30))).granted == 20
    memory.now = lambda: NOON + 3 * TENTH
    assert (await taken(memory, free("a", 30))).granted == 3
