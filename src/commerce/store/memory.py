"""The store in memory: the interface of PostgreSQL without one, for tests and simulations.

Transactions are isolated as PostgreSQL's are at READ COMMITTED: rows are read as committed,
changed under locks that last until the end, and seen by nobody else before the commit. Unique
keys and NOT NULL are enforced, since tables declare them; CHECKs and triggers are left to
PostgreSQL, and so is outliving the process.
"""

from __future__ import annotations

import asyncio
import bisect
import operator
import time
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from operator import itemgetter
from typing import Any

from commerce.store import rate
from commerce.store.session import (
    Conflict,
    Duplicate,
    LockTimeout,
    Outcome,
    StoreUnavailable,
    WriteRefused,
    mark_of,
)
from commerce.store.table import (
    Filter,
    Index,
    Key,
    Page,
    Row,
    Rows,
    Sum,
    Table,
    Wanted,
    Writing,
    filtered,
    parts,
)

_NO_TRANSACTION = -1


class Memory:
    """A store in memory.

    `interrupt`, where set, is awaited before each step: of a session `begin`, `find`, `load`,
    `horizon`, `write`, `commit`, and `committed` (kept, and not yet answered for); of the store
    `session`, `read`, `forget`, `purge`, `outcome`, `held`, `take`. It may wait, which stops the
    world there, or raise what the store may raise: `StoreUnavailable`, `CommitUnknown`.
    """

    def __init__(self, *, lock_timeout_seconds: float = 5.0) -> None:
        self.interrupt: Callable[[str], Awaitable[None]] | None = None
        self.lock_timeout_seconds = lock_timeout_seconds
        self.locks: dict[tuple[Index, Key], MemorySession] = {}
        self.outcomes: list[Outcome] = []  # by transaction id
        self.lanes: set[int] = set()
        self.running: set[int] = set()
        self.leaders: dict[int, MemorySession] = {}
        self.told: list[Callable[[str | None], None]] = []
        self.now: Callable[[], int] = time.time_ns
        """The clock of rate budgets, Unix nanoseconds."""
        self._budgets: dict[tuple[str, bool], rate.Budget] = {}
        self._tables: dict[Table, Rows] = {}

    async def step(self, name: str) -> None:
        """Let the interrupt in."""
        if self.interrupt is not None:
            await self.interrupt(name)

    def rows(self, table: Table) -> Rows:
        """The committed rows of a table."""
        rows = self._tables.get(table)
        if rows is None:
            rows = self._tables[table] = Rows(table)
        return rows

    async def session(self) -> MemorySession:
        """Open a session on the lowest free lane."""
        await self.step("session")
        lane = next(lane for lane in range(len(self.lanes) + 1) if lane not in self.lanes)
        self.lanes.add(lane)
        return MemorySession(self, lane)

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Committed rows by their keys."""
        await self.step("read")
        rows = self.rows(index.table)
        return parts(index, (rows.at(index, key) for key in sorted(keys)))

    async def above(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """For each key the committed row next above it."""
        await self.step("read")
        places = sorted((index.of(row), row) for row in self.rows(index.table).all())
        found = []
        for key in sorted(keys):
            at = bisect.bisect_right(places, key, key=itemgetter(0))
            if at < len(places) and places[at][0][:-1] == key[:-1]:
                found.append(places[at][1])
        return found

    async def page(self, page: Page) -> list[Row]:
        """One page of committed rows."""
        await self.step("read")
        place = Index(page.table, page.order).of
        rows = self._filtered(page.table, page.filters)
        if page.after is not None:
            beyond = operator.gt if page.ascending else operator.lt
            rows = [row for row in rows if beyond(place(row), page.after)]
        rows = sorted(rows, key=place, reverse=not page.ascending)[: page.limit]
        return rows if page.select is None else list(map(Index(page.table, page.select).of, rows))

    async def sums(self, *asked: Sum) -> list[dict[Any, int]]:
        """Sums, each by another column."""
        await self.step("read")
        return [self._sums(each) for each in asked]

    def _sums(self, asked: Sum) -> dict[Any, int]:
        pair = Index(asked.table, (asked.by, asked.amount)).of
        totals: defaultdict[Any, int] = defaultdict(int)
        for name, value in map(pair, self._filtered(asked.table, asked.filters)):
            totals[name] += value
        return dict(totals)

    def _filtered(self, table: Table, filters: Sequence[Filter]) -> list[Row]:
        return filtered(table, self.rows(table).all(), filters)

    async def forget(self, table: Table, keys: Sequence[Key], *, created_before: int) -> None:
        """Delete those of the rows that are that old."""
        await self.step("forget")
        at = table.names.index("created")
        for key in keys:
            row = self.rows(table).at(table.key, key)
            if row is not None and row[at] < created_before:
                self.rows(table).put(key, None)

    async def purge(self, table: Table, *, created_before: int, at_most: int) -> int:
        """Delete some of the rows that are that old."""
        await self.step("purge")
        old = self._filtered(table, [Filter("created", "<", created_before)])[:at_most]
        for row in old:
            self.rows(table).put(table.key.of(row), None)
        return len(old)

    async def take(self, asks: Sequence[rate.Ask]) -> dict[tuple[str, bool], rate.Grant]:
        """Take tokens by this store's clock."""
        await self.step("take")
        grants = {}
        for ask in asks:
            key = (ask.account, ask.livemode)
            budget = self._budgets.get(key)
            self._budgets[key], grants[key] = rate.take(budget, ask, self.now())
        return grants

    async def outcome(self, xid: int) -> Outcome:
        """What became of a transaction."""
        await self.step("outcome")
        return self.outcomes[xid] if 0 <= xid < len(self.outcomes) else "unknown"

    async def held(self, table: Table, row: Row) -> bool:
        """Whether a running transaction has written a new row of this key."""
        await self.step("held")
        key = table.key.of(row)
        holder = self.locks.get((table.key, key))
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
        """Pass announcements on as they are committed; earlier ones may have been missed."""
        self.told.append(told)
        told(None)
        try:
            yield
        finally:
            self.told.remove(told)

    def keep(self, changes: Mapping[Table, Mapping[Key, Row]], announcements: list[str]) -> None:
        """Commit the rows of a transaction, and tell who listens."""
        for table, rows in changes.items():
            for key, row in rows.items():
                self.rows(table).put(key, row)
        for announcement in dict.fromkeys(announcements):
            for told in self.told:
                told(announcement)

    async def close(self) -> None:
        """There is nothing to close."""


class MemorySession:
    """One lane's transactions. An error undoes one at once, as it does in PostgreSQL."""

    def __init__(self, store: Memory, lane: int) -> None:
        self.lane = lane
        self._store = store
        self._awaited: tuple[MemorySession, asyncio.Event] | None = None
        """Whose transaction is waited for, and what tells of its end."""
        self._start(_NO_TRANSACTION)

    def _start(self, xid: int) -> None:
        self._xid = xid
        self._locks: set[tuple[Index, Key]] = set()
        self._ended = asyncio.Event()
        self.changes: defaultdict[Table, dict[Key, Row]] = defaultdict(dict)
        self._unique: defaultdict[Index, dict[Key, Key]] = defaultdict(dict)
        """The keys of the changed rows, by what is unique of them."""
        self._announcements: list[str] = []

    async def begin(self) -> None:
        """Begin a transaction."""
        await self._store.step("begin")
        self._start(len(self._store.outcomes))
        self._store.outcomes.append("running")
        self._store.running.add(self._xid)

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._end(kept=False)
            raise

    def _end(self, *, kept: bool) -> None:
        if self._xid == _NO_TRANSACTION:
            return
        for lock in self._locks:
            del self._store.locks[lock]
        self._ended.set()
        self._store.outcomes[self._xid] = "committed" if kept else "aborted"
        self._store.running.remove(self._xid)
        self._store.leaders = {
            lock: session for lock, session in self._store.leaders.items() if session is not self
        }
        if kept:
            self._store.keep(self.changes, self._announcements)
        self._start(_NO_TRANSACTION)

    async def _lock(self, index: Index, key: Key) -> None:
        """Lock a key until the transaction ends. Raises `Conflict`, `LockTimeout`."""
        while (holder := self._store.locks.setdefault((index, key), self)) is not self:
            await self._wait_for(holder)
        self._locks.add((index, key))

    async def _wait_for(self, other: MemorySession) -> None:
        last: MemorySession | None = other
        while last is not None and last is not self:
            last = last.waits_for
        if last is self:
            raise Conflict("deadlock")
        self._awaited = (other, other._ended)
        try:
            await asyncio.wait_for(other._ended.wait(), self._store.lock_timeout_seconds)
        except TimeoutError:
            raise LockTimeout("a lock was not given in time") from None
        finally:
            self._awaited = None

    @property
    def waits_for(self) -> MemorySession | None:
        """Whose transaction is waited for; one that has ended is not, though it was not noticed.

        Its session may have begun another by then, which is waited for by nobody.
        """
        if self._awaited is None or self._awaited[1].is_set():
            return None
        return self._awaited[0]

    def _at(self, index: Index, key: Key) -> Row | None:
        """A row as this transaction sees it: committed, or its own."""
        changes = self.changes[index.table]
        if index.columns == index.table.key.columns and key in changes:
            return changes[key]
        row = self._store.rows(index.table).at(index, key)
        if index.columns == index.table.key.columns or not changes:
            return row
        if row is not None:
            return changes.get(index.table.key.of(row), row)
        if index in self._unique:
            own = self._unique[index].get(key)
            return None if own is None else changes[own]
        return next((own for own in changes.values() if index.of(own) == key), None)

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Rows by their keys, unlocked."""
        with self._undone_on_error():
            await self._store.step("find")
            return parts(index, (self._at(index, key) for key in sorted(keys)))

    async def load(self, wanted: Wanted) -> list[tuple[Index, list[Row]]]:
        """Load rows, locking those that are to be locked, in the one global order."""
        with self._undone_on_error():
            await self._store.step("load")
            order = sorted(wanted, key=lambda index: index.order)
            seen = {i: {key: self._at(i, key) for key in sorted(wanted[i])} for i in order}
            for index, rows in seen.items():
                for key, row in rows.items():
                    if row is not None and wanted[index][key]:
                        await self._lock(index.table.key, index.table.key.of(row))
                        # Whoever was waited for may have changed it.
                        rows[key] = self._at(index, key)
            return [(i, parts(i, seen[i].values())) for i in order]

    @property
    def mark(self) -> int:
        """The running transaction's mark."""
        return mark_of(1, self._xid)

    async def horizon(self, lock: int) -> int | None:
        """The mark below which no other transaction runs."""
        with self._undone_on_error():
            await self._store.step("horizon")
            if self._store.leaders.setdefault(lock, self) is not self:
                return None
            running = self._store.running - {self._xid}
            return mark_of(1, min(running, default=len(self._store.outcomes)))

    async def write(self, writing: Writing) -> int:
        """Write everything. A new row waits for whoever is writing one of the same key."""
        with self._undone_on_error():
            await self._store.step("write")
            for rows, put in ((writing.inserts, self._insert), (writing.updates, self._update)):
                for table in sorted(rows, key=lambda table: table.order):
                    for row in rows[table]:
                        await put(table, row)
            for rewrite in writing.rewrites:
                rows_now = self._store.rows(rewrite.table).all()
                for row, after in zip(rows_now, rewrite.over(rows_now), strict=True):
                    if after is not row:
                        await self._update(rewrite.table, after)
            self._announcements += writing.announcements
            return self._xid

    async def _insert(self, table: Table, row: Row) -> None:
        for index in (table.key, *table.unique.values()):
            key = index.of(row)
            if None not in key:
                # Who has only locked a row that is there is not waited for: the key is taken.
                if self._at(index, key) is not None:
                    raise Duplicate(table.name)
                waits = (index, key) in self._store.locks
                await self._lock(index, key)
                if waits and self._at(index, key) is not None:
                    raise Duplicate(table.name)
        self._put(table, row)

    async def _update(self, table: Table, row: Row) -> None:
        await self._lock(table.key, table.key.of(row))
        old = self._at(table.key, table.key.of(row))
        if old is not None:
            columns = zip(table.names, old, row, strict=True)
            self._put(table, tuple(b if name in table.updated else a for name, a, b in columns))

    def _put(self, table: Table, row: Row) -> None:
        if None in row:
            for column, value in zip(table.columns, row, strict=True):
                if value is None and not column.nullable:
                    raise WriteRefused(f"{table.name}.{column.name} may not be NULL")
        key = table.key.of(row)
        self.changes[table][key] = row
        for index in table.unique.values():
            self._unique[index][index.of(row)] = key

    async def commit(self) -> None:
        """Commit."""
        with self._undone_on_error():
            await self._store.step("commit")
            self._end(kept=True)
        await self._store.step("committed")

    async def rollback(self) -> None:
        """Undo everything."""
        self._end(kept=False)

    async def close(self) -> None:
        """Undo what was left open and give the lane's number back."""
        self._end(kept=False)
        self._store.lanes.discard(self.lane)
