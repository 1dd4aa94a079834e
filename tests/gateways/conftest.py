"""A migrated database for the processors."""

from collections.abc import AsyncIterator

import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.database import migrated


@pytest.fixture(scope="module")
async def migrated_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a database with the product's tables."""
    async with migrated(postgres.url) as url:
        yield url
