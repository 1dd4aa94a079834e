"""Processes that send parcels: two over one store in memory."""

from collections.abc import AsyncIterator

import pytest

from commerce.store.memory import Memory
from tests.engine.world import Steps, World
from tests.outside.parcel import Office, outside
from tests.outside.scene import Scene


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
def office() -> Office:
    """The courier."""
    return Office()


@pytest.fixture
async def scene(memory: Memory, steps: Steps, office: Office) -> AsyncIterator[Scene]:
    """One running process."""
    async with World(memory).running() as world:
        yield Scene(world, outside(office))
        steps.free()


@pytest.fixture
async def other(memory: Memory, scene: Scene, office: Office) -> AsyncIterator[Scene]:
    """Another one on the same store."""
    async with World(memory, scene.world.clock).running() as world:
        yield Scene(world, outside(office))
