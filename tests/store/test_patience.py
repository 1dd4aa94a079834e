"""How long a reader and a lane wait for a PostgreSQL that does not answer, in all."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from commerce.ledger.account import BALANCE
from commerce.store import database as database_module
from commerce.store.database import Database
from commerce.store.session import StoreUnavailable
from tests.store import row

OTHERS = """SELECT pid FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"""


@asynccontextmanager
async def standing_still(url: str) -> AsyncIterator[None]:
    """Every connection there is stands still; new ones are still opened."""
    server = await asyncpg.connect(url)
    pids = [found[0] for found in await server.fetch(OTHERS)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        await server.close()


async def test_a_reader_waits_for_a_connection_and_its_answer_so_long_in_all(
    database: Database,
) -> None:
    """Who gets a connection late has less time left for what it asks."""

    async def hold() -> None:
        async with database._lent():
            await asyncio.sleep(0.7)

    async def sleep() -> None:
        async with database._lent(1.0) as connection:
            assert time.monotonic() - begin > 0.5
            await connection.fetchval("SELECT pg_sleep(5)")

    holding = [asyncio.create_task(hold()) for _ in range(2)]
    await asyncio.sleep(0.1)
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await sleep()
    assert time.monotonic() - begin < 1.4
    await asyncio.gather(*holding)
    assert await database.find(BALANCE.key, [row.balance_key("nobody")]) == []


async def test_a_lane_waits_for_a_transaction_to_begin_no_longer_than_it_must(
    database: Database, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BEGIN_SECONDS_MAX", 0.3)
    session = await database.session()
    async with standing_still(migrated_url):
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await session.begin()
        await session.close()
        assert time.monotonic() - begin < 2
    async with row.opened(database) as another:
        await another.begin()
        await another.rollback()
