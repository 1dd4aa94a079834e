"""The sealer: every transaction in one block, in an order that agrees with every account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from commerce.engine import sealer as sealing
from commerce.engine.sealer import Sealer
from commerce.ledger.account import BALANCE
from commerce.ledger.block import BLOCK, Block, close, leaves
from commerce.ledger.entry import ENTRY, TRANSACTION
from commerce.proofs import GENESIS, hash_of_block, merkle_root
from commerce.store.database import Database
from commerce.store.memory import Memory
from commerce.store.session import EPOCH_SHIFT, Conflict, Store, StoreUnavailable
from commerce.store.table import Filter, Page, Row, Writing
from tests.engine.world import World, moving, purse
from tests.process import eventually

MARK = TRANSACTION.names.index("mark")


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    database = Database(migrated_url, pool_size=2)
    yield database
    await database.close()


@pytest.fixture(params=["memory", "database"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each store in turn."""
    store: Store = request.getfixturevalue(request.param)
    return store


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    async with World(store).running() as world:
        yield world


@pytest.fixture
async def sealer(world: World) -> AsyncIterator[Sealer]:
    sealer = Sealer(world.store, world.now, [False])
    while await sealer.turn():
        pass
    yield sealer
    await sealer._hang_up()


async def chain(store: Store) -> list[Block]:
    """The blocks there are, the first one first."""
    filters = [Filter("livemode", "=", False)]
    rows = await store.page(Page(BLOCK, filters, ("height",), 10_000, ascending=True))
    return [Block.of(row) for row in rows]


async def sealed(store: Store, block: Block, begin: int) -> list[Row]:
    """What a block holds."""
    return await store.page(leaves(False, begin, block.until, 100_000))


async def move(world: World, count: int = 1, *, to: str = "b") -> None:
    """Book so many transactions, in one batch."""
    commands = [moving(purse(f"from {to}"), purse(to)) for _ in range(count)]
    answers = await world.submit(*commands)
    assert not [each for each in answers if isinstance(each, BaseException)]


async def test_what_was_committed_is_sealed_once_and_chained(world: World, sealer: Sealer) -> None:
    before = await chain(world.store)
    await move(world, 3)
    await sealer.turn()
    await move(world, 2)
    world.clock.advance(5)
    await sealer.turn()
    assert await sealer.turn() == []
    *_, one, two = await chain(world.store)
    assert [one.transaction_count, two.transaction_count] == [3, 2]
    previous = before[-1] if before else None
    assert one.previous_hash == (previous.hash if previous else GENESIS)
    assert (two.previous_hash, two.height) == (one.hash, one.height + 1)
    assert two.created == one.created + 5
    begin = 0 if previous is None else previous.until
    for block in (one, two):
        hashes = [row[3] for row in await sealed(world.store, block, begin)]
        assert block.merkle_root == merkle_root(hashes)
        assert block.transaction_count == len(hashes)
        assert block.hash == hash_of_block(
            block.height, block.previous_hash, block.merkle_root, block.created, len(hashes)
        )
        begin = block.until


async def test_a_clock_that_was_set_back_does_not_set_the_chain_back(
    world: World, sealer: Sealer
) -> None:
    await move(world)
    (first,) = await sealer.turn()
    world.clock.advance(-60)
    await move(world)
    (second,) = await sealer.turn()
    assert second.created == first.created


async def test_nothing_is_sealed_above_a_transaction_that_still_runs(
    world: World, sealer: Sealer
) -> None:
    running = await world.store.session()
    await running.begin()
    await running.load({})
    mark = running.mark
    await move(world)
    assert await sealer.turn() == []
    assert (await sealer.state(False)).lag_seconds == 0
    world.clock.advance(7)
    await move(world)
    assert (await sealer.state(False)).lag_seconds == 7, "it is the oldest that counts"
    await running.rollback()
    (block,) = await sealer.turn()
    assert block.until > mark
    assert await sealer.state(False) == (block.height, 0)
    await running.close()


@pytest.mark.usefixtures("sealer")
async def test_whoever_got_the_lock_first_is_first_in_the_chain_however_late_it_began(
    world: World,
) -> None:
    """The earlier transaction books second, and must not be sealed without the one before it."""
    early, late = [await world.store.session() for _ in range(2)]
    for session in (early, late):
        await session.begin()
        await session.load({})
    assert early.mark < late.mark
    await late.rollback()
    await early.rollback()
    await move(world, to="c")
    row = (await world.store.find(BALANCE.key, [purse("c").shard(0)]))[0]
    # Another process was given a later transaction id and booked on this account since.
    ahead = row[-1] + 1_000
    await late.begin()
    await late.write(Writing({}, {BALANCE: [(*row[:-1], ahead)]}, ()))
    await late.commit()
    await move(world, to="c")
    entries = await world.store.page(
        Page(ENTRY, [Filter("code", "=", "c")], ENTRY.key.columns, 10_000, ascending=True)
    )
    assert [entry[-1] for entry in entries][-1] == ahead
    found = await world.store.page(
        Page(TRANSACTION, [Filter("id", "=", entries[-1][5])], ("id",), 1)
    )
    assert found[0][MARK] == ahead, "a transaction is sealed with what it was booked upon"
    for session in (early, late):
        await session.close()


async def test_entries_of_an_account_never_fall_behind_in_marks(world: World) -> None:
    for _ in range(3):
        await move(world, 4, to="d")
    filters = [Filter("code", "=", "d")]
    entries = await world.store.page(
        Page(ENTRY, filters, ENTRY.key.columns, 10_000, ascending=True)
    )
    marks = [entry[-1] for entry in sorted(entries, key=lambda entry: entry[4])]
    assert marks == sorted(marks)
    row = (await world.store.find(BALANCE.key, [purse("d").shard(0)]))[0]
    assert row[-1] == marks[-1]


async def test_two_sealers_seal_nothing_twice(world: World, sealer: Sealer) -> None:
    other = Sealer(world.store, world.now, [False])
    for _ in range(5):
        await move(world, 2)
        await asyncio.gather(sealer.turn(), other.turn(), return_exceptions=True)
    for each in (other, sealer, other, sealer):
        await move(world)
        assert len(await each.turn()) == 1, "whoever leads goes on where the other one ended"
    blocks = await chain(world.store)
    assert [block.height for block in blocks] == list(range(1, len(blocks) + 1))
    begin = total = 0
    for block in blocks:
        total += len(await sealed(world.store, block, begin))
        begin = block.until
    everything = await world.store.page(leaves(False, 0, begin, 100_000))
    assert total == sum(block.transaction_count for block in blocks) == len(everything)
    await other._hang_up()


async def test_one_sealer_leads_while_another_asks(world: World, sealer: Sealer) -> None:
    leading = await world.store.session()
    await leading.begin()
    assert await leading.horizon(sealing.LOCK) is not None
    await move(world)
    assert await sealer.turn() == []
    await leading.rollback()
    assert len(await sealer.turn()) == 1
    await leading.close()


@pytest.mark.parametrize(
    ("counts", "sealed"),
    [
        ([2, 2, 2], [2, 2, 2]),
        ([7], [7]),
        ([1, 7, 1], [1, 7, 1]),
        # As many marks as there is room for go into one block, and no part of the next.
        ([2, 1, 3], [3, 3]),
    ],
)
async def test_a_block_is_cut_where_a_mark_ends(
    world: World,
    sealer: Sealer,
    counts: list[int],
    sealed: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sealing, "BLOCK_TRANSACTIONS_MAX", 3)
    for count in counts:
        await move(world, count)
    blocks: list[Block] = []
    while found := await sealer.turn():
        blocks += found
    assert [block.transaction_count for block in blocks] == sealed


async def test_sealing_goes_on_after_the_store_was_away(memory: Memory) -> None:
    async with World(memory).running() as world:
        away = True

        async def interrupt(step: str) -> None:
            if away and step == "horizon":
                raise StoreUnavailable

        sealer = Sealer(memory, world.now, [False])
        await move(world)
        memory.interrupt = interrupt
        task = asyncio.create_task(sealer.run())
        await asyncio.sleep(0.05)
        assert await chain(memory) == []
        away = False
        await eventually(lambda: _is_sealed(memory))
        sealer.stop()
        await task


async def _is_sealed(store: Store) -> bool:
    return bool(await chain(store))


async def test_a_block_that_could_not_be_kept_is_closed_again(memory: Memory) -> None:
    async with World(memory).running() as world:
        sealer = Sealer(memory, world.now, [False])
        await move(world)

        async def interrupt(step: str) -> None:
            if step in {"write", "commit"}:
                raise StoreUnavailable

        memory.interrupt = interrupt
        with pytest.raises(StoreUnavailable):
            await sealer.turn()
        memory.interrupt = None
        assert len(await sealer.turn()) == 1
        await sealer._hang_up()


async def test_a_block_that_is_refused_leaves_the_line_usable(
    world: World, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await move(world)

    def twice(last: Block | None, *given: Any) -> Row:
        row = close(last, *given)
        return row if last is None else (row[0], last.height, *row[2:])

    assert len(await sealer.turn()) == 1
    await move(world)
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "close", twice)
        with pytest.raises(Conflict):
            await sealer.turn()
    assert len(await sealer.turn()) == 1


async def test_another_cluster_begins_another_epoch(database: Database, migrated_url: str) -> None:
    sql = await asyncpg.connect(migrated_url)
    session = await database.session()
    await session.begin()
    await session.load({})
    first = session.mark >> EPOCH_SHIFT
    await session.rollback()
    await session.close()
    # A logical restore brings the rows of another cluster.
    await sql.execute("UPDATE ledger_epoch SET system_identifier = 1")
    session = await database.session()
    await session.begin()
    await session.load({})
    assert session.mark >> EPOCH_SHIFT == first + 1
    await session.rollback()
    await session.close()
    assert await sql.fetchval("SELECT current_ledger_epoch()") == first + 1
    await sql.close()
