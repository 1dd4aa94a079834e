"""What a verb may do: read, add, change and advance objects, and book money."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec

from commerce.engine.agenda import JOB, Job
from commerce.engine.caller import Caller
from commerce.engine.condition import Condition
from commerce.engine.money import Bookkeeper
from commerce.engine.outbox import EVENT
from commerce.engine.outside.respondent import Respondent
from commerce.engine.overlay import Directory, Held, Kind, Overlay
from commerce.kernel.errors import ApiError
from commerce.kernel.master_key import MasterKey
from commerce.store.table import Index, Key

if TYPE_CHECKING:
    from commerce.store.table import Row, Table

Thing = TypeVar("Thing")


class Means(NamedTuple):
    """What an engine's batches work with."""

    directory: Directory
    now: Callable[[], int]
    ids: Callable[..., str]
    master_key: MasterKey
    docs_url: str
    fixtures: Sequence[Callable[[Tx, Any], None]] = ()
    """What each new account begins with."""
    followers: Mapping[str, Any] = {}
    """What moves on with an object of a lower area, by the field that names it there."""
    settlement_days: int = 2
    """After how many banking days a processor pays, where it does not say so itself."""
    order_expiry_hours: int = 24
    order_completion_days: int = 3
    order_dispute_days: int = 14
    """How long an order waits for its money, and after its delivery for what they say."""


class Emitted(NamedTuple):
    """An event, and the object's JSON in it."""

    event: str | None
    """None where the event is another account's: an answer's body cannot stand in it."""
    thing: Any
    body: bytes


def kind_of(thing: object) -> Kind:
    """The noun of an object, or of a class."""
    kind: Kind = thing.__noun__  # type: ignore[attr-defined]
    return kind


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """What it is called."""


def missing(
    kind: Named,
    id_: str,
    livemode: bool | None = None,
    *,
    param: str = "id",
) -> ApiError:
    """There is no such object for this caller; `livemode`: it is in the other mode than this."""
    message = f"No such {kind.name}: '{id_[:64]}'."
    if livemode is not None:
        here, there = ("live", "test") if livemode else ("test", "live")
        message += f" It exists in {there} mode, but a {here} mode key was used."
    return ApiError("resource_missing", message, param=param)


class Tx(Bookkeeper, Respondent):
    """One verb's view of a batch."""

    __slots__ = (
        "_ids",
        "_means",
        "_overlay",
        "added",
        "caller",
        "condition",
        "emitted",
        "lane",
        "mark",
        "now",
    )

    def __init__(  # noqa: PLR0913 - what a verb sees, always named
        self, overlay: Overlay, caller: Caller, *, now: int, means: Means, lane: int, mark: int
    ) -> None:
        self._overlay = overlay
        self._ids = means.ids
        self._means = means
        self.caller = caller
        self.now = now
        """The time, Unix seconds; it does not pass while the verb runs."""
        self.lane = lane
        self.mark = mark
        """The place of the batch in the ledger's history; larger for one that began later."""
        self.condition: Condition | None = None
        """What must be so of the object to be changed; None once it was found to be so."""
        self.emitted: dict[str, Emitted] = {}
        """The last event of each object, by the object's id."""
        self.added: set[str] = set()
        """The ids of the objects that this verb made."""

    def new_id(self, prefix: str) -> str:
        """A new id in the caller's mode."""
        return self._ids(prefix, livemode=self.caller.livemode)

    def new_account_id(self) -> str:
        """A new id of an account, which is the same in both modes."""
        return self._ids("acct", livemode=True)

    def random_bytes(self, count: int) -> bytes:
        """Bytes that nobody can guess, for secrets."""
        return secrets.token_bytes(count)

    def fingerprint(self, payload: bytes) -> bytes:
        """A keyed hash, by which what must not be kept can be known again."""
        return self._means.master_key.fingerprint("terms", payload)

    @property
    def base_url(self) -> str:
        """Where the server is, as clients reach it."""
        return self._means.docs_url

    # Objects

    def get(
        self, noun: type[Thing], id_: str, *, account: str | None = None, param: str = "id"
    ) -> Thing:
        """An object as it was when the batch began, or later. Raises `resource_missing`."""
        return self._get(noun, id_, account, param, lock=False)

    def lock(
        self, noun: type[Thing], id_: str, *, account: str | None = None, param: str = "id"
    ) -> Thing:
        """An object, locked so that it may be changed. Raises `resource_missing`."""
        return self._get(noun, id_, account, param, lock=True)

    def _get(
        self, noun: type[Thing], id_: str, account: str | None, param: str, *, lock: bool
    ) -> Thing:
        kind = kind_of(noun)
        key = self._key(id_, account)
        held = self._held(kind.table.key, key, kind, lock=lock)
        if held is None:
            elsewhere = self._overlay.read(kind.table.key, (key[0], not key[1], id_))
            raise missing(kind, id_, self.caller.livemode if elsewhere else None, param=param)
        if lock and self.condition is not None:
            self.condition = self.condition.look(id_, held)
        return held.thing  # type: ignore[no-any-return]

    def see(self, kind: Kind, ids: Iterable[str]) -> dict[str, Any]:
        """Those of the caller's objects that there are, by id, as they are after this verb."""
        return self._overlay.see(kind, (self.caller.account, self.caller.livemode), ids)

    def _key(self, id_: str, account: str | None) -> Key:
        return (account or self.caller.account, self.caller.livemode, id_)

    def _key_of(self, thing: Any, account: str | None) -> Key:
        return (account or self.caller.account, thing.livemode, thing.id)

    def _held(self, index: Index, key: Key, kind: Kind, *, lock: bool) -> Held | None:
        value = self._overlay.read(index, key, lock=lock)
        if type(value) is not tuple:
            return value  # type: ignore[no-any-return]
        held = self._overlay.working.rows[index][key] = kind.held(value)
        return held

    def read(self, index: Index, key: Key) -> Row | None:
        """A row, or the part of it that an index selects; None where there is none."""
        row: Row | None = self._overlay.read(index, key)
        return row

    def rows(self, index: Index, keys: Iterable[Key]) -> list[Row]:
        """The rows there are of these, as they are now, unlocked."""
        return self._overlay.read_all(index, keys)

    def find(self, noun: type[Thing], **unique: str) -> Thing | None:
        """The caller's object with this value in a unique column; None where there is none."""
        kind = kind_of(noun)
        index = kind.table.index(*unique)
        owner = (self.caller.account, self.caller.livemode)
        primary = self._overlay.read(index, (*owner, *unique.values()))
        if primary is None:
            return None
        held = self._held(kind.table.key, primary, kind, lock=False)
        return None if held is None else held.thing

    def add(
        self,
        thing: Thing,
        *,
        account: str | None = None,
        event: str | None = None,
        told: str | None = None,
    ) -> Thing:
        """Keep a new object and emit its event (`<noun>.created` unless named).

        `told` is another account that gets the event too.
        """
        kind = kind_of(thing)
        key = self._key_of(thing, account)
        held = Held(kind, key[0], 1, thing)
        self._overlay.put(kind.table.key, key, held)
        for columns, index in kind.table.unique.items():
            self._overlay.put(index, _unique(columns, key, thing), key)
        self.added.add(thing.id)  # type: ignore[attr-defined]
        self._emit(held, event or f"{kind.event}.created", previous=None, told=told)
        return thing

    def change(
        self,
        thing: Thing,
        *,
        account: str | None = None,
        event: str | None = None,
        told: str | None = None,
        was: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Thing:
        """Replace fields of an object and emit its event (`<noun>.updated` unless named).

        `told` is another account that gets the event too. `was` is what computed fields were
        before, which no row knows.
        """
        kind = kind_of(thing)
        key = self._key_of(thing, account)
        before = self._held(kind.table.key, key, kind, lock=True)
        assert before is not None
        if self.condition is not None:
            self.condition = self.condition.look(key[-1], before)
        after: Any = msgspec.structs.replace(before.thing, **fields)
        held = Held(kind, before.account, before.version + 1, after)
        self._overlay.put(kind.table.key, key, held)
        for index, old, new in _moved(kind, key, before.thing, after):
            self._overlay.put(index, old, None)
            self._overlay.put(index, new, key)
        if was:
            before = before._replace(thing=msgspec.structs.replace(before.thing, **was))
        self._emit(held, event or f"{kind.event}.updated", previous=before, told=told)
        return after  # type: ignore[no-any-return]

    def advance(
        self,
        thing: Thing,
        verb: str,
        *,
        account: str | None = None,
        event: str | None = None,
        **fields: Any,
    ) -> Thing:
        """Move an object along its lifecycle and emit `<noun>.<state>`; raises `state_invalid`."""
        status = thing.lifecycle.move(thing.status, verb)  # type: ignore[attr-defined]
        event = event or f"{kind_of(thing).event}.{status}"
        return self.change(thing, account=account, event=event, status=status, **fields)

    def require(self, thing: Thing, verb: str) -> None:
        """See that an object's lifecycle allows a verb; raises `state_invalid`."""
        thing.lifecycle.move(thing.status, verb)  # type: ignore[attr-defined]

    def _emit(
        self, held: Held, event: str, *, previous: Held | None, told: str | None = None
    ) -> None:
        body = held.kind.encode(held.thing)
        changed = None if previous is None else _previous(held.kind.encode(previous.thing), body)
        own: str | None = None
        for account in (held.account,) if told is None else (held.account, told):
            made = self._event(account, held, event, body, changed)
            own = made if account == self.caller.account else own
        self.emitted[held.thing.id] = Emitted(own, held.thing, body)

    def _event(self, account: str, held: Held, event: str, body: bytes, changed: str | None) -> str:
        livemode = held.thing.livemode
        made = self._ids("evt", livemode=livemode)
        caller = self.caller
        self._overlay.append(
            EVENT,
            (
                account,
                livemode,
                made,
                1,
                self.now,
                "{}",
                event,
                held.thing.id,
                held.version,
                body.decode(),
                changed,
                caller.request_id,
                caller.idempotency_key,
            ),
        )
        return made

    def redact(self, thing: Any, *, account: str | None = None) -> None:
        """Have all events of an object tell of it as it is now, and of nothing that changed.

        What they told before is gone with the commit, and so are the remembered answers that
        stand in them. Events that another account was told are its own, and stay.
        """
        body = kind_of(thing).encode(thing)
        self._overlay.redacted[self._key_of(thing, account)] = body.decode()

    def furnish(self, account: Any) -> None:
        """Put into a new account what every new one has."""
        for fixture in self._means.fixtures:
            fixture(self, account)

    @property
    def means(self) -> Means:
        """What verbs work with: what the operator has set, and what areas declare."""
        return self._means

    def tell(self, account: str, event: str, object_id: str, body: bytes) -> None:
        """Emit an event to an account that does not own the object, of which it hears this once.

        What caused it is the owner's affair, and is left out.
        """
        livemode = self.caller.livemode
        made = self._ids("evt", livemode=livemode)
        head = (account, livemode, made, 1, self.now, "{}", event, object_id, 1)
        self._overlay.append(EVENT, (*head, body.decode(), None, None, None))

    def claim(self, table: Table, row: Row, *, fresh: bool = False) -> Row | None:
        """Write a row, unless there is one under its key already: that one is given, and stays.

        Nobody looks where the key is `fresh`, as that of something of a new account is.
        """
        key = table.key.of(row)
        found: Row | None = None if fresh else self._overlay.read(table.key, key)
        if found is None:
            self._overlay.put(table.key, key, row)
        return found

    def rewrite(self, table: Table, row: Row) -> None:
        """Write a row over the one under its key, which is locked."""
        self._overlay.read(table.key, key := table.key.of(row), lock=True)
        self._overlay.put(table.key, key, row)

    # Jobs

    def defer(
        self, task: str, subject: str, params: bytes, *, at: int, account: str | None = None
    ) -> None:
        """Have a task run at a time, Unix seconds, or soon after; once for each new subject."""
        owner = account or self.caller.account
        job = Job(
            owner, self.caller.livemode, task, subject, params.decode(), at, 0, None, self.now
        )
        self._overlay.put(JOB.key, job.key, tuple(job))

    def job(self, key: Key) -> Job | None:
        """A job, locked; None where there is none."""
        row: Row | None = self._overlay.read(JOB.key, key, lock=True)
        return None if row is None else Job.of(row)

    def change_job(self, job: Job, *, due_at: int | None, problem: str | None = None) -> None:
        """Say that a job has been done (no `due_at`), or has failed and is to be tried again."""
        attempts = job.attempts + (problem is not None)
        changed = job._replace(due_at=due_at, attempts=attempts, problem=problem)
        self._overlay.put(JOB.key, job.key, tuple(changed))


def _unique(columns: tuple[str, ...], key: Key, thing: Any) -> Key:
    """The key of an object in a unique index; one with nothing in it finds nobody."""
    return (*key[:2], *[getattr(thing, column, None) for column in columns[2:]])


def _moved(kind: Kind, key: Key, before: Any, after: Any) -> Iterator[tuple[Index, Key, Key]]:
    """The unique indexes in which a change gives an object another key, and both keys."""
    for columns, index in kind.table.unique.items():
        old, new = _unique(columns, key, before), _unique(columns, key, after)
        if old != new:
            yield index, old, new


def _previous(before: bytes, after: bytes) -> str:
    """The members of an object's JSON that changed, as they were."""
    old: dict[str, Any] = msgspec.json.decode(before)
    new: dict[str, Any] = msgspec.json.decode(after)
    return msgspec.json.encode({k: v for k, v in old.items() if new.get(k) != v}).decode()
