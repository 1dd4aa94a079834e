"""A database of one's own, migrated, for as long as it is needed."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from commerce.store.migrate import migrate


@asynccontextmanager
async def copied(server_url: str, template: str | None = None) -> AsyncIterator[str]:
    """The URL of a new database, a copy of another where one is named; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    server = await asyncpg.connect(server_url)
    try:
        await server.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}")
        try:
            yield server_url.replace("/commerce?", f"/{name}?")
        finally:
            await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()


@asynccontextmanager
async def migrated(server_url: str) -> AsyncIterator[str]:
    """The URL of a new database with the product's tables."""
    async with copied(server_url) as url:
        connection = await asyncpg.connect(url)
        await migrate(connection)
        await connection.close()
        yield url
