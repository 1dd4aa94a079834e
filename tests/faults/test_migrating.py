"""A server that is killed while it migrates leaves a database on which the next one goes on."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.client import Client
from tests.database import migrated
from tests.faults.fault import LONG, Faults
from tests.faults.saboteur import MIGRATION_POINTS
from tests.process import Serve, Server
from tests.races.scene import rows, verify

MIGRATIONS = len([f for f in files("commerce").joinpath("migrations").iterdir() if "sql" in f.name])
SHAPE = """
    SELECT c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnum
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 2, 5
"""
OTHERS = """
    SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION SELECT 'migration', name, encode(sha256, 'hex') FROM schema_migration ORDER BY 1, 2, 3
"""


async def shape(url: str) -> list[tuple[Any, ...]]:
    """All there is of tables, columns, indexes, constraints, triggers and functions."""
    return await rows(url, SHAPE) + await rows(url, OTHERS)


@pytest.mark.slow
async def test_kills_between_and_within_migrations_leave_what_the_next_server_completes(
    data_dir: Path,
    serve: Serve,
    postgres: EmbeddedPostgres,
    database_url: str,
    faults: Faults,
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url, **faults.environment}
    server = Server(data_dir, **settings)
    done = 0
    for turn in range(MIGRATIONS if LONG else 2):
        for point in MIGRATION_POINTS:
            # Each server does what is left up to its own end: one migration at most.
            faults.arm(point)
            server.launch()
            await asyncio.to_thread(server.wait)
            assert not faults.is_armed(point), server.log
            done += point == "migration.after"
            assert await applied(database_url) in {done, done + 1}, (turn, point)

    server = await asyncio.to_thread(serve, data_dir, **settings)

    async with migrated(postgres.url) as whole:
        assert await shape(database_url) == await shape(whole)
    async with Client(server.url, server.sandbox["secret_key"]) as client:
        funds = {"recipient": server.sandbox["wallet"], "amount": "100.00", "reference_id": "one"}
        assert (await client.settle("POST /stablecoin/issue", funds)).status == 201
    await verify(database_url)
    assert await asyncio.to_thread(server.stop) == 0


async def applied(url: str) -> int:
    """How many migrations have been."""
    found = await rows(url, "SELECT to_regclass('public.schema_migration') IS NULL")
    if found == [(True,)]:
        return 0
    return int((await rows(url, "SELECT count(*) FROM schema_migration"))[0][0])
