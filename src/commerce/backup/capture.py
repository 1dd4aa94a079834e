"""Taking a backup of a running database: of its files, or of its tables."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from commerce.backup.archive import Draft, drafted
from commerce.backup.manifest import Applied, Form, Manifest
from commerce.backup.program import Tools, shown_url
from commerce.installation import (
    ServerError,
    check_master_key,
    check_server,
    connected,
    database_url,
)
from commerce.settings import Settings, load_master_key
from commerce.store import key_check
from commerce.store.binary import programs, system_user
from commerce.store.migrate import pending

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

# Level 1 of gzip: a quarter of the bytes at about the speed of none; higher levels cost far more
# time than they save room.
COMPRESS = "gzip:1"


async def back_up(
    settings: Settings,
    path: Path,
    *,
    form: Form | None = None,
    with_master_key: bool = False,
    folder: Path | None = None,
) -> Manifest:
    """Write a backup of the database beside a server that goes on serving.

    `form` None is physical for the embedded PostgreSQL and logical for a database of yours;
    `folder` holds other programs than those that we carry. Raises `ServerError` and
    `MigrationError`; the file is there when all of it is on disk, and otherwise is not.
    """
    url = database_url(settings)
    form = form or ("physical" if settings.database_url is None else "logical")
    if form == "physical" and settings.database_url is not None:
        raise ServerError(
            "a physical backup is of the embedded PostgreSQL alone; with COMMERCE_DATABASE_URL "
            "take a logical one, or use your PostgreSQL's own tools"
        )
    created = int(time.time())
    program = "pg_basebackup" if form == "physical" else "pg_dump"
    taken = _physical if form == "physical" else _logical
    async with connected(url) as connection:
        await check_server(connection)
        await _check_schema(connection)
        await check_master_key(settings, connection)
        server = connection.get_server_version().major
        tools = _tools(settings, url, folder)
        major = _check_programs(tools, program, server)
        with drafted(path, created) as draft:
            facts = await taken(connection, tools, url, draft)
            manifest = Manifest(
                form=form,
                created=created,
                postgres=server,
                programs=major,
                holds_master_key=with_master_key,
                size=draft.size,
                sha256=draft.sha256,
                **facts,
            )
            draft.finish(manifest, load_master_key(settings.data_dir, settings.master_key))
    return manifest


async def _check_schema(connection: Connection) -> None:
    """Refuse a database that is not ours, newer than we are, or was never served."""
    await pending(connection)
    there = await connection.fetchval("SELECT to_regclass('public.master_key')")
    if there is None or not await key_check.is_claimed(connection):
        raise ServerError("there is nothing to back up: the database was never served")


def _tools(settings: Settings, url: str, folder: Path | None) -> Tools:
    if settings.database_url is not None or folder is not None:
        return Tools.for_url(url, folder, settings.data_dir)
    return Tools.of(programs(system_user(settings.postgres_user), settings.data_dir.resolve()))


def _check_programs(tools: Tools, program: str, server: int) -> int:
    """The programs' version. Raises `ServerError` where they are older than the server."""
    major = tools.major(program)
    if major < server:
        raise ServerError(
            f"the database is PostgreSQL {server} and {program} is of {major}: name the folder of "
            f"the programs of PostgreSQL {server} by --programs"
        )
    return major


async def _facts(connection: Connection) -> dict[str, Any]:
    """What a manifest says of the database."""
    rows = await connection.fetch(
        "SELECT number, name, sha256, applied_at FROM public.schema_migration ORDER BY number"
    )
    return {
        "migrations": [msgspec.convert(dict(row), Applied) for row in rows],
        "fingerprint": await connection.fetchval("SELECT fingerprint FROM master_key"),
        "transactions": await connection.fetchval("SELECT count(*) FROM ledger_transaction"),
        "entries": await connection.fetchval("SELECT count(*) FROM ledger_entry"),
    }


@asynccontextmanager
async def _unhurried(connection: Connection) -> AsyncIterator[None]:
    """One snapshot, which may be kept for as long as a dump takes."""
    await connection.execute("SET transaction_timeout = 0")
    await connection.execute("SET idle_in_transaction_session_timeout = 0")
    await connection.execute("SET statement_timeout = 0")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield


async def _logical(connection: Connection, tools: Tools, url: str, draft: Draft) -> dict[str, Any]:
    """The tables as they were in one snapshot, which the manifest is of as well."""
    async with _unhurried(connection):
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        facts = await _facts(connection)
        await tools.run(
            "pg_dump",
            "--format=custom",
            f"--compress={COMPRESS}",
            f"--snapshot={snapshot}",
            "--no-owner",
            "--no-privileges",
            "--no-tablespaces",
            "--no-password",
            f"--dbname={shown_url(url)}",
            sink=draft.write,
        )
    return facts


async def _physical(connection: Connection, tools: Tools, url: str, draft: Draft) -> dict[str, Any]:
    """The files, and the log of what changed while they were read.

    The log comes last in the same stream. A slot of this connection keeps it until then, however
    much is written meanwhile; it goes with the connection.
    """
    slot = f"commerce_backup_{secrets.token_hex(8)}"
    await connection.execute("SELECT pg_create_physical_replication_slot($1, true, true)", slot)
    async with _unhurried(connection):
        facts = await _facts(connection)
    await tools.run(
        "pg_basebackup",
        "--pgdata=-",
        "--format=tar",
        "--wal-method=fetch",
        "--checkpoint=fast",
        f"--compress=client-{COMPRESS}",
        "--manifest-checksums=SHA256",
        "--no-estimate-size",
        "--no-password",
        f"--dbname={shown_url(url)}",
        sink=draft.write,
    )
    return facts
