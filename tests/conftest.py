"""A PostgreSQL for the tests that need one: a server per session, a fresh database per test."""

import asyncio
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.process import Serve, reachable_folder, servers

LONGEST = (
    *("fuzz", "backup", "reference", "faults", "races", "journeys", "words", "telemetry"),
    "contract",
)
"""The folders whose files take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left with one at the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(LONGEST)))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The only event loop asyncpg runs on."""
    return "asyncio"


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder that does not exist yet, in a folder of its own that goes after the test."""
    folder = reachable_folder()
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Serve]:
    """Starts servers on folders beside `data_dir`; they are gone when it goes."""
    assert not data_dir.exists()
    with servers() as serve:
        yield serve


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A started server, one per session and so one per xdist worker, without fsync."""
    folder = reachable_folder()
    server = EmbeddedPostgres.start(folder / "data", durable=False)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a fresh, empty database that is dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(_execute(postgres.url, f"CREATE DATABASE {name}"))
    yield postgres.url.replace("/commerce?", f"/{name}?")
    asyncio.run(_execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
