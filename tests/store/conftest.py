"""A migrated database for each module, and the two stores that must behave alike."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from commerce.store.database import Database
from commerce.store.embedded import EmbeddedPostgres
from commerce.store.memory import Memory
from commerce.store.migrate import migrate
from commerce.store.session import Store


@pytest.fixture(scope="module")
async def migrated_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a migrated database that is dropped after the module."""
    name = f"store_{uuid.uuid4().hex}"
    server = await asyncpg.connect(postgres.url)
    await server.execute(f"CREATE DATABASE {name}")
    url = postgres.url.replace("/commerce?", f"/{name}?")
    connection = await asyncpg.connect(url)
    await migrate(connection)
    await connection.close()
    yield url
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


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
