"""Restoring a backup: everything is checked first, and what was restored is checked again."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from commerce.backup.archive import KEY, Archive, opened, sync_folder
from commerce.backup.manifest import Manifest
from commerce.backup.program import Tools, shown_url
from commerce.backup.staging import check_free, staged
from commerce.installation import (
    ServerError,
    check_server,
    connected,
    database_fingerprint,
    lacks_key,
)
from commerce.kernel.master_key import MasterKey
from commerce.ledger.audit import Report, audit
from commerce.settings import KEY_FILE, Settings, load_master_key
from commerce.store.embedded import MAJOR, lock_data_dir
from commerce.store.migrate import alone, check_history, holds_tables, migrate, record

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

LEFT_OUT = ("EXTENSION", "schema_migration")
"""What a logical restore does not take over: extensions are their database's own, and the
history of the schema is written when everything else is there."""


class Restored(NamedTuple):
    """What a restore did, and what it found."""

    manifest: Manifest
    migrations: list[str]
    """The migrations that the backup lacked, applied now."""
    report: Report
    findings: list[str]
    """What is wrong with what was restored: findings of the audit included."""


def check(settings: Settings, path: Path) -> Manifest:
    """See that a file is a whole backup of this master key; touches nothing else.

    Raises `ServerError`, `SettingsError` and `MigrationError`.
    """
    with opened(path) as archive:
        _check(settings, archive)
        return archive.manifest


def restore(settings: Settings, path: Path, *, folder: Path | None = None) -> Restored:
    """Restore a backup into an empty data folder, or an empty database of yours.

    `folder` holds other programs than those that we carry. Until the backup and the target are
    checked nothing is touched; until the end, nothing there can be served. Raises `ServerError`,
    `SettingsError`, `EmbeddedError` and `MigrationError`. Findings are returned, not raised: what
    was restored stays for whoever looks into them.
    """
    with opened(path) as archive:
        if settings.database_url is None:
            check_free(settings.data_dir.resolve())
            key = _check(settings, archive)
            return _into_folder(settings, archive, key, folder)
        _check_form(settings, archive.manifest)
        return asyncio.run(_into_database(settings, settings.database_url, archive, folder))


def _check(settings: Settings, archive: Archive) -> MasterKey:
    """All that can be known of a backup before anything is touched, what is cheap first."""
    manifest = archive.manifest
    _check_form(settings, manifest)
    check_history([msgspec.structs.asdict(each) for each in manifest.migrations])
    key = _master_key(settings, archive)
    archive.check_signature(key)
    archive.check_payload()
    return key


def _check_form(settings: Settings, manifest: Manifest) -> None:
    if manifest.form == "logical":
        return
    if settings.database_url is not None:
        raise ServerError(
            "a physical backup is restored into a data folder: unset COMMERCE_DATABASE_URL"
        )
    if str(manifest.postgres) != MAJOR:
        raise ServerError(
            f"the backup holds the files of PostgreSQL {manifest.postgres}, and {MAJOR} is "
            "embedded here: restore it with the version that took it, then take a logical one"
        )


def _master_key(settings: Settings, archive: Archive) -> MasterKey:
    """The backup's master key: the one configured or in the data folder, else the one it holds."""
    path = settings.data_dir / KEY_FILE
    if not lacks_key(settings):
        key = load_master_key(settings.data_dir, settings.master_key)
        where = str(path) if settings.master_key is None else "COMMERCE_MASTER_KEY"
    elif archive.key_text is not None:
        key, where = _parsed(archive), f"the key in {archive.path}"
    else:
        raise ServerError(
            f"the backup does not hold its master key: put the key's file at {path} first, or set "
            "COMMERCE_MASTER_KEY"
        )
    if database_fingerprint(key) != archive.manifest.fingerprint:
        raise ServerError(f"{where} is not the master key of this backup: nothing would open")
    return key


def _parsed(archive: Archive) -> MasterKey:
    try:
        return MasterKey.parse(archive.key_text or "")
    except ValueError:
        raise ServerError(f"{archive.path} is damaged: its {KEY} is none") from None


def _into_folder(
    settings: Settings, archive: Archive, key: MasterKey, folder: Path | None
) -> Restored:
    """Restore into a data folder, where all is done beside its place before it takes it."""
    with staged(settings) as staging:
        if archive.manifest.form == "physical":
            staging.unpack(archive)
        with staging.running(settings) as postgres:
            url, own = postgres.url, Tools.of(staging.programs())
            tools = own if folder is None else Tools.for_url(url, folder, staging.folder)
            done = asyncio.run(_into_embedded(archive, tools, url))
        _keep_key(settings, key)
        staging.install()
    return done


async def _into_embedded(archive: Archive, tools: Tools, url: str) -> Restored:
    async with _working(url) as connection:
        if archive.manifest.form == "logical":
            await _load(archive, tools, url)
        return await _settle(connection, archive.manifest)


async def _into_database(
    settings: Settings, url: str, archive: Archive, folder: Path | None
) -> Restored:
    """Restore into a database of yours, which no server may begin to use meanwhile."""
    async with _working(url) as connection:
        await check_server(connection)
        if await holds_tables(connection):
            raise ServerError("the database is not empty: restore into a new one")
        key = _check(settings, archive)
        tools = Tools.for_url(url, folder, settings.data_dir)
        lock = lock_data_dir(settings.data_dir)
        try:
            await _load(archive, tools, url)
            _keep_key(settings, key)
            return await _settle(connection, archive.manifest)
        finally:
            lock.release()


@asynccontextmanager
async def _working(url: str) -> AsyncIterator[Connection]:
    """A connection that may take its time, and keeps everybody from migrating meanwhile."""
    async with connected(url) as connection:
        await connection.execute("SET transaction_timeout = 0")
        await connection.execute("SET statement_timeout = 0")
        async with alone(connection):
            yield connection


async def _load(archive: Archive, tools: Tools, url: str) -> None:
    """Load the tables of a logical backup in one transaction, all or none."""
    major, needed = tools.major("pg_restore"), archive.manifest.programs
    if major < needed:
        raise ServerError(
            f"the backup was taken by the programs of PostgreSQL {needed} and pg_restore is of "
            f"{major}: name the folder of the programs of PostgreSQL {needed} by --programs"
        )
    listed = bytearray()
    await tools.run("pg_restore", "--list", feed=archive.chunks(), sink=listed.extend)
    with _listing(listed.decode(), tools) as wanted:
        await tools.run(
            "pg_restore",
            f"--use-list={wanted}",
            "--single-transaction",
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
            "--no-password",
            f"--dbname={shown_url(url)}",
            feed=archive.chunks(),
        )


@contextmanager
def _listing(listed: str, tools: Tools) -> Iterator[str]:
    """A file that names what is to be restored, for the user who runs the programs."""
    lines = [line for line in listed.splitlines() if not _left_out(line)]
    with tempfile.NamedTemporaryFile("w", prefix="commerce-restore-") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        if tools.user is not None:
            os.fchown(file.fileno(), tools.user.uid, tools.user.gid)
        yield file.name


def _left_out(line: str) -> bool:
    """Whether a line of the list names what the restore makes itself: `7; 0 0 TABLE public t x`."""
    return not set(line.split()[3:]).isdisjoint(LEFT_OUT)


async def _settle(connection: Connection, manifest: Manifest) -> Restored:
    """Make what was restored a database of its own, then check all of it.

    The first is one transaction, and here is the place for whatever a restored database must
    begin anew: before it commits, no server can use what was restored. A physical backup is not
    in its place yet; a logical one lacks the history of its schema, and is refused for that.
    """
    async with connection.transaction():
        if manifest.form == "logical":
            await record(connection, [msgspec.structs.asdict(each) for each in manifest.migrations])
        migrations = await migrate(connection)
        await connection.execute("SELECT begin_ledger_epoch()")
    if manifest.form == "logical":
        # A dump has no statistics, and what comes next joins whole tables.
        await connection.execute("ANALYZE")
    report = await audit(connection)
    findings = [*await _compare(connection, manifest, report), *report.findings]
    return Restored(manifest, migrations, report, findings)


async def _compare(connection: Connection, manifest: Manifest, report: Report) -> list[str]:
    """What differs between what was restored and what the backup says of itself.

    Of a physical backup the manifest was counted at its beginning, and it holds its end as well.
    """
    findings = []
    counted = {
        "transactions": (manifest.transactions, report.transactions),
        "entries": (manifest.entries, report.entries),
    }
    for name, (said, found) in counted.items():
        if found < said or (found > said and manifest.form == "logical"):
            findings.append(f"the backup says it holds {said} {name}: there are {found}")
    if await connection.fetchval("SELECT fingerprint FROM master_key") != manifest.fingerprint:
        findings.append("the database was made with another master key than the backup says")
    return findings


def _keep_key(settings: Settings, key: MasterKey) -> None:
    """Put a key that came with the backup where the server looks for it."""
    if not lacks_key(settings):
        return
    path = settings.data_dir / KEY_FILE
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=".master.key.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.reveal() + "\n")
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(fresh)
    finally:
        Path(fresh).unlink()
    sync_folder(path.parent)
