"""One stage, and so one database, for each module of tests."""

from collections.abc import AsyncIterator

import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.stage import Stage, staged


@pytest.fixture(scope="module")
async def stage(postgres: EmbeddedPostgres) -> AsyncIterator[Stage]:
    """The product over a database of this module's own."""
    async with staged(postgres.url) as stage:
        yield stage
