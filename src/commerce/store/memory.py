"""The store in memory: the interface of PostgreSQL without one, for tests and simulations.

Transactions are isolated as PostgreSQL's are at READ COMMITTED: rows are read as committed,
changed under locks that last until the end, and seen by nobody else before the commit. Unique
keys and NOT NULL are enforced, for tables declare them. CHECKs and triggers are PostgreSQL's
own, and so is all that survives the process.
"""

from __future__ import annotations

import asyncio
import operator
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from commerce.store.session import (
    Conflict,
    Duplicate,
    LockTimeout,
    Outcome,
    StoreUnavailable,
    WriteRefused,
)
from commerce.store.table import Filter, Index, Key, Page, Row, Table, Wanted, Writing

LOCK_TIMEOUT_SECONDS = 5.0

Changes = dict[Key, Row | None]
"""The rows of one table as a transaction leaves them; None: deleted."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda value, values: value in values,
}


class _Rows:
    """The committed rows of one table, by each index that anybody has asked for."""

    def __init__(self, table: Table) -> None:
        self._key = table.key
        self._by: dict[Index, dict[Key, Row]] = {}
        for index in (table.key, *table.unique.values()):
            self._by[index] = {}

    def all(self) -> list[Row]:
        return list(self._by[self._key].values())

    def at(self, index: Index, key: Key) -> Row | None:
        if index not in self._by:
            self._by[index] = {index.of(row): row for row in self.all()}
        return self._by[index].get(key)

    def put(self, key: Key, row: Row | None) -> None:
        old = self.at(self._key, key)
        for index, rows in self._by.items():
            if old is not None:
                rows.pop(index.of(old), None)
            # NULLs are distinct: a row without a value is in no unique index over it.
            if row is not None and None not in index.of(row):
                rows[index.of(row)] = row


class _Transaction:
    """What a transaction has changed and locked."""

    def __init__(self, xid: int) -> None:
        self.xid = xid
        self.changes: defaultdict[Table, Changes] = defaultdict(dict)
        self.locks: set[tuple[Index, Key]] = set()
        self.announcements: list[str] = []
        self.ended = asyncio.Event()
        self.waits_for: _Transaction | None = None


class Memory:
    """A store in memory.

    `interrupt`, where set, is awaited before each step: `begin`, `find`, `load`, `write`,
    `commit`, and `committed`, when the transaction is kept and not yet answered for; of the
    store itself `session`, `read`, `forget`, `outcome`, `held`. It may wait, which stops the
    world there, or raise what the store may raise there: `StoreUnavailable`, `CommitUnknown`.
    """

    def __init__(self, *, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> None:
        self.interrupt: Callable[[str], Awaitable[None]] | None = None
        self._lock_timeout_seconds = lock_timeout_seconds
        self._tables: dict[Table, _Rows] = {}
        self._locks: dict[tuple[Index, Key], _Transaction] = {}
        self._outcomes: list[Outcome] = []
        """By transaction id."""
        self._lanes: set[int] = set()
        self._told: list[Callable[[str | None], None]] = []

    async def step(self, name: str) -> None:
        """Let the interrupt in."""
        if self.interrupt is not None:
            await self.interrupt(name)

    def rows(self, table: Table) -> _Rows:
        """The committed rows of a table."""
        if table not in self._tables:
            self._tables[table] = _Rows(table)
        return self._tables[table]

    async def session(self) -> MemorySession:
        """Open a session on the lowest free lane."""
        await self.step("session")
        lane = next(lane for lane in range(len(self._lanes) + 1) if lane not in self._lanes)
        self._lanes.add(lane)
        return MemorySession(self, lane)

    def leave(self, lane: int) -> None:
        """Give a lane's number back."""
        self._lanes.discard(lane)

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Committed rows by their keys."""
        await self.step("read")
        rows = self.rows(index.table)
        return [row for key in sorted(set(keys)) if (row := rows.at(index, key)) is not None]

    async def page(self, page: Page) -> list[Row]:
        """One page of committed rows."""
        await self.step("read")
        place = Index(page.table, page.order).of
        rows = sorted(self._filtered(page.table, page.filters), key=place)
        if not page.ascending:
            rows.reverse()
        if page.after is not None:
            beyond = operator.gt if page.ascending else operator.lt
            rows = [row for row in rows if beyond(place(row), page.after)]
        return rows[: page.limit]

    async def sums(
        self, table: Table, amount: str, by: str, filters: Sequence[Filter]
    ) -> dict[Any, int]:
        """The sums of a column by another column."""
        await self.step("read")
        pair = Index(table, (by, amount)).of
        totals: defaultdict[Any, int] = defaultdict(int)
        for name, value in map(pair, self._filtered(table, filters)):
            totals[name] += value
        return dict(totals)

    def _filtered(self, table: Table, filters: Sequence[Filter]) -> list[Row]:
        rows = self.rows(table).all()
        for column, compare, value in filters:
            at, matches = table.names.index(column), _COMPARE[compare]
            rows = [row for row in rows if row[at] is not None and matches(row[at], value)]
        return rows

    async def forget(self, table: Table, keys: Sequence[Key]) -> None:
        """Delete rows that have expired."""
        await self.step("forget")
        transaction = self.begin()
        try:
            for key in sorted(keys):
                await self.lock(transaction, table.key, key)
                transaction.changes[table][key] = None
        except BaseException:
            self.end(transaction, kept=False)
            raise
        self.end(transaction, kept=True)

    async def outcome(self, xid: int) -> Outcome:
        """What became of a transaction."""
        await self.step("outcome")
        return self._outcomes[xid] if 0 <= xid < len(self._outcomes) else "unknown"

    async def held(self, table: Table, row: Row) -> bool:
        """Whether a running transaction has written a new row of this key."""
        await self.step("held")
        key = table.key.of(row)
        holder = self._locks.get((table.key, key))
        is_new = self.rows(table).at(table.key, key) is None
        return is_new and holder is not None and key in holder.changes[table]

    async def ready(self) -> bool:
        """Whether the store answers."""
        try:
            await self.step("read")
        except StoreUnavailable:
            return False
        return True

    @asynccontextmanager
    async def listen(self, told: Callable[[str | None], None]) -> AsyncIterator[None]:
        """Pass announcements on as they are committed; what was before may have been missed."""
        self._told.append(told)
        told(None)
        try:
            yield
        finally:
            self._told.remove(told)

    async def close(self) -> None:
        """There is nothing to close."""

    def begin(self) -> _Transaction:
        """Begin a transaction."""
        self._outcomes.append("running")
        return _Transaction(len(self._outcomes) - 1)

    async def lock(self, transaction: _Transaction, index: Index, key: Key) -> None:
        """Lock a key until the transaction ends. Raises `Conflict`, `LockTimeout`."""
        while (holder := self._locks.get((index, key))) not in (None, transaction):
            assert holder is not None
            transaction.waits_for = holder
            try:
                _refuse_deadlock(transaction)
                async with asyncio.timeout(self._lock_timeout_seconds):
                    await holder.ended.wait()
            except TimeoutError:
                raise LockTimeout(f"no lock of {index} within the time") from None
            finally:
                transaction.waits_for = None
        self._locks[index, key] = transaction
        transaction.locks.add((index, key))

    def end(self, transaction: _Transaction, *, kept: bool) -> None:
        """Keep what was changed or drop it, let the locks go and tell who listens."""
        if kept:
            for table, changes in transaction.changes.items():
                for key, row in changes.items():
                    self.rows(table).put(key, row)
        self._outcomes[transaction.xid] = "committed" if kept else "aborted"
        for lock in transaction.locks:
            del self._locks[lock]
        transaction.ended.set()
        for announcement in dict.fromkeys(transaction.announcements) if kept else ():
            for told in self._told:
                told(announcement)


class MemorySession:
    """One lane's transactions. An error ends a transaction, as it does in PostgreSQL."""

    def __init__(self, store: Memory, lane: int) -> None:
        self._store = store
        self._transaction: _Transaction | None = None
        self.lane = lane

    @contextmanager
    def _running(self) -> Iterator[_Transaction]:
        assert self._transaction is not None, "no transaction was begun, or it has failed"
        try:
            yield self._transaction
        except BaseException:
            self._end(kept=False)
            raise

    def _end(self, *, kept: bool) -> None:
        if self._transaction is not None:
            self._store.end(self._transaction, kept=kept)
            self._transaction = None

    async def begin(self) -> None:
        """Begin a transaction."""
        await self._store.step("begin")
        self._transaction = self._store.begin()

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Rows by their keys, unlocked."""
        with self._running():
            await self._store.step("find")
            return [row for key in sorted(set(keys)) if (row := self._at(index, key))]

    def _at(self, index: Index, key: Key) -> Row | None:
        """A row as this transaction sees it: committed, or its own."""
        assert self._transaction is not None
        changes = self._transaction.changes[index.table]
        row = self._store.rows(index.table).at(index, key)
        if row is not None:
            return changes.get(index.table.key.of(row), row)
        return next((own for own in changes.values() if own and index.of(own) == key), None)

    async def load(self, wanted: Wanted) -> list[tuple[Index, list[Row]]]:
        """Load rows, locking those that are to be locked, in the one global order."""
        with self._running() as transaction:
            await self._store.step("load")
            seen = [
                (index, [(key, row) for key in sorted(keys) if (row := self._at(index, key))])
                for index, keys in sorted(wanted.items(), key=_place)
            ]
            loaded: list[tuple[Index, list[Row]]] = []
            for index, found in seen:
                rows = [row for key, row in found if not wanted[index][key]]
                for key, row in found:
                    if not wanted[index][key]:
                        continue
                    await self._store.lock(transaction, index.table.key, index.table.key.of(row))
                    # It may have been changed, or deleted, by whoever was waited for.
                    now = self._at(index, key)
                    rows += [] if now is None else [now]
                loaded.append((index, rows))
            return loaded

    async def write(self, writing: Writing) -> int:
        """Write everything. A new row waits for whoever is writing one of the same key."""
        with self._running() as transaction:
            await self._store.step("write")
            for table, rows in sorted(writing.inserts.items(), key=lambda each: each[0].order):
                for row in rows:
                    await self._insert(transaction, table, row)
            for table, rows in sorted(writing.updates.items(), key=lambda each: each[0].order):
                for row in rows:
                    await self._update(transaction, table, row)
            transaction.announcements += writing.announcements
            return transaction.xid

    async def _insert(self, transaction: _Transaction, table: Table, row: Row) -> None:
        _refuse_null(table, row)
        for index in (table.key, *table.unique.values()):
            if None not in index.of(row):
                await self._store.lock(transaction, index, index.of(row))
                if self._at(index, index.of(row)) is not None:
                    raise Duplicate(table.name)
        transaction.changes[table][table.key.of(row)] = row

    async def _update(self, transaction: _Transaction, table: Table, row: Row) -> None:
        key = table.key.of(row)
        await self._store.lock(transaction, table.key, key)
        before = self._at(table.key, key)
        if before is not None:
            values = zip(table.names, before, row, strict=True)
            after = tuple(new if name in table.updated else old for name, old, new in values)
            _refuse_null(table, after)
            transaction.changes[table][key] = after

    async def commit(self) -> None:
        """Commit."""
        with self._running():
            await self._store.step("commit")
            self._end(kept=True)
        await self._store.step("committed")

    async def rollback(self) -> None:
        """Undo everything."""
        self._end(kept=False)

    async def close(self) -> None:
        """Undo what was left open and give the lane's number back."""
        self._end(kept=False)
        self._store.leave(self.lane)


def _place(wanted: tuple[Index, Any]) -> tuple[int, str]:
    index, _ = wanted
    return index.table.rank, index.name


def _refuse_null(table: Table, row: Row) -> None:
    for column, value in zip(table.columns, row, strict=True):
        if value is None and not column.nullable:
            raise WriteRefused(f"{table.name}.{column.name} may not be NULL")


def _refuse_deadlock(transaction: _Transaction) -> None:
    holder = transaction.waits_for
    while holder is not None:
        if holder is transaction:
            raise Conflict("deadlock")
        holder = holder.waits_for
