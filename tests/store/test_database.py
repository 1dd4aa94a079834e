"""What only PostgreSQL can do to a store: lose connections, refuse rows, take its time."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from commerce.engine.answers import ANSWER
from commerce.ledger.account import BALANCE
from commerce.store import database as database_module
from commerce.store import sql
from commerce.store.database import Database, DatabaseSession
from commerce.store.layout import Layout
from commerce.store.session import (
    CommitUnknown,
    Conflict,
    LockTimeout,
    StoreUnavailable,
    WriteRefused,
)
from tests.store import row

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture
async def server(migrated_url: str) -> AsyncIterator["Connection"]:
    """A connection of the test's own, beside the store's."""
    connection = await asyncpg.connect(migrated_url)
    yield connection
    await connection.close()


def process(session: DatabaseSession) -> int:
    """The server's process behind a session."""
    pid: int = session._connection.get_server_pid()
    return pid


async def kill(server: "Connection", session: DatabaseSession) -> None:
    """End the server's process behind a session, and wait until it is gone."""
    pid = process(session)
    assert await server.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)


async def stuck(
    server: "Connection", session: DatabaseSession, committing: "asyncio.Task[None]", event: str
) -> bool:
    """Whether the commit waits for this, in the server, rather than being done."""
    query = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1"
    while not committing.done():
        if await server.fetchval(query, process(session)) == event:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("step", ["begin", "find", "load", "write"])
async def test_a_killed_connection_makes_the_store_unavailable(
    database: Database, server: "Connection", step: str
) -> None:
    account = row.name()
    key = row.balance_key(account)
    session = await database.session()
    if step != "begin":
        await session.begin()
    await kill(server, session)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "begin": session.begin,
        "find": lambda: session.find(BALANCE.key, [key]),
        "load": lambda: session.load({BALANCE.key: {key: True}}),
        "write": lambda: session.write(row.inserted((BALANCE, row.balance(account, 1)))),
    }
    with pytest.raises(StoreUnavailable):
        await steps[step]()
    await session.rollback()
    await session.close()
    assert await row.amounts(database, account) == []


async def test_a_killed_session_has_undone_its_work_and_freed_its_locks_and_lane(
    database: Database, server: "Connection"
) -> None:
    account, key = row.name(), row.balance_key(row.name())
    await row.keep(database, row.inserted((BALANCE, row.balance(key[0], 1))))
    lost = await database.session()
    await lost.begin()
    await row.locked(lost, BALANCE.key, key)
    xid = await lost.write(row.inserted((BALANCE, row.balance(account, 1))))
    await kill(server, lost)
    await lost.rollback()
    assert await database.outcome(xid) == "aborted"
    async with row.opened(database) as session:
        assert session.lane == lost.lane
        await session.begin()
        assert await row.locked(session, BALANCE.key, key) == [row.balance(key[0], 1)]
        await session.rollback()
    assert await row.amounts(database, account) == []


async def test_a_connection_lost_before_a_commit_took_effect_has_aborted(
    database: Database, server: "Connection"
) -> None:
    account = row.name()
    await server.execute("""
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON ledger_balance
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle();
    """)
    session = await database.session()
    await session.begin()
    xid = await session.write(row.inserted((BALANCE, row.balance(account, 1))))
    committing = asyncio.create_task(session.commit())
    assert await stuck(server, session, committing, "PgSleep")
    assert await database.outcome(xid) == "running"
    await kill(server, session)
    with pytest.raises(CommitUnknown):
        await committing
    await session.close()
    assert await database.outcome(xid) == "aborted"
    assert await row.amounts(database, account) == []
    await server.execute("DROP TRIGGER dawdle ON ledger_balance; DROP FUNCTION dawdle")


@asynccontextmanager
async def awaiting_a_standby(server: "Connection") -> AsyncIterator[None]:
    """While this lasts commits take effect and are not answered: no standby confirms them."""
    await server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    await server.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await server.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await server.execute("SELECT pg_reload_conf()")


async def test_a_connection_lost_after_a_commit_took_effect_has_committed(
    database: Database, server: "Connection"
) -> None:
    session = await database.session()
    waits = False
    async with awaiting_a_standby(server):
        while not waits:  # until the server has read its settings again
            account = row.name()
            await session.begin()
            xid = await session.write(row.inserted((BALANCE, row.balance(account, 1))))
            committing = asyncio.create_task(session.commit())
            waits = await stuck(server, session, committing, "SyncRep")
        await kill(server, session)
        with pytest.raises(CommitUnknown):
            await committing
    await session.close()
    assert await database.outcome(xid) == "committed"
    assert await row.amounts(database, account) == [1]


async def test_a_lock_that_is_not_given_in_time_is_told_apart_from_a_deadlock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database_module._SERVER_SETTINGS, "lock_timeout", "50ms")
    account = row.name()
    key = row.balance_key(account)
    await row.keep(database, row.inserted((BALANCE, row.balance(account, 1))))
    async with row.opened(database) as first, row.opened(database) as second:
        await first.begin()
        await row.locked(first, BALANCE.key, key)
        await second.begin()
        with pytest.raises(LockTimeout):
            await row.locked(second, BALANCE.key, key)
        await second.rollback()
        await first.rollback()


async def test_a_row_that_breaks_a_check_is_refused(database: Database) -> None:
    with pytest.raises(WriteRefused):
        await row.keep(database, row.inserted((BALANCE, row.balance(row.name(), -1))))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (asyncpg.LockNotAvailableError("lock"), LockTimeout),
        (asyncpg.DeadlockDetectedError("deadlock"), Conflict),
        (asyncpg.SerializationError("serialisation"), Conflict),
        (asyncpg.NotNullViolationError("null"), WriteRefused),
        (asyncpg.RaiseError("a trigger"), WriteRefused),
        (asyncpg.AdminShutdownError("shutdown"), StoreUnavailable),
        (asyncpg.TooManyConnectionsError("full"), StoreUnavailable),
        (asyncpg.ReadOnlySQLTransactionError("a standby"), StoreUnavailable),
        (asyncpg.InterfaceError("closed"), StoreUnavailable),
        (asyncpg.InternalClientError("said good-bye"), StoreUnavailable),
        (ConnectionResetError(), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
        (asyncpg.UndefinedTableError("our own mistake"), asyncpg.UndefinedTableError),
    ],
)
def test_a_drivers_error_is_told_by_what_it_means(said: Exception, meant: type[Exception]) -> None:
    with pytest.raises(meant) as caught, database_module._translated():
        raise said
    assert type(caught.value) is meant


async def test_a_lost_listener_listens_again_and_says_that_it_may_have_missed_something(
    database: Database, server: "Connection"
) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    async with database.listen(heard.put_nowait):
        assert await heard.get() is None
        await server.execute("""
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
        """)
        await server.execute("SELECT pg_notify('commerce', 'address:missed')")
        assert await heard.get() is None
        while (told := await _notified(server, heard)) != "address:heard":
            assert told is None


async def _notified(server: "Connection", heard: asyncio.Queue[str | None]) -> str | None:
    """Announce until somebody is there to hear it."""
    await server.execute("SELECT pg_notify('commerce', 'address:heard')")
    try:
        return await asyncio.wait_for(heard.get(), 0.2)
    except TimeoutError:
        return None


async def test_a_pool_survives_the_loss_of_its_connections(
    database: Database, server: "Connection"
) -> None:
    assert await database.ready()
    await server.execute("""
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    """)
    answers = [await database.ready() for _ in range(3)]
    assert answers[-1]


async def test_a_server_that_is_not_there_is_not_ready(migrated_url: str) -> None:
    nowhere = Database(migrated_url.replace("host=", "host=/nowhere"))
    assert not await nowhere.ready()
    with pytest.raises(StoreUnavailable):
        await nowhere.session()
    async with nowhere.listen(lambda _: None):
        await row.settle()
    await nowhere.close()


@pytest.mark.parametrize("rows", [0, 3])
async def test_keys_are_looked_up_one_by_one_however_small_a_table_was(
    server: "Connection", rows: int
) -> None:
    # A plan that reads the whole table is right while it is small, and kept when it is not.
    for number in range(rows):
        await server.execute(
            "INSERT INTO ledger_balance VALUES ($1, false, 'c', 'ssusd', false, true, 0, 0, 0)",
            f"{row.name()}-{number}",
        )
    await server.execute("ANALYZE; SET plan_cache_mode = force_generic_plan")
    for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
        await server.execute(f"SET {setting} = off")
    for number, statement in enumerate(
        (
            sql._find(BALANCE.key, 1, lock=True),
            sql._find(BALANCE.key, 1, lock=False),
            sql._update(BALANCE, 1),
        )
    ):
        await server.execute(f"PREPARE planned_{number}_{rows} AS {statement}")
        plan = await server.fetch(f"EXPLAIN EXECUTE planned_{number}_{rows} (NULL)")
        scans = [line[0].strip() for line in plan if "Scan" in line[0]]
        places = {
            name: at
            for at, line in enumerate(scans)
            for name in ("Function Scan on unnest k", "Index Scan using ledger_balance_pkey")
            if name in line
        }
        assert list(places) == ["Function Scan on unnest k", "Index Scan using ledger_balance_pkey"]
        assert not any("Seq Scan" in line for line in scans)


async def test_a_column_that_a_migration_adds_is_left_to_its_default(
    database: Database, server: "Connection"
) -> None:
    account = row.name()
    session = await database.session()
    assert await row.amounts(database, account) == []
    await server.execute("ALTER TABLE ledger_balance ADD COLUMN note text DEFAULT 'none'")
    await session.begin()
    with pytest.raises(StoreUnavailable):
        await session.write(row.inserted((BALANCE, row.balance(account, 1))))
    await session.rollback()
    await session.close()
    with pytest.raises(StoreUnavailable):
        await row.amounts(database, account)
    await row.keep(database, row.inserted((BALANCE, row.balance(account, 1))))
    assert await row.amounts(database, account) == [1]
    assert await server.fetchval("SELECT note FROM ledger_balance WHERE account = $1", account) == (
        "none"
    )


async def test_those_who_come_while_the_pool_is_opened_find_the_layout(migrated_url: str) -> None:
    database = Database(migrated_url)
    keys = [row.balance_key("nobody")]
    finding = [asyncio.create_task(database.find(BALANCE.key, keys))]
    while not finding[0].done():
        await asyncio.sleep(0.0005)
        finding.append(asyncio.create_task(database.find(BALANCE.key, keys)))
    assert set(map(len, await asyncio.gather(*finding))) == {0}
    await database.close()


async def test_a_pool_whose_layout_cannot_be_read_is_opened_again(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(migrated_url)

    async def read(_: object) -> Layout:
        raise OSError("the line was lost")

    with monkeypatch.context() as patched:
        patched.setattr(Layout, "read", read)
        with pytest.raises(StoreUnavailable):
            await database.find(BALANCE.key, [])
    assert await database.find(BALANCE.key, [row.balance_key("nobody")]) == []
    await database.close()


async def test_a_server_that_stands_still_is_hung_up_on_in_time(
    database: Database, server: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "COMMAND_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(database_module, "READY_SECONDS_MAX", 0.2)
    account = row.name()
    session = await database.session()
    await session.begin()
    assert await database.ready()
    pids = [r[0] for r in await server.fetch("SELECT pid FROM pg_stat_activity WHERE pid <> $1"
            " AND backend_type = 'client backend'", server.get_server_pid())]  # fmt: skip
    begin = time.monotonic()
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(StoreUnavailable):
            await session.write(row.inserted((BALANCE, row.balance(account, 1))))
        await session.rollback()
        await session.close()
        assert not await database.ready()
        assert time.monotonic() - begin < 3
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert await database.ready()
    assert await row.amounts(database, account) == []


async def test_asking_whether_a_row_is_held_writes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def claimed(*_: object) -> bool:
        raise AssertionError("a row was written")

    monkeypatch.setattr(database, "_is_claimed", claimed)
    for _ in range(20):
        assert not await database.held(ANSWER, row.answer(row.name()))
    async with row.opened(database) as session:
        await session.begin()
        await session.write(row.inserted((BALANCE, row.balance(row.name(), 1))))
        asking = asyncio.create_task(database.held(ANSWER, row.answer(row.name())))
        await asyncio.sleep(0.002)
        await session.commit()
        assert not await asking


async def test_a_row_is_held_by_whoever_takes_long_to_keep_it(database: Database) -> None:
    mine, account = row.answer(row.name()), row.name()
    async with row.opened(database) as session:
        await session.begin()
        await session.write(row.inserted((BALANCE, row.balance(account, 1))))
        assert not await database.held(ANSWER, mine)
        await session.write(row.inserted((ANSWER, mine)))
        assert await database.held(ANSWER, mine)
        await session.rollback()
    assert not await database.held(ANSWER, mine)
