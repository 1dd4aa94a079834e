"""A clock that is set back, and on again: nothing is lost, doubled, or made before its time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from commerce.settings import Settings
from tests.client import Client
from tests.faults.fault import LONG, Faults
from tests.faults.load import TRANSFER, Load
from tests.process import Serve, eventually
from tests.races.scene import execute, rows

DAY = 86_400
STEPS = [-3600, -2 * DAY, -600, 0] if LONG else [-2 * DAY, 0]
"""Right at the end, so that what was scheduled by any of these clocks is due."""
CLOCK = """
    CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql
    AS $$ BEGIN RETURN pg_catalog.clock_timestamp() + interval '{} seconds'; END $$
"""
"""What our statements find before PostgreSQL's own, by the path that the test's database has."""


async def bend(url: str, seconds: int) -> None:
    """Set the database's clock to a time this far off."""
    await execute(url, CLOCK.format(seconds))


async def test_a_server_and_a_database_whose_clocks_are_set_back_double_and_lose_nothing(
    data_dir: Path, serve: Serve, database_url: str, faults: Faults
) -> None:
    faults.set_clock(0)
    settings = {"COMMERCE_DATABASE_URL": database_url, **faults.environment}
    await bend(database_url, 0)
    name = database_url.partition("?")[0].rpartition("/")[2]
    await execute(database_url, f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    server = await asyncio.to_thread(serve, data_dir, **settings)
    off = 0
    load = await Load.prepared(
        server.url, Settings(data_dir=data_dir), database_url, lambda: time.time() + off
    )

    async with asyncio.timeout(120), load.running():
        await load.progress()
        for off in STEPS:
            faults.set_clock(off)
            await bend(database_url, off)
            await load.progress(100)

    assert load.lost == 0
    assert load.statuses.keys() <= {201, 400, 402, 409, 429}
    await load.see(database_url, data_dir, COMMERCE_DATABASE_URL=database_url)
    assert await asyncio.to_thread(server.stop) == 0


async def test_ids_grow_while_the_clock_is_set_back(
    data_dir: Path, serve: Serve, database_url: str, faults: Faults
) -> None:
    faults.set_clock(0)
    settings = {"COMMERCE_DATABASE_URL": database_url, **faults.environment}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    sandbox = server.sandbox
    ids, created = [], []
    async with Client(server.url, sandbox["secret_key"]) as client:
        for off in (0, -1, -3600, -DAY, 0):
            faults.set_clock(off)
            answer = await client.settle("POST /api_keys", {"type": "secret", "name": str(off)})
            ids.append(answer.json["id"])
            created.append(answer.json["created"])
    assert ids == sorted(ids)
    assert created != sorted(created)
    assert await asyncio.to_thread(server.stop) == 0


@pytest.mark.slow
async def test_a_scheduled_transfer_waits_for_a_clock_that_was_set_back_and_is_made_once(
    data_dir: Path, serve: Serve, database_url: str, faults: Faults
) -> None:
    faults.set_clock(0)
    settings = {"COMMERCE_DATABASE_URL": database_url, **faults.environment}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    load = await Load.prepared(server.url, Settings(data_dir=data_dir), database_url, time.time)
    party, payee = load.parties[:2]
    begin = int(time.time())
    body = {"to": payee.wallet, "amount": "1.00", "memo": "once", "scheduled_at": begin + 1000}
    async with Client(server.url, party.key) as client:
        assert (await client.settle(TRANSFER, body, Idempotency_Key="once")).status == 201

        async def state() -> str:
            [(status,)] = await rows(
                database_url, "SELECT status FROM stablecoin_transfer WHERE memo = 'once'"
            )
            return str(status)

        faults.set_clock(-DAY)
        await asyncio.sleep(2)
        assert await state() == "scheduled"
        faults.set_clock(1001)

        async def made() -> bool:
            return await state() == "confirmed"

        await eventually(made)
        faults.set_clock(-DAY)
        await asyncio.sleep(2)
        faults.set_clock(2000)
        answer = await client.settle("GET /stablecoin/balance")
        assert answer.json["balances"]["available"] == "299998.99"

    async def gone() -> bool:
        return await rows(database_url, "SELECT count(*) FROM job") == [(0,)]

    await eventually(gone)
    assert await asyncio.to_thread(server.stop) == 0
