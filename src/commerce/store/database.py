"""The store in PostgreSQL: pools, sessions, and what its errors mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from commerce.meter.meters import Meters
from commerce.store import rate, sql
from commerce.store.layout import Layout
from commerce.store.migrate import MigrationError, pending
from commerce.store.pool_use import PoolUse
from commerce.store.session import (
    CommitUnknown,
    Conflict,
    Duplicate,
    LockTimeout,
    Outcome,
    StoreUnavailable,
    WriteRefused,
    mark_of,
)
from commerce.store.table import Index, Key, Page, Row, Sum, Table, Wanted, Writing

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

CONNECT_TIMEOUT_SECONDS = 5.0
COMMAND_TIMEOUT_SECONDS = 30.0
READ_SECONDS_MAX = 5.0
"""How long a reader waits for a connection and for what it says, in all."""
BEGIN_SECONDS_MAX = 5.0
"""How long a lane waits for a line, or for the beginning of a transaction: nothing is done yet."""
READY_SECONDS_MAX = 2.0
HELD_LOOKS = 5
HELD_PAUSE_SECONDS = 0.005
LANE_LOCK = 0x436F6D6D
"""The class of the advisory locks by which lanes claim their numbers."""

_SERVER_SETTINGS = {
    "application_name": "commerce",
    "jit": "off",
    "lock_timeout": "5s",
    # What is answered is on disk, whatever a database of somebody else's is set to; and a
    # transaction that was left open cannot hold up those who read in commit order.
    "synchronous_commit": "on",
    "transaction_timeout": "60s",
    "idle_in_transaction_session_timeout": "30s",
    # Every statement here finds rows by keys that arrive in arrays. The planner cannot know how
    # many; on a table that was small when it planned it would choose to read all of it, and
    # keep that plan.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server has said good-bye, and the line still stands
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DatatypeMismatchError,  # a migration has changed a table: connect again, look again
)


@contextmanager
def _translated() -> Iterator[None]:
    """Say what a driver's error means here. The one place where they are told apart."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise LockTimeout(_said(error)) from error
    except asyncpg.UniqueViolationError as error:
        raise Duplicate(str(error.table_name)) from error
    except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
        raise Conflict(_said(error)) from error
    except asyncpg.IntegrityConstraintViolationError as error:
        raise WriteRefused(_said(error)) from None
    except asyncpg.RaiseError as error:
        raise WriteRefused(_said(error)) from None
    except _LOST as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error


def _said(error: Exception) -> str:
    """PostgreSQL's message without its details, which hold what was in the row."""
    return str(error.args[0]) if error.args else type(error).__name__


class DatabaseSession:
    """One lane's own connection: a pool would add a round trip to each batch to clean it."""

    def __init__(self, connection: Connection, lane: int, layout: Layout, epoch: int) -> None:
        self._connection = connection
        self._layout = layout
        self._epoch = epoch
        self.lane = lane
        self.mark = 0

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Say what went wrong; hang up on a server that does not answer.

        The driver would tell it to give up and wait, for ever, until it has heard.
        """
        with _translated():
            try:
                yield
            except TimeoutError:
                self._connection.terminate()
                raise

    async def begin(self) -> None:
        """Begin a transaction."""
        with self._step():
            await self._connection.execute("BEGIN", timeout=BEGIN_SECONDS_MAX)

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Rows by their keys, unlocked."""
        statement, values = sql.find(index, keys, self._layout)
        with self._step():
            return [tuple(row) for row in await self._connection.fetch(statement, *values)]

    async def load(self, wanted: Wanted) -> list[tuple[Index, list[Row]]]:
        """Load rows, locking those that are to be locked."""
        statement, values, indexes = sql.load(wanted, self._layout)
        with self._step():
            found = await self._connection.fetchrow(statement, *values)
        assert found is not None
        *loaded, xid = found
        self.mark = mark_of(self._epoch, xid)
        return [(index, rows or []) for index, rows in zip(indexes, loaded, strict=True)]

    async def horizon(self, lock: int) -> int | None:
        """The mark below which nothing more can appear; None while another session asks."""
        with self._step():
            xid = await self._connection.fetchval(sql.OLDEST_RUNNING, lock)
        return None if xid is None else mark_of(self._epoch, xid)

    async def write(self, writing: Writing) -> int:
        """Write everything in one statement."""
        statement, values = sql.write(writing, self._layout)
        with self._step():
            return int(await self._connection.fetchval(statement, *values))

    async def commit(self) -> None:
        """Commit, or say that nobody knows."""
        try:
            said = await self._connection.execute("COMMIT")
        except _LOST as error:
            self._connection.terminate()
            raise CommitUnknown(str(error)) from error
        assert said == "COMMIT", "a transaction that had failed was committed"

    async def rollback(self) -> None:
        """Undo everything; where that cannot be said, the connection's end says it."""
        try:
            await self._connection.execute("ROLLBACK", timeout=CONNECT_TIMEOUT_SECONDS)
        except (*_LOST, asyncpg.PostgresError):
            self._connection.terminate()

    async def close(self) -> None:
        """Close the connection, which also gives the lane's number back."""
        with suppress(*_LOST):
            await self._connection.close(timeout=CONNECT_TIMEOUT_SECONDS)


class Database:
    """The store in PostgreSQL."""

    def __init__(self, url: str, *, pool_size: int = 8, meters: Meters | None = None) -> None:
        self._url = url
        self._pool_size = pool_size
        self._use = PoolUse(pool_size, meters or Meters())
        self._pool: Pool | None = None
        self._layout = Layout({})
        self._opening = asyncio.Lock()

    async def _connect(self) -> Connection:
        return await asyncpg.connect(
            self._url,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            server_settings=_SERVER_SETTINGS,
        )

    async def _pooled(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._pool_size,
                    timeout=CONNECT_TIMEOUT_SECONDS,
                    command_timeout=COMMAND_TIMEOUT_SECONDS,
                    server_settings=_SERVER_SETTINGS,
                    reset=_unchanged,
                )
                try:
                    self._layout = await Layout.read(cast("Connection", pool))
                except BaseException:
                    pool.terminate()
                    raise
                # Not before: whoever finds a pool goes by the layout that is there.
                self._pool = pool
            return self._pool

    async def session(self) -> DatabaseSession:
        """Open a session on a connection of its own and claim the lowest free lane number."""
        with _translated():
            connection = await self._connect()
            try:
                async with asyncio.timeout(BEGIN_SECONDS_MAX):
                    return await self._claimed(connection)
            except BaseException:
                connection.terminate()
                raise

    @staticmethod
    async def _claimed(connection: Connection) -> DatabaseSession:
        lane = 0
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LANE_LOCK, lane):
            lane += 1
        epoch = await connection.fetchval("SELECT current_ledger_epoch()")
        return DatabaseSession(connection, lane, await Layout.read(connection), epoch)

    @asynccontextmanager
    async def _lent(self, seconds: float = READ_SECONDS_MAX) -> AsyncIterator[Connection]:
        """A connection of the pool; waiting for it and using it may take so long in all."""
        with _translated():
            async with self._use.lent(self._pool or await self._pooled(), seconds) as connection:
                yield connection

    async def _fetch(self, statement: str, values: Sequence[Any]) -> list[Row]:
        async with self._lent() as connection:
            return [tuple(row) for row in await connection.fetch(statement, *values)]

    async def _fetch_by_keys(self, write: Callable[..., sql.Statement], *about: Any) -> list[Row]:
        """Run a statement whose keys travel as rows of a table's type."""
        try:
            async with self._lent() as connection:
                statement, values = write(*about, self._layout)
                return [tuple(row) for row in await connection.fetch(statement, *values)]
        except StoreUnavailable as error:
            if isinstance(error.__cause__, asyncpg.DatatypeMismatchError):
                await self._look_again()
            raise

    async def _look_again(self) -> None:
        """Take no connection and no layout from before a migration any more."""
        with _translated():
            assert self._pool is not None
            await self._pool.expire_connections()
            self._layout = await Layout.read(cast("Connection", self._pool))

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Committed rows by their keys."""
        return await self._fetch_by_keys(sql.find, index, keys)

    async def above(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """For each key the committed row next above it."""
        return await self._fetch_by_keys(sql.above, index, keys)

    async def page(self, page: Page) -> list[Row]:
        """One page of committed rows."""
        return await self._fetch(*sql.page(page))

    async def sums(self, *asked: Sum) -> list[dict[Any, int]]:
        """Sums, each by another column, in one statement."""
        found: list[dict[Any, int]] = [{} for _ in asked]
        for number, by, total in await self._fetch(*sql.sums(asked)):
            found[number][by] = int(total)
        return found

    async def forget(self, table: Table, keys: Sequence[Key], *, created_before: int) -> None:
        """Delete rows that have expired."""
        await self._fetch_by_keys(sql.forget, table, keys, created_before)

    async def purge(self, table: Table, *, created_before: int, at_most: int) -> int:
        """Delete some of the rows that have expired."""
        rows = await self._fetch(*sql.purge(table, created_before, at_most))
        return int(rows[0][0])

    async def take(self, asks: Sequence[rate.Ask]) -> dict[tuple[str, bool], rate.Grant]:
        """Take tokens by the database's clock, in the one order in which these rows are locked."""
        try:
            rows = await self._fetch(rate.TAKE, rate.values(asks))
        except Conflict as error:
            raise StoreUnavailable(str(error)) from error
        return {row[:2]: rate.Grant._make(row[2:]) for row in rows}

    async def outcome(self, xid: int) -> Outcome:
        """Ask PostgreSQL what became of a transaction."""
        try:
            rows = await self._fetch("SELECT pg_xact_status($1::text::xid8)", [str(xid)])
        except asyncpg.InvalidParameterValueError:
            # This server never gave that id: it stands in for one that was lost, and cannot say.
            return "unknown"
        outcomes: dict[str, Outcome] = {
            "committed": "committed",
            "aborted": "aborted",
            "in progress": "running",
        }
        return outcomes.get(rows[0][0], "unknown")

    async def held(self, table: Table, row: Row) -> bool:
        """See whether whoever might be about to write the row is still at it.

        When every transaction that ran has ended, none holds it. Most end within milliseconds, so
        that asking writes nothing; only for one that takes longer is it tried out.
        """
        writing = set(await self._fetch(sql.RUNNING, []))
        for _ in range(HELD_LOOKS):
            if not writing:
                return False
            await asyncio.sleep(HELD_PAUSE_SECONDS)
            writing &= set(await self._fetch(sql.RUNNING, []))
        return await self._is_claimed(table, row)

    async def _is_claimed(self, table: Table, row: Row) -> bool:
        """Try to insert the row, never keeping it: waiting means somebody is about to."""
        statement, values = sql.claim(table, row)
        async with self._lent() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute("SET LOCAL lock_timeout = '20ms'")
                await connection.execute(statement, *values)
            except asyncpg.LockNotAvailableError:
                return True
            finally:
                await transaction.rollback()
        return False

    async def ready(self) -> bool:
        """Whether PostgreSQL answers, with all of our migrations and no others."""
        try:
            async with self._lent(READY_SECONDS_MAX) as connection:
                return not await pending(connection)
        except (StoreUnavailable, MigrationError):
            return False

    @asynccontextmanager
    async def listen(self, told: Callable[[str | None], None]) -> AsyncIterator[None]:
        """Pass announcements on; while the line is down, say None: all may be stale."""
        task = asyncio.create_task(self._listen(told))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self, told: Callable[[str | None], None]) -> None:
        while True:
            try:
                connection = await self._connect()
                try:
                    await self._relay(connection, told)
                finally:
                    connection.terminate()
            except (*_LOST, asyncpg.PostgresError):
                pass
            told(None)
            await asyncio.sleep(0.5)

    async def _relay(self, connection: Connection, told: Callable[[str | None], None]) -> None:
        await connection.add_listener("commerce", lambda *heard: told(str(heard[3])))
        told(None)
        while True:
            # A line that died without a word looks like a silent one: ask.
            await connection.fetchval("SELECT 1", timeout=1.0)
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        """Close the pool."""
        if self._pool is not None:
            with suppress(*_LOST):
                await asyncio.wait_for(self._pool.close(), CONNECT_TIMEOUT_SECONDS)


async def _unchanged(_connection: object) -> None:
    """Readers leave nothing behind on a connection, so nothing is cleaned."""
