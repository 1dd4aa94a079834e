"""A migrated database for each module, and the two stores that must behave alike."""

from collections.abc import AsyncIterator

import pytest

from commerce.store.database import Database
from commerce.store.embedded import EmbeddedPostgres
from commerce.store.memory import Memory
from commerce.store.session import Store
from tests.database import migrated


@pytest.fixture(scope="module")
async def migrated_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a migrated database that is dropped after the module."""
    async with migrated(postgres.url) as url:
        yield url


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """The store in PostgreSQL."""
    database = Database(migrated_url, pool_size=2)
    yield database
    await database.close()


@pytest.fixture
def memory() -> Memory:
    """The store in memory."""
    return Memory()


@pytest.fixture(params=["memory", "database"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each store in turn; the one in memory needs no PostgreSQL."""
    store: Store = request.getfixturevalue(request.param)
    return store
