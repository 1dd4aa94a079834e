"""Plain SQL migrations, forward only, each applied once in a transaction of its own."""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.abc import Traversable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
MIGRATION_LOCK = 0x6D69677261746531
"""The advisory lock under which one process at a time migrates: "migrate1" in ASCII."""
LOCK_WAIT_SECONDS_MAX = 300.0
MIGRATION_SECONDS_MAX = 6 * 3600.0

CREATE_TABLE = """
    CREATE TABLE public.schema_migration (
        number int PRIMARY KEY,
        name text NOT NULL,
        sha256 bytea NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
# Tables of extensions do not count: an empty database may have come with some installed.
FOREIGN_TABLE = """
    SELECT c.oid::regclass::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype = 'e')
    ORDER BY 1 LIMIT 1
"""
INSERT = "INSERT INTO public.schema_migration (number, name, sha256) VALUES ($1, $2, $3)"
RECORD = """
    INSERT INTO public.schema_migration (number, name, sha256, applied_at) VALUES ($1, $2, $3, $4)
"""


class MigrationError(Exception):
    """The database cannot be migrated; the message is one line for the user."""


@dataclass(frozen=True)
class Migration:
    """One file: its number, its name without the ending, its text."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        """What the database remembers of the file, to notice when it changes."""
        return hashlib.sha256(self.text.encode()).digest()


async def migrate(connection: "Connection", folder: Traversable | None = None) -> list[str]:
    """Applies what is pending, in order, and returns the names; raises MigrationError.

    `folder` holds the files; None is the package's own. What was applied before a failing
    migration stays applied.
    """
    migrations = _migrations(folder)
    async with alone(connection):
        waiting = await _waiting(connection, migrations)
        for migration in waiting:
            await _apply(connection, migration)
    return [migration.name for migration in waiting]


async def pending(connection: "Connection", folder: Traversable | None = None) -> list[str]:
    """The names of the migrations not applied yet; changes nothing; raises MigrationError."""
    return [migration.name for migration in await _waiting(connection, _migrations(folder))]


def _migrations(folder: Traversable | None) -> list[Migration]:
    """The files in order, their numbers contiguous from 0001."""
    source = folder or files("commerce").joinpath("migrations")
    found = sorted((file for file in source.iterdir() if file.name.endswith(".sql")), key=_name)
    for expected, file in enumerate(found, 1):
        match = FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file.name} is not named like 0001_first.sql")
        if int(match[1]) != expected:
            raise MigrationError(f"migration {expected:04} is missing: {file.name} comes instead")
    return [
        Migration(number, file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for number, file in enumerate(found, 1)
    ]


def _name(file: Traversable) -> str:
    return file.name


async def holds_tables(connection: "Connection") -> bool:
    """Whether the database is not empty: it holds tables, ours or anybody's."""
    return await connection.fetchval(FOREIGN_TABLE) is not None


def check_history(applied: Sequence[Mapping[str, Any]], folder: Traversable | None = None) -> None:
    """Refuses a history (number, name, sha256 of each) that is not the beginning of ours.

    Raises MigrationError, as a database of that history would.
    """
    migrations = _migrations(folder)
    for expected, row in enumerate(applied, 1):
        _compare(expected, row, migrations)


async def record(connection: "Connection", applied: Sequence[Mapping[str, Any]]) -> None:
    """Writes down which migrations tables that came from elsewhere have had."""
    await connection.execute(CREATE_TABLE)
    rows = [(row["number"], row["name"], row["sha256"], row["applied_at"]) for row in applied]
    await connection.executemany(RECORD, rows)


@asynccontextmanager
async def alone(connection: "Connection") -> AsyncIterator[None]:
    """Holds the migration lock; tried, not waited for, since a waiting query can time out."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS_MAX
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATION_LOCK):
        if time.monotonic() > deadline:
            raise MigrationError("another process has been migrating the database for too long")
        await asyncio.sleep(0.05)
    try:
        yield
    finally:
        # A connection that was lost has given its locks back already.
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)


async def _waiting(connection: "Connection", migrations: list[Migration]) -> list[Migration]:
    """What the database lacks; refuses one whose history is not the beginning of ours."""
    if await connection.fetchval("SELECT to_regclass('public.schema_migration')") is None:
        await _refuse_foreign(connection)
        return migrations
    try:
        applied = await connection.fetch(
            "SELECT number, name, sha256 FROM public.schema_migration ORDER BY number"
        )
    except asyncpg.UndefinedColumnError:
        raise MigrationError("wrong database: its schema_migration table is not ours") from None
    for expected, row in enumerate(applied, 1):
        _compare(expected, row, migrations)
    return migrations[len(applied) :]


async def _refuse_foreign(connection: "Connection") -> None:
    table = await connection.fetchval(FOREIGN_TABLE)
    if table is not None:
        raise MigrationError(f"wrong database: it holds the table {table}, but none of ours")


def _compare(
    expected: int, row: "Mapping[str, Any] | asyncpg.Record", migrations: list[Migration]
) -> None:
    if row["number"] != expected:
        raise MigrationError(f"the database lacks migration {expected:04} but has {row['name']}")
    if expected > len(migrations):
        raise MigrationError(f"newer schema: the database has {row['name']}, this version has not")
    if row["sha256"] != migrations[expected - 1].sha256:
        raise MigrationError(f"migration {row['name']} was changed after it had been applied")


async def _apply(connection: "Connection", migration: Migration) -> None:
    """Runs one file and records it; both happen or neither."""
    try:
        async with connection.transaction():
            # The server's time limit is for requests: a migration may take as long as it needs,
            # but must not queue behind a long reader and block everybody else meanwhile.
            await connection.execute("SET LOCAL transaction_timeout = 0")
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            if migration.number == 1:
                await connection.execute(CREATE_TABLE)
            await connection.execute(migration.text, timeout=MIGRATION_SECONDS_MAX)
            await connection.execute(INSERT, migration.number, migration.name, migration.sha256)
    except asyncpg.PostgresError as error:
        reason = " ".join(str(error).split())
        raise MigrationError(f"migration {migration.name} failed: {reason}") from error
