"""Answers are forgotten after a day, all of them and no others, whether or not anybody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from commerce.engine.answers import ANSWER, KEPT_SECONDS
from commerce.jobs import purge as purging
from commerce.jobs.purge import Purge
from commerce.store.database import Database
from commerce.store.memory import Memory
from commerce.store.session import Store, StoreUnavailable
from commerce.store.table import Page
from tests.engine.world import World, moving, name, purse
from tests.process import eventually


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


async def answers(store: Store) -> set[str]:
    """The keys under which answers are remembered."""
    rows = await store.page(Page(ANSWER, [], ANSWER.key.columns, 10_000))
    return {row[2] for row in rows}


async def move(world: World, count: int) -> set[str]:
    """Have so many answers remembered."""
    keys = [name() for _ in range(count)]
    await world.submit(*[moving(purse("a"), purse("b"), key=key) for key in keys])
    return set(keys)


@pytest.mark.parametrize("at_once", [2, 3, 100])
async def test_what_is_older_than_a_day_goes_and_the_rest_stays(
    store: Store, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(purging, "PAUSE_SECONDS", 0)
    async with World(store).running() as world:
        purge = Purge(store, world.now)
        await purge.turn()
        old = await move(world, 5)
        world.clock.advance(KEPT_SECONDS)
        assert await purge.turn() == 0, "it is kept for a whole day"
        world.clock.advance(1)
        fresh = await move(world, 2)
        assert await purge.turn() == 5
        assert await answers(store) >= fresh
        assert not await answers(store) & old
        world.clock.advance(KEPT_SECONDS + 1)
        assert await purge.turn() == 2
        # What was done stays done: the key is a new one now.
        assert len(await world.submit(moving(purse("a"), purse("b"), key=old.pop()))) == 1
        world.clock.advance(2 * KEPT_SECONDS)
        await purge.turn()


async def test_it_goes_on_by_itself_after_the_store_was_away(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "LOOK_SECONDS", 0.01)
    problems: list[Exception] = [StoreUnavailable(), RuntimeError()]

    async def interrupt(step: str) -> None:
        if step == "purge" and problems:
            raise problems.pop()

    async with World(memory).running() as world:
        await move(world, 1)
        world.clock.advance(KEPT_SECONDS + 1)
        memory.interrupt = interrupt
        purge = Purge(memory, world.now)
        task = asyncio.create_task(purge.run())

        async def gone() -> bool:
            return not await answers(memory)

        await eventually(gone)
        purge.stop()
        await task
        assert not problems


async def test_whoever_was_told_to_stop_deletes_nothing_more(store: Store) -> None:
    async with World(store).running() as world:
        await move(world, 2)
        world.clock.advance(KEPT_SECONDS + 1)
        purge = Purge(store, world.now)
        purge.stop()
        assert await purge.turn() == 0
        assert await Purge(store, world.now).turn() >= 2
