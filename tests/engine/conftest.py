"""An engine over a store in memory, and two over one PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from commerce.store.embedded import EmbeddedPostgres
from commerce.store.memory import Memory
from tests.database import migrated
from tests.engine.world import Steps, World


@pytest.fixture
def memory() -> Memory:
    """A store in memory."""
    return Memory(lock_timeout_seconds=0.5)


@pytest.fixture
def steps(memory: Memory) -> Steps:
    """The steps of that store, seen, held and made to fail."""
    steps = memory.interrupt = Steps()
    return steps


@pytest.fixture
async def world(memory: Memory, steps: Steps) -> AsyncIterator[World]:
    """One running engine over it."""
    async with World(memory).running() as world:
        yield world
        steps.free()


@pytest.fixture
async def other(memory: Memory, steps: Steps, world: World) -> AsyncIterator[World]:
    """Another engine, of another process as it were, on the same store."""
    async with World(memory, world.clock).running() as other:
        yield other
        steps.free()


@pytest.fixture(scope="module")
async def migrated_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a migrated database that is dropped after the module."""
    async with migrated(postgres.url) as url:
        yield url
