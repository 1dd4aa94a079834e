"""The store in memory, watched: every commit is shown, and every lock is seen to be in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from commerce.store.memory import Memory, MemorySession
from commerce.store.session import Conflict
from commerce.store.table import Index, Key, Row, Table, Wanted

if TYPE_CHECKING:
    from tests.simulation.process import Process

RUNNING: ContextVar[Process | None] = ContextVar("RUNNING", default=None)
"""The process on whose behalf a task runs."""

Changes = Mapping[Table, Mapping[Key, Row]]


class Witness:
    """Whoever is shown what was kept, and told what the store saw go wrong."""

    def committed(self, changes: Changes) -> None:
        """Rows were kept, all of one transaction."""

    def forgotten(self, table: Table, keys: Sequence[Key]) -> None:
        """Rows are gone."""

    def object(self, problem: str) -> None:
        """Something was done that nobody may do."""


class WatchedMemory(Memory):
    """Memory, with a witness of all that is committed.

    Beyond what Memory itself refuses it sees what a database lets pass until it hurts: locks
    taken out of the one global order, and rows changed that were not locked.
    """

    def __init__(self, witness: Witness) -> None:
        super().__init__()
        self.witness = witness

    async def session(self) -> WatchedSession:
        """Open a session, which dies with its process."""
        await self.step("session")
        lane = next(lane for lane in range(len(self.lanes) + 1) if lane not in self.lanes)
        self.lanes.add(lane)
        session = WatchedSession(self, lane)
        process = RUNNING.get()
        if process is not None:
            process.sessions.append(session)
        return session

    def keep(self, changes: Changes, announcements: list[str]) -> None:
        """Commit, and show it."""
        super().keep(changes, announcements)
        self.witness.committed(changes)

    async def forget(self, table: Table, keys: Sequence[Key], *, created_before: int) -> None:
        """Delete, and show what went."""
        before = [key for key in keys if self.rows(table).at(table.key, key) is not None]
        await super().forget(table, keys, created_before=created_before)
        gone = [key for key in before if self.rows(table).at(table.key, key) is None]
        self.witness.forgotten(table, gone)

    async def purge(self, table: Table, *, created_before: int, at_most: int) -> int:
        """Delete what is old, and show what went."""
        before = {table.key.of(row) for row in self.rows(table).all()}
        purged = await super().purge(table, created_before=created_before, at_most=at_most)
        gone = before - {table.key.of(row) for row in self.rows(table).all()}
        self.witness.forgotten(table, sorted(gone))
        return purged


class WatchedSession(MemorySession):
    """A session whose locks are watched."""

    _watched: WatchedMemory

    def __init__(self, store: WatchedMemory, lane: int) -> None:
        super().__init__(store, lane)
        self._dead = False
        self._watched = store
        self._last: tuple[Any, ...] = ()
        self._loading = False

    def _start(self, xid: int) -> None:
        super()._start(xid)
        self._last = ()

    async def load(self, wanted: Wanted) -> list[tuple[Index, list[Row]]]:
        """Load; rows are locked in the one global order, also over several loads."""
        self._loading = True
        try:
            return await super().load(wanted)
        except Conflict as conflict:
            if str(conflict) == "deadlock":
                self._watched.witness.object("two transactions that load wait for each other")
            raise
        finally:
            self._loading = False

    async def _lock(self, index: Index, key: Key) -> None:
        if self._loading and (index, key) not in self._locks:
            place = (*index.order, key)
            if place < self._last:
                self._watched.witness.object(f"{index.table.name} {key} is locked out of order")
            self._last = place
        await super()._lock(index, key)
        if self._dead:
            # It was given to nobody: whoever waited has died, and has not noticed yet.
            self._locks.discard((index, key))
            del self._watched.locks[index, key]
            raise asyncio.CancelledError

    async def _update(self, table: Table, row: Row) -> None:
        key = table.key.of(row)
        if (table.key, key) not in self._locks and key not in self.changes[table]:
            self._watched.witness.object(f"{table.name} {key} is changed and was not locked")
        await super()._update(table, row)

    def die(self) -> None:
        """Lose the connection: what was not committed is undone, and the lane is free again."""
        self._dead = True
        self._end(kept=False)
        self._watched.lanes.discard(self.lane)
