"""What the engine and the readers may ask of a store, whichever store it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from commerce.store.rate import Ask, Grant
from commerce.store.table import Index, Key, Page, Row, Sum, Table, Wanted, Writing

EPOCH_SHIFT = 48
"""A mark is an epoch and, in this many bits, a transaction id of that epoch."""
IN_VAIN_SECONDS = 1.0
"""Who stands in line behind somebody who waited for the store this long, in vain, is told so too:
each who took the place would wait as long again.
"""


def mark_of(epoch: int, xid: int) -> int:
    """The mark of a transaction id."""
    return (epoch << EPOCH_SHIFT) + xid


Outcome = Literal["committed", "aborted", "running", "unknown"]


class StoreUnavailable(Exception):
    """The store cannot be reached or cannot work now; nothing of the transaction was kept."""


class CommitUnknown(Exception):
    """The connection was lost while committing; whether the transaction was kept must be asked."""


class Conflict(Exception):
    """Another transaction was faster (a deadlock, the same new row); this one may be run again."""


class Duplicate(Conflict):
    """Another transaction has written a row of this key first; `table` is the row's table."""

    def __init__(self, table: str) -> None:
        super().__init__(f"a row of {table} is there already")
        self.table = table


class LockTimeout(Conflict):
    """A lock was not given in time: somebody else holds what this transaction needs."""


class WriteRefused(Exception):
    """A constraint of the database refused what was written."""


class Session(Protocol):
    """One lane's line to the store: one transaction at a time."""

    @property
    def lane(self) -> int:
        """The number of this lane, unique among all lanes of all processes on this store."""

    @property
    def mark(self) -> int:
        """The running transaction's mark, once it has loaded: its place in the ledger's history.

        Marks of transactions that begin to lock later are larger.
        """

    async def begin(self) -> None:
        """Begin a transaction. Raises `StoreUnavailable`."""

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Rows by their keys, unlocked, within the transaction."""

    async def load(self, wanted: Wanted) -> list[tuple[Index, list[Row]]]:
        """Load rows, locking those that are to be locked. Raises `Conflict`."""

    async def horizon(self, lock: int) -> int | None:
        """The mark below which no transaction runs any more, and so nothing more can appear.

        None while another session has asked under the same `lock` and not ended yet.
        """

    async def write(self, writing: Writing) -> int:
        """Write everything; gives the transaction's id. Raises `Conflict`, `WriteRefused`."""

    async def commit(self) -> None:
        """Commit. Raises `CommitUnknown` where the answer got lost."""

    async def rollback(self) -> None:
        """Undo everything; never raises, since a lost connection has undone it too."""

    async def close(self) -> None:
        """Give the line back."""


class Store(Protocol):
    """A place that keeps rows."""

    async def session(self) -> Session:
        """Open a lane's session. Raises `StoreUnavailable`."""

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Committed rows by their keys, unlocked; a key without a row gives none."""

    async def above(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """For each key the committed row next above it in the last column of the index.

        In all the other columns it agrees with the key. A key without such a row gives none.
        """

    async def page(self, page: Page) -> list[Row]:
        """One page of committed rows."""

    async def sums(self, *asked: Sum) -> list[dict[Any, int]]:
        """Sums over committed rows, each by another column, all of them from one snapshot."""

    async def forget(self, table: Table, keys: Sequence[Key], *, created_before: int) -> None:
        """Delete those of the rows that are that old, in their own transaction."""

    async def purge(self, table: Table, *, created_before: int, at_most: int) -> int:
        """Delete some of the rows that are that old; gives how many. In a transaction of its own.

        Raises `StoreUnavailable`.
        """

    async def take(self, asks: Sequence[Ask]) -> dict[tuple[str, bool], Grant]:
        """Take tokens of accounts' rate budgets, one ask for each account and mode.

        By the store's own clock, across all processes. Raises `StoreUnavailable`.
        """

    async def outcome(self, xid: int) -> Outcome:
        """What became of a transaction whose commit was not answered."""

    async def held(self, table: Table, row: Row) -> bool:
        """Whether a running transaction holds a row of this key that is not yet committed."""

    async def ready(self) -> bool:
        """Whether the store answers."""

    def listen(self, told: Callable[[str | None], None]) -> AbstractAsyncContextManager[None]:
        """Call `told` with each announcement; with None when announcements may have been missed."""

    async def close(self) -> None:
        """Close every connection."""
