"""Two servers on one database, for each module of races."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.process import Server, reachable_folder, servers
from tests.races.scene import Pair, execute

MASTER_KEY = "07" * 32


class Servers(NamedTuple):
    """Two servers, and the database they share."""

    one: Server
    two: Server
    url: str


@pytest.fixture
async def pair(two_servers: Servers) -> AsyncIterator[Pair]:
    """The two servers, with no clients yet."""
    pair = Pair(*two_servers, MASTER_KEY)
    yield pair
    await pair.close()


@pytest.fixture(scope="module")
async def two_servers(postgres: EmbeddedPostgres) -> AsyncIterator[Servers]:
    """Two servers that began at once on one empty database, each with a folder of its own."""
    name = f"races_{uuid.uuid4().hex}"
    url = postgres.url.replace("/commerce?", f"/{name}?")
    await execute(postgres.url, f"CREATE DATABASE {name}")
    folder = reachable_folder()
    settings = {"COMMERCE_DATABASE_URL": url, "COMMERCE_MASTER_KEY": MASTER_KEY}
    with servers() as serve:
        one, two = await asyncio.gather(
            asyncio.to_thread(serve, folder / "one", **settings),
            asyncio.to_thread(serve, folder / "two", **settings),
        )
        yield Servers(one, two, url)
        assert await asyncio.to_thread(one.stop) == 0
        assert await asyncio.to_thread(two.stop) == 0
    await execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")
    shutil.rmtree(folder)
