"""Migrations: applied once and in order, and refused when the history is not ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from commerce.store import migrate as migrating
from commerce.store.migrate import MIGRATION_LOCK, MigrationError, alone, migrate, pending

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["Connection"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator["Connection"]:
    async with connected(database_url) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations."""
    (tmp_path / "0001_coin.sql").write_text("CREATE TABLE coin (id int); CREATE TABLE a (id int);")
    (tmp_path / "0002_purse.sql").write_text("ALTER TABLE coin ADD COLUMN purse text;")
    (tmp_path / "README.md").write_text("not a migration")
    return tmp_path


async def refusal(connection: "Connection", folder: Path) -> str:
    """What both `migrate` and `pending` say."""
    with pytest.raises(MigrationError) as caught:
        await migrate(connection, folder)
    with pytest.raises(MigrationError) as checked:
        await pending(connection, folder)
    message = str(caught.value)
    assert message == str(checked.value)
    assert "\n" not in message
    return message


async def tables(connection: "Connection") -> list[str]:
    rows = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    )
    return [row["tablename"] for row in rows]


async def test_pending_migrations_are_applied_once_and_in_order(
    connection: "Connection", folder: Path
) -> None:
    assert await pending(connection, folder) == ["0001_coin", "0002_purse"]
    assert await tables(connection) == []
    assert await migrate(connection, folder) == ["0001_coin", "0002_purse"]
    assert await pending(connection, folder) == []
    assert await migrate(connection, folder) == []
    await connection.execute("INSERT INTO coin (id, purse) VALUES (1, 'mine')")
    applied = await connection.fetch("SELECT number, name FROM schema_migration ORDER BY number")
    assert [tuple(row) for row in applied] == [(1, "0001_coin"), (2, "0002_purse")]


async def test_a_new_file_is_applied_to_an_older_database(
    connection: "Connection", folder: Path
) -> None:
    await migrate(connection, folder)
    (folder / "0003_more.sql").write_text("CREATE TABLE more (id int)")
    assert await pending(connection, folder) == ["0003_more"]
    assert await migrate(connection, folder) == ["0003_more"]
    assert "more" in await tables(connection)


async def test_the_package_s_own_migrations_are_the_default(connection: "Connection") -> None:
    waiting = await pending(connection)
    assert await migrate(connection) == waiting
    assert await pending(connection) == []


async def test_a_failing_migration_leaves_nothing_of_itself_and_all_before_it(
    connection: "Connection", folder: Path
) -> None:
    (folder / "0003_bad.sql").write_text("CREATE TABLE half (id int);\nSELECT 1 / 0;")
    with pytest.raises(MigrationError, match="0003_bad failed: division by zero"):
        await migrate(connection, folder)
    assert "half" not in await tables(connection)
    assert await pending(connection, folder) == ["0003_bad"]
    assert not await connection.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    )


async def test_a_first_migration_that_fails_leaves_an_empty_database(
    connection: "Connection", folder: Path
) -> None:
    (folder / "0001_coin.sql").write_text("SELECT nonsense")
    with pytest.raises(MigrationError, match="0001_coin failed"):
        await migrate(connection, folder)
    assert await tables(connection) == []


async def test_an_applied_file_that_changed_is_refused(
    connection: "Connection", folder: Path
) -> None:
    await migrate(connection, folder)
    (folder / "0001_coin.sql").write_text("CREATE TABLE coin (id bigint);")
    (folder / "0003_more.sql").write_text("CREATE TABLE more (id int)")
    message = await refusal(connection, folder)
    assert message == "migration 0001_coin was changed after it had been applied"
    assert "more" not in await tables(connection)


async def test_a_database_newer_than_the_code_is_refused(
    connection: "Connection", folder: Path
) -> None:
    await migrate(connection, folder)
    (folder / "0002_purse.sql").unlink()
    message = await refusal(connection, folder)
    assert message.startswith("newer schema: the database has 0002_purse")


async def test_a_gap_in_what_was_applied_is_refused(connection: "Connection", folder: Path) -> None:
    await migrate(connection, folder)
    await connection.execute("DELETE FROM schema_migration WHERE number = 1")
    assert "lacks migration 0001" in await refusal(connection, folder)


async def test_a_gap_between_the_files_is_refused(connection: "Connection", folder: Path) -> None:
    (folder / "0002_purse.sql").rename(folder / "0003_purse.sql")
    assert "migration 0002 is missing" in await refusal(connection, folder)
    assert await tables(connection) == []


async def test_two_files_of_one_number_are_refused(connection: "Connection", folder: Path) -> None:
    (folder / "0002_zebra.sql").write_text("SELECT 1")
    assert "0002_zebra.sql comes instead" in await refusal(connection, folder)


@pytest.mark.parametrize("name", ["3_short.sql", "0003-dash.sql", "0003_Upper.sql"])
async def test_a_file_named_otherwise_is_refused(
    connection: "Connection", folder: Path, name: str
) -> None:
    (folder / name).write_text("SELECT 1")
    assert name in await refusal(connection, folder)


async def test_a_database_of_somebody_else_is_refused_and_left_alone(
    connection: "Connection", folder: Path
) -> None:
    await connection.execute("CREATE SCHEMA shop; CREATE TABLE shop.customer (id int)")
    message = await refusal(connection, folder)
    assert message == "wrong database: it holds the table shop.customer, but none of ours"
    assert await tables(connection) == []


async def test_a_schema_migration_table_of_somebody_else_is_refused(
    connection: "Connection", folder: Path
) -> None:
    await connection.execute("CREATE TABLE schema_migration (version text)")
    assert "wrong database" in await refusal(connection, folder)


async def test_two_migrators_at_once_apply_each_migration_once(
    database_url: str, folder: Path
) -> None:
    async with connected(database_url) as one, connected(database_url) as two:
        results = await asyncio.gather(migrate(one, folder), migrate(two, folder))
        assert sorted(results) == [[], ["0001_coin", "0002_purse"]]
        assert await one.fetchval("SELECT count(*) FROM schema_migration") == 2


async def test_a_migrator_waits_while_another_holds_the_lock(
    database_url: str, folder: Path
) -> None:
    async with connected(database_url) as one, connected(database_url) as two:
        await one.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        waiting = asyncio.create_task(migrate(two, folder))
        await asyncio.sleep(0.2)
        assert await tables(one) == []
        await one.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)
        assert await waiting == ["0001_coin", "0002_purse"]


async def test_a_migrator_that_has_waited_for_too_long_gives_up(
    database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_WAIT_SECONDS_MAX", 0.1)
    async with connected(database_url) as one, connected(database_url) as two:
        await one.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        with pytest.raises(MigrationError, match="has been migrating the database for too long"):
            await migrate(two, folder)
        assert await tables(one) == []


async def test_a_migrator_that_lost_its_connection_asks_nothing_more_of_it(
    database_url: str, folder: Path
) -> None:
    async with connected(database_url) as one, connected(database_url) as two:
        async with alone(one):
            one.terminate()
        assert one.is_closed()
        assert await migrate(two, folder) == ["0001_coin", "0002_purse"]


async def test_a_migrator_that_dies_lets_the_next_one_in(database_url: str, folder: Path) -> None:
    async with connected(database_url) as one, connected(database_url) as two:
        await one.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        one.terminate()
        assert await migrate(two, folder) == ["0001_coin", "0002_purse"]


async def test_a_migration_is_held_to_no_time_limit_but_gives_up_on_locks(
    connection: "Connection", folder: Path
) -> None:
    (folder / "0003_limit.sql").write_text(
        "CREATE TABLE seen AS SELECT current_setting('transaction_timeout') AS transaction_timeout,"
        " current_setting('statement_timeout') AS statement_timeout,"
        " current_setting('lock_timeout') AS lock_timeout"
    )
    assert await connection.fetchval("SHOW transaction_timeout") == "1min"
    await migrate(connection, folder)
    row = await connection.fetchrow("SELECT * FROM seen")
    assert row is not None
    assert tuple(row) == ("0", "0", "5s")
    assert await connection.fetchval("SHOW transaction_timeout") == "1min"
