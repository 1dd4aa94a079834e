"""What only the store in memory can do: stop the world between two steps, and fail on demand."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from commerce.ledger.account import BALANCE
from commerce.store.memory import Memory
from commerce.store.session import CommitUnknown, Duplicate, LockTimeout, StoreUnavailable
from commerce.store.table import Column, Table
from tests.store import row


def failing(at: str, error: Exception) -> Callable[[str], Awaitable[None]]:
    """An interrupt that raises at one step."""

    async def interrupt(step: str) -> None:
        if step == at:
            raise error

    return interrupt


async def test_the_interrupt_is_let_in_before_each_step(memory: Memory) -> None:
    steps: list[str] = []

    async def interrupt(step: str) -> None:
        steps.append(step)

    memory.interrupt = interrupt
    async with row.opened(memory) as session:
        await session.begin()
        await session.find(BALANCE.key, [])
        await session.load({})
        await session.write(row.inserted())
        await session.commit()
    await memory.outcome(0)
    assert steps == ["session", "begin", "find", "load", "write", "commit", "committed", "outcome"]


@pytest.mark.parametrize(
    ("at", "error", "outcome"),
    [
        ("write", StoreUnavailable(), "aborted"),
        ("commit", CommitUnknown(), "aborted"),
        ("committed", CommitUnknown(), "committed"),
    ],
)
async def test_a_failing_step_leaves_what_postgresql_would_leave(
    memory: Memory, at: str, error: Exception, outcome: str
) -> None:
    account = row.name()
    memory.interrupt = failing(at, error)
    with pytest.raises(type(error)):
        await row.keep(memory, row.inserted((BALANCE, row.balance(account, 1))))
    assert await memory.outcome(0) == outcome
    assert await row.amounts(memory, account) == ([1] if outcome == "committed" else [])


async def test_a_stopped_transaction_goes_on_when_it_is_let_go(memory: Memory) -> None:
    account, go = row.name(), asyncio.Event()

    async def interrupt(step: str) -> None:
        if step == "commit":
            await go.wait()

    memory.interrupt = interrupt
    writing = asyncio.create_task(
        row.keep(memory, row.inserted((BALANCE, row.balance(account, 1))))
    )
    await row.settle()
    assert await row.amounts(memory, account) == []
    go.set()
    await writing
    assert await row.amounts(memory, account) == [1]


async def test_a_store_that_fails_to_read_is_not_ready(memory: Memory) -> None:
    memory.interrupt = failing("read", StoreUnavailable())
    assert not await memory.ready()


async def test_a_lock_that_is_not_given_in_time_is_a_lock_timeout() -> None:
    memory = Memory(lock_timeout_seconds=0.02)
    account = row.name()
    await row.keep(memory, row.inserted((BALANCE, row.balance(account, 1))))
    async with row.opened(memory) as first, row.opened(memory) as second:
        await first.begin()
        await row.locked(first, BALANCE.key, row.balance_key(account))
        await second.begin()
        with pytest.raises(LockTimeout):
            await row.locked(second, BALANCE.key, row.balance_key(account))


async def test_a_cancelled_wait_lets_go_of_what_was_locked(memory: Memory) -> None:
    one, two = sorted([row.name(), row.name()])
    rows = row.inserted((BALANCE, row.balance(one, 1)), (BALANCE, row.balance(two, 1)))
    await row.keep(memory, rows)
    keys = [row.balance_key(one), row.balance_key(two)]
    async with row.opened(memory) as first, row.opened(memory) as second:
        await first.begin()
        await row.locked(first, BALANCE.key, keys[1])
        await second.begin()
        waiting = asyncio.create_task(row.locked(second, BALANCE.key, *keys))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(await row.locked(first, BALANCE.key, keys[0])) == 1


async def test_whoever_waited_for_what_is_over_is_in_no_deadlock(memory: Memory) -> None:
    one, two = sorted([row.name(), row.name()])
    rows = row.inserted((BALANCE, row.balance(one, 1)), (BALANCE, row.balance(two, 1)))
    await row.keep(memory, rows)
    keys = [row.balance_key(one), row.balance_key(two)]
    async with row.opened(memory) as first, row.opened(memory) as second:
        await first.begin()
        await row.locked(first, BALANCE.key, keys[1])
        await second.begin()
        waiting = asyncio.create_task(row.locked(second, BALANCE.key, *keys))
        await asyncio.sleep(0)
        # The first ends and begins anew before the second, which holds a lock, has noticed.
        await first.rollback()
        await first.begin()
        again = asyncio.create_task(row.locked(first, BALANCE.key, keys[0]))
        assert len(await waiting) == 2
        await second.rollback()
        assert len(await again) == 1


async def test_rows_without_a_value_do_not_stand_in_each_others_way(memory: Memory) -> None:
    columns = [Column("id", "text"), Column("name", "text", nullable=True)]
    named = Table("named", columns, key=("id",), rank=1, unique=(("name",),))
    await row.keep(memory, row.inserted((named, ("1", None)), (named, ("2", None))))
    await row.keep(memory, row.inserted((named, ("3", "one"))))
    with pytest.raises(Duplicate):
        await row.keep(memory, row.inserted((named, ("4", "one"))))
    assert await memory.find(named.key, [("1",), ("2",), ("4",)]) == [("1", None), ("2", None)]


async def test_a_row_is_found_by_another_index_beside_what_the_transaction_has_written(
    memory: Memory,
) -> None:
    columns = [Column("id", "text"), Column("name", "text")]
    named = Table("named", columns, key=("id",), rank=1, unique=(("name",),))
    await row.keep(memory, row.inserted((named, ("1", "one"))))
    async with row.opened(memory) as session:
        await session.begin()
        await session.write(row.inserted((named, ("2", "two"))))
        found = await session.find(named.unique["name",], [("one",), ("two",), ("three",)])
        assert found == [("1", "one"), ("2", "two")]
        await session.rollback()
