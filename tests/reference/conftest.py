"""One stage, and so one database, for each module of tests; and a server with the sandbox."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.process import Server, reachable_folder, servers
from tests.stage import Stage, staged


@pytest.fixture(scope="module")
async def stage(postgres: EmbeddedPostgres) -> AsyncIterator[Stage]:
    """The product over a database of this module's own."""
    async with staged(postgres.url) as stage:
        yield stage


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server as users start it."""
    folder = reachable_folder()
    with servers() as serve:
        yield serve(folder / "data")
    shutil.rmtree(folder)
