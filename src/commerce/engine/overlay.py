"""The rows a batch works on, and the overlay in which each verb changes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from commerce.ledger.account import BALANCE, NETWORK, LedgerAccount
from commerce.ledger.cap import CAP, Cap
from commerce.ledger.directory import ADDRESS
from commerce.store.table import Index, Key, Row, Table

DIRECTORY_SIZE_MAX = 200_000
_NOTHING: dict[Key, Any] = {}
_UNREAD = object()


class Kind(Protocol):
    """What the engine needs to know of a noun."""

    name: str
    table: Table
    event: str
    listed_under: str

    def row(self, held: Held) -> Row:
        """An object as a row."""

    def held(self, row: Row) -> Held:
        """A row as an object."""

    def encode(self, thing: Any) -> bytes:
        """An object as JSON, as clients see it."""


class Held(NamedTuple):
    """An object in memory, with what its row knows beside it."""

    kind: Kind
    account: str
    version: int
    thing: Any


class Miss(Exception):
    """A verb touched rows that were not loaded, or not locked."""

    def __init__(self, index: Index, *keys: Key, lock: bool) -> None:
        super().__init__(index, keys)
        self.index = index
        self.keys = keys
        self.lock = lock


class Directory:
    """Owners of addresses seen before. An owner never changes, so this needs no invalidation."""

    def __init__(self) -> None:
        self._owners: dict[Key, str] = {}

    def owner(self, key: Key) -> str | None:
        """The owner, None where it is not known: unseen so far, or an external wallet."""
        return self._owners.get(key)

    def learn(self, row: Row) -> None:
        """Remember the owner in a row of the directory."""
        livemode, address, account, _ = row
        if account is not None:
            if len(self._owners) >= DIRECTORY_SIZE_MAX:
                self._owners.clear()
            self._owners[(livemode, address)] = account


class Needs:
    """What the verbs of a batch say they will touch, collected into one load."""

    __slots__ = ("_directory", "_fixtures", "followers", "lane", "unknown", "wanted")

    def __init__(
        self,
        directory: Directory,
        lane: int,
        followers: Mapping[str, Any] | None = None,
        fixtures: Sequence[Any] = (),
    ) -> None:
        self._directory = directory
        self._fixtures = fixtures
        self.followers = followers or {}
        """What moves on with an object, by the object's field that names it."""
        self.lane = lane
        self.wanted: dict[Index, dict[Key, bool]] = {}
        self.unknown: set[Key] = set()
        """Addresses whose owners nobody here has seen yet."""

    def row(self, index: Index, key: Key, *, lock: bool = False) -> None:
        """A row by its key; a lock asked for by anyone is taken."""
        keys = self.wanted.setdefault(index, {})
        keys[key] = lock or keys.get(key, False)

    def balance(self, account: LedgerAccount) -> None:
        """The balance of an account, locked."""
        self.wanted.setdefault(BALANCE.key, {})[account.shard(self.lane)] = True

    def cap(self, cap: Cap) -> None:
        """What has been used of a cap, locked."""
        self.wanted.setdefault(CAP.key, {})[cap.key] = True

    def furnish(self) -> None:
        """What is touched by all that is put into a new account."""
        for fixture in self._fixtures:
            getattr(fixture, "__needs__", _nothing)(self)

    def address(self, livemode: bool, address: str) -> str:
        """An address of the directory; gives its owner, for codes of balances."""
        key = (livemode, address)
        self.wanted.setdefault(ADDRESS.key, {}).setdefault(key, False)
        owner = self._directory.owner(key)
        if owner is None:
            self.unknown.add(key)
        return owner or NETWORK


def _nothing(_: Needs) -> None:
    """A fixture that touches nothing but what is new."""


class WorkingSet:
    """All rows of one batch, as they are now that the verbs before this one have run."""

    __slots__ = ("announcements", "appended", "born", "dirty", "locked", "redacted", "rows")

    def __init__(self) -> None:
        self.rows: dict[Index, dict[Key, Any]] = {}
        self.locked: dict[Index, set[Key]] = {}
        self.born: dict[Table, dict[Key, Any]] = {}
        self.dirty: dict[Table, dict[Key, Any]] = {}
        self.appended: dict[Table, list[Row]] = {}
        self.announcements: list[str] = []
        self.redacted: dict[Key, str] = {}
        """What all events of an object are to tell of it, by its key."""

    def take(
        self, wanted: dict[Index, dict[Key, bool]], found: list[tuple[Index, list[Row]]]
    ) -> None:
        """Take in what was loaded; a key that was wanted and not found is known to be absent."""
        for index, keys in wanted.items():
            rows = self.rows.setdefault(index, {})
            for key, lock in keys.items():
                rows.setdefault(key, None)
                if lock:
                    self.locked.setdefault(index, set()).add(key)
        for index, loaded in found:
            rows = self.rows[index]
            primary = index.table.key
            for row in loaded:
                if index.part is not None:
                    rows[row[: len(index.columns)]] = row
                elif index is primary:
                    rows[index.of(row)] = row
                else:
                    rows[index.of(row)] = primary.of(row)
                    self.rows.setdefault(primary, {}).setdefault(primary.of(row), row)

    def holds(self, index: Index, key: Key) -> bool:
        """Whether a row is locked, or nobody else's to see yet."""
        return key in self.locked.get(index, ()) or key in self.born.get(index.table, ())

    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.born or self.dirty or self.appended or self.redacted)


class Overlay:
    """What one verb has changed: kept when it returns, dropped when it raises."""

    __slots__ = ("appended", "born", "changed", "redacted", "working")

    def __init__(self, working: WorkingSet) -> None:
        self.working = working
        self.changed: dict[Index, dict[Key, Any]] = {}
        self.born: set[tuple[Index, Key]] = set()
        self.appended: list[tuple[Table, Row]] = []
        self.redacted: dict[Key, str] = {}

    def read(self, index: Index, key: Key, *, lock: bool = False) -> Any:
        """A row as it is now, None where there is none. Raises `Miss` where nobody looked."""
        changed = self.changed.get(index)
        if changed is not None and (value := changed.get(key, _UNREAD)) is not _UNREAD:
            return value
        working = self.working
        value = working.rows.get(index, _NOTHING).get(key, _UNREAD)
        if value is _UNREAD or (lock and value is not None and not working.holds(index, key)):
            raise Miss(index, key, lock=lock)
        return value

    def read_all(self, index: Index, keys: Iterable[Key], *, lock: bool = False) -> list[Row]:
        """The rows there are of these; all that nobody looked for, or locked, is one `Miss`."""
        found: list[Row] = []
        unseen: list[Key] = []
        for key in keys:
            try:
                row = self.read(index, key, lock=lock)
            except Miss as miss:
                unseen += miss.keys
                continue
            if row is not None:
                found.append(row)
        if unseen:
            raise Miss(index, *unseen, lock=lock)
        return found

    def see(self, kind: Kind, owner: tuple[str, bool], ids: Iterable[str]) -> dict[str, Any]:
        """Those of an owner's objects that there are, by id, with what has been done to them.

        All that nobody has looked for yet is one `Miss`, and so one query.
        """
        index = kind.table.key
        own = [row for table, row in self.appended if table is kind.table]
        added = {
            row[2]: row
            for row in (*self.working.appended.get(kind.table, ()), *own)
            if row[:2] == owner
        }
        found: dict[str, Any] = {}
        unseen: list[Key] = []
        for id_ in ids:
            try:
                value = added.get(id_) or self.read(index, (*owner, id_))
            except Miss as miss:
                unseen += miss.keys
                continue
            if value is not None:
                found[id_] = (kind.held(value) if type(value) is tuple else value).thing
        if unseen:
            raise Miss(index, *unseen, lock=False)
        return found

    def put(self, index: Index, key: Key, value: Any) -> None:
        """Set a row; one that is not there yet is born.

        Two processes may give birth to the same row: the unique index lets one of them, and
        the other's batch is run again and finds it.
        """
        changed = self.changed.setdefault(index, {})
        if key not in changed and self.working.rows.get(index, _NOTHING).get(key) is None:
            self.born.add((index, key))
        changed[key] = value

    def append(self, table: Table, row: Row) -> None:
        """Add a row that is only ever written."""
        self.appended.append((table, row))

    def keep(self) -> None:
        """Let the verbs that follow, and the database, see what this one did."""
        working = self.working
        for index, values in self.changed.items():
            working.rows.setdefault(index, {}).update(values)
            table = index.table
            if index is not table.key:
                continue
            born = working.born.get(table)
            for key, value in values.items():
                if (index, key) in self.born:
                    born = working.born.setdefault(table, {})
                    born[key] = value
                elif born is not None and key in born:
                    born[key] = value
                else:
                    working.dirty.setdefault(table, {})[key] = value
                if table.announced:
                    working.announcements.append(f"{table.name}:{key[-1]}")
        for table, row in self.appended:
            working.appended.setdefault(table, []).append(row)
        working.redacted |= self.redacted
