"""What every store keeps to: the same tests over PostgreSQL and over memory."""

import asyncio

import pytest

from commerce.engine.answers import ANSWER
from commerce.ledger.account import BALANCE
from commerce.ledger.directory import ADDRESS
from commerce.ledger.entry import TRANSACTION
from commerce.store.session import Conflict, Duplicate, Session, Store, WriteRefused
from tests.store import row


async def test_before_the_commit_only_the_transaction_sees_what_it_wrote(
    store: Store,
) -> None:
    account = row.name()
    key = row.balance_key(account)
    async with row.opened(store) as session:
        await session.begin()
        await session.write(row.inserted((BALANCE, row.balance(account, 1))))
        assert await store.find(BALANCE.key, [key]) == []
        assert await session.find(BALANCE.key, [key]) == [row.balance(account, 1)]
        await session.commit()
    assert await row.amounts(store, account) == [1]


async def test_a_rollback_leaves_nothing_behind(store: Store) -> None:
    old, new = row.name(), row.name()
    await row.keep(store, row.inserted((BALANCE, row.balance(old, 1))))
    async with row.opened(store) as session:
        await session.begin()
        await session.write(row.inserted((BALANCE, row.balance(new, 1))))
        await session.write(row.updated(BALANCE, row.balance(old, 5)))
        await session.rollback()
        assert await row.amounts(store, old, new) == [1]
        await session.begin()
        assert await row.locked(session, BALANCE.key, row.balance_key(old)) == [row.balance(old, 1)]
        await session.commit()


async def test_a_session_that_is_closed_in_a_transaction_has_undone_it(store: Store) -> None:
    account = row.name()
    async with row.opened(store) as session:
        await session.begin()
        xid = await session.write(row.inserted((BALANCE, row.balance(account, 1))))
    await _until(store, xid, "aborted")
    assert await row.amounts(store, account) == []
    await row.keep(store, row.inserted((BALANCE, row.balance(account, 2))))


async def test_an_update_changes_only_what_the_table_says_may_change(store: Store) -> None:
    account = row.name()
    await row.keep(store, row.inserted((BALANCE, row.balance(account, 1))))
    changed = (*row.balance_key(account), True, False, 7, 2, 5)
    await row.keep(store, row.updated(BALANCE, changed))
    kept = (*row.balance_key(account), False, True, 7, 2, 5)
    assert await store.find(BALANCE.key, [row.balance_key(account)]) == [kept]


async def test_an_update_of_a_row_that_is_not_there_makes_none(store: Store) -> None:
    account = row.name()
    await row.keep(store, row.updated(BALANCE, row.balance(account, 1)))
    assert await row.amounts(store, account) == []


async def test_rows_come_in_the_order_of_their_keys_whatever_order_was_asked_for(
    store: Store,
) -> None:
    names = sorted(row.name() for _ in range(3))
    await row.keep(store, row.inserted(*[(BALANCE, row.balance(name, 1)) for name in names]))
    await row.keep(store, row.inserted((ANSWER, row.answer(names[0]))))
    wanted = {
        ANSWER.key: {(names[0], False, "k"): True},
        BALANCE.key: {row.balance_key(name): name != names[1] for name in reversed(names)},
    }
    async with row.opened(store) as session:
        await session.begin()
        loaded = await session.load(wanted)
        await session.rollback()
    assert [index for index, _ in loaded][-1] is ANSWER.key
    found = {index: [] for index, _ in loaded}  # type: ignore[var-annotated]
    for index, rows in loaded:
        found[index] += [each[0] for each in rows]
    assert sorted(found[BALANCE.key]) == names
    assert found[ANSWER.key] == [names[0]]


async def test_a_key_without_a_row_loads_nothing_and_locks_nothing(store: Store) -> None:
    account = row.name()
    async with row.opened(store) as first, row.opened(store) as second:
        await first.begin()
        await second.begin()
        assert await row.locked(first, BALANCE.key, row.balance_key(account)) == []
        assert await row.locked(second, BALANCE.key, row.balance_key(account)) == []
        await first.rollback()
        await second.rollback()


async def test_a_load_of_nothing_is_empty(store: Store) -> None:
    async with row.opened(store) as session:
        await session.begin()
        assert await session.load({}) == []
        await session.rollback()


# Locks


@pytest.mark.parametrize("kept", [True, False])
async def test_a_locked_row_is_waited_for_and_read_as_it_is_then(store: Store, kept: bool) -> None:
    account = row.name()
    key = row.balance_key(account)
    await row.keep(store, row.inserted((BALANCE, row.balance(account, 1))))
    async with row.opened(store) as first, row.opened(store) as second:
        await first.begin()
        await row.locked(first, BALANCE.key, key)
        await second.begin()
        waiting = asyncio.create_task(row.locked(second, BALANCE.key, key))
        await row.settle()
        assert not waiting.done()
        await first.write(row.updated(BALANCE, row.balance(account, 5)))
        await (first.commit() if kept else first.rollback())
        assert await waiting == [row.balance(account, 5 if kept else 1)]
        await second.rollback()


async def test_a_lock_keeps_writers_out_and_lets_readers_in(store: Store) -> None:
    account = row.name()
    key = row.balance_key(account)
    await row.keep(store, row.inserted((BALANCE, row.balance(account, 1))))
    async with row.opened(store) as first, row.opened(store) as second:
        await first.begin()
        await row.locked(first, BALANCE.key, key)
        await second.begin()
        assert await second.load({BALANCE.key: {key: False}}) == [
            (BALANCE.key, [row.balance(account, 1)])
        ]
        writing = asyncio.create_task(second.write(row.updated(BALANCE, row.balance(account, 9))))
        await row.settle()
        assert not writing.done()
        await first.commit()
        await writing
        await second.commit()
    assert await row.amounts(store, account) == [9]


async def test_locks_are_taken_by_rank_and_key_whatever_order_was_asked_for(store: Store) -> None:
    """Whoever waits for the first lock holds none of those after it, so nobody can deadlock."""
    low, high = row.name(), row.name()
    first, second, third = row.balance_key(low), row.balance_key(high), (low, False, "k")
    for table, kept in ((ANSWER, row.answer(low)), (BALANCE, row.balance(high, 1))):
        await row.keep(store, row.inserted((table, kept)))
    await row.keep(store, row.inserted((BALANCE, row.balance(low, 1))))
    async with row.opened(store) as holder, row.opened(store) as waiter, row.opened(store) as other:
        for session in (holder, waiter, other):
            await session.begin()
        await row.locked(holder, BALANCE.key, first)
        wanted = {ANSWER.key: {third: True}, BALANCE.key: {second: True, first: True}}
        waiting = asyncio.create_task(waiter.load(wanted))
        await row.settle()
        assert len(await row.locked(other, BALANCE.key, second)) == 1
        assert len(await row.locked(other, ANSWER.key, third)) == 1
        await other.rollback()
        await holder.rollback()
        assert [len(rows) for _, rows in await waiting] == [2, 1]


async def test_additions_under_locks_are_never_lost(store: Store) -> None:
    account = row.name()
    key = row.balance_key(account)
    await row.keep(store, row.inserted((BALANCE, row.balance(account, 0))))

    async def add(session: Session) -> None:
        for _ in range(5):
            await session.begin()
            (found,) = await row.locked(session, BALANCE.key, key)
            amount = found[row.PLACE]
            await session.write(row.updated(BALANCE, row.balance(account, amount + 1)))
            await session.commit()

    async with row.opened(store) as a, row.opened(store) as b, row.opened(store) as c:
        await asyncio.gather(add(a), add(b), add(c))
    assert await row.amounts(store, account) == [15]


async def test_a_deadlock_ends_in_a_conflict_for_one_of_the_two(store: Store) -> None:
    one, two = row.name(), row.name()
    await row.keep(
        store, row.inserted((BALANCE, row.balance(one, 1)), (BALANCE, row.balance(two, 1)))
    )
    async with row.opened(store) as first, row.opened(store) as second:
        await first.begin()
        await second.begin()
        await row.locked(first, BALANCE.key, row.balance_key(one))
        await row.locked(second, BALANCE.key, row.balance_key(two))
        results = await asyncio.gather(
            row.locked(first, BALANCE.key, row.balance_key(two)),
            row.locked(second, BALANCE.key, row.balance_key(one)),
            return_exceptions=True,
        )
        assert [type(result) for result in results if isinstance(result, Exception)] == [Conflict]
        await first.rollback()
        await second.rollback()


# Unique keys


async def test_a_key_that_is_taken_is_a_duplicate_and_undoes_all(store: Store) -> None:
    account, other = row.name(), row.name()
    await row.keep(store, row.inserted((ANSWER, row.answer(account))))
    async with row.opened(store) as session:
        await session.begin()
        writing = row.inserted((BALANCE, row.balance(other, 1)), (ANSWER, row.answer(account)))
        with pytest.raises(Duplicate) as caught:
            await session.write(writing)
        await session.rollback()
    assert caught.value.table == "answer"
    assert await row.amounts(store, other) == []


async def test_a_second_unique_index_is_kept_as_well(store: Store) -> None:
    account, source = row.name(), row.name()
    await row.keep(store, row.inserted((TRANSACTION, row.transaction(account, row.name(), source))))
    again = row.transaction(account, row.name(), source)
    with pytest.raises(Duplicate) as caught:
        await row.keep(store, row.inserted((TRANSACTION, again)))
    assert caught.value.table == "ledger_transaction"


async def test_two_new_rows_of_one_key_in_one_write_are_a_duplicate(store: Store) -> None:
    account = row.name()
    with pytest.raises(Duplicate):
        await row.keep(store, row.inserted(*[(ANSWER, row.answer(account))] * 2))


@pytest.mark.parametrize("kept", [True, False])
async def test_a_new_row_waits_for_one_of_the_same_key_that_is_not_committed(
    store: Store,
    kept: bool,
) -> None:
    account = row.name()
    async with row.opened(store) as first, row.opened(store) as second:
        await first.begin()
        await second.begin()
        await first.write(row.inserted((ANSWER, row.answer(account, body="first"))))
        writing = asyncio.create_task(
            second.write(row.inserted((ANSWER, row.answer(account, body="second"))))
        )
        await row.settle()
        assert not writing.done()
        await (first.commit() if kept else first.rollback())
        if kept:
            with pytest.raises(Duplicate):
                await writing
            await second.rollback()
        else:
            await writing
            await second.commit()
    winner = "first" if kept else "second"
    found = await store.find(ANSWER.key, [(account, False, "k")])
    assert found == [row.answer(account, body=winner)]


async def test_a_key_that_is_taken_is_refused_although_another_has_locked_its_row(
    store: Store,
) -> None:
    account = row.name()
    await row.keep(store, row.inserted((BALANCE, row.balance(account, 1))))
    async with row.opened(store) as first, row.opened(store) as second:
        await first.begin()
        await row.locked(first, BALANCE.key, row.balance_key(account))
        await second.begin()
        with pytest.raises(Duplicate):
            await second.write(row.inserted((BALANCE, row.balance(account, 2))))
        await second.rollback()
        await first.rollback()


async def test_a_null_where_none_may_be_is_refused(store: Store) -> None:
    text = row.name()
    with pytest.raises(WriteRefused):
        await row.keep(store, row.inserted((ADDRESS, (False, text, None, None))))
    assert await store.find(ADDRESS.key, [(False, text)]) == []


# What became of a transaction


async def test_the_outcome_of_a_transaction_can_be_asked_for(store: Store) -> None:
    account = row.name()
    async with row.opened(store) as session:
        await session.begin()
        xid = await session.write(row.inserted((BALANCE, row.balance(account, 1))))
        assert await store.outcome(xid) == "running"
        await session.commit()
        assert await store.outcome(xid) == "committed"
        await session.begin()
        undone = await session.write(row.updated(BALANCE, row.balance(account, 2)))
        await session.rollback()
        assert await store.outcome(undone) == "aborted"


@pytest.mark.parametrize("xid", [2**20, 2**40])
async def test_the_outcome_of_a_transaction_the_store_never_had_is_unknown(
    store: Store, xid: int
) -> None:
    assert await store.outcome(xid) == "unknown"


async def test_a_key_is_held_only_while_a_new_row_of_it_is_not_committed(store: Store) -> None:
    account = row.name()
    mine = row.answer(account)
    assert not await store.held(ANSWER, mine)
    async with row.opened(store) as session:
        await session.begin()
        await session.write(row.inserted((ANSWER, mine)))
        assert await store.held(ANSWER, mine)
        assert not await store.held(ANSWER, row.answer(account, key="other"))
        await session.commit()
        assert not await store.held(ANSWER, mine)
        await session.begin()
        await row.locked(session, ANSWER.key, (account, False, "k"))
        assert not await store.held(ANSWER, mine)
        await session.rollback()
    assert await store.find(ANSWER.key, [(account, False, "k")]) == [mine]


async def test_asking_whether_a_key_is_held_leaves_no_row_behind(store: Store) -> None:
    account = row.name()
    await store.held(ANSWER, row.answer(account))
    assert await store.find(ANSWER.key, [(account, False, "k")]) == []


async def test_forgotten_rows_are_gone_and_their_keys_are_free(store: Store) -> None:
    account = row.name()
    for key in ("a", "b"):
        await row.keep(store, row.inserted((ANSWER, row.answer(account, key))))
    await store.forget(ANSWER, [(account, False, "a"), (account, False, "never")], created_before=2)
    keys = [(account, False, "a"), (account, False, "b")]
    assert await store.find(ANSWER.key, keys) == [row.answer(account, "b")]
    await store.forget(ANSWER, [(account, False, "b")], created_before=1)
    assert await store.find(ANSWER.key, keys) == [row.answer(account, "b")]
    await row.keep(store, row.inserted((ANSWER, row.answer(account, "a", "again"))))
    assert len(await store.find(ANSWER.key, keys)) == 2


# Lanes, announcements, health


async def test_lanes_are_the_lowest_free_numbers(store: Store) -> None:
    first, second, third = [await store.session() for _ in range(3)]
    assert (first.lane, second.lane, third.lane) == (0, 1, 2)
    await second.close()
    again = await store.session()
    assert again.lane == 1
    for session in (first, again, third):
        await session.close()


async def test_announcements_are_heard_once_committed_and_only_then(store: Store) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    async with store.listen(heard.put_nowait), row.opened(store) as session:
        assert await heard.get() is None
        await session.begin()
        await session.write(row.inserted(announcements=("address:undone",)))
        await session.rollback()
        await session.begin()
        await session.write(row.inserted(announcements=("address:a", "address:a", "api_key:b")))
        await row.settle()
        assert heard.empty()
        await session.commit()
        assert [await heard.get(), await heard.get()] == ["address:a", "api_key:b"]
    await row.keep(store, row.inserted(announcements=("address:late",)))
    assert heard.empty()


async def test_a_store_that_answers_is_ready(store: Store) -> None:
    assert await store.ready()


async def _until(store: Store, xid: int, outcome: str) -> None:
    while await store.outcome(xid) != outcome:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)
