"""What the auditor knows: its own copy of what was committed, and how it came to be so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

Value = TypeVar("Value")
Row = dict[str, Any]

MILLION = 1_000_000
CENT = 10_000
FEE = 10_000
"""0.01 ssUSD a transfer, in millionths."""


class Disagreement(Exception):
    """What was done or answered is not what the contract says."""


def agree(so: bool, what: str, *values: object) -> None:
    """See that something is so. Raises `Disagreement`, whose words are only then put together."""
    if not so:
        raise Disagreement(what.format(*values))


def millionths(text: str) -> int:
    """An amount as the contract writes it, in millionths."""
    whole, _, fraction = text.partition(".")
    return int(whole) * MILLION + int((fraction + "000000")[:6])


def utc_day(unix: int) -> str:
    """The UTC day of Unix seconds."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d")


class History(Generic[Value]):
    """The values that something has had, each from a commit on."""

    __slots__ = ("_values",)

    def __init__(self, first: Value) -> None:
        self._values: list[tuple[int, Value]] = [(-1, first)]

    def now(self) -> Value:
        """The value it has."""
        return self._values[-1][1]

    def become(self, seq: int, value: Value) -> None:
        """Have another value, from this commit on."""
        self._values.append((seq, value))

    def since(self, seq: int) -> list[Value]:
        """The values it has had since then, the one it had then included."""
        found = []
        for at, value in reversed(self._values):
            found.append(value)
            if at <= seq:
                break
        return found


class Asked(NamedTuple):
    """A request, as its client sent it."""

    id: str
    account: str
    by: str
    """The account whose key it came with."""
    livemode: bool
    method: str
    path: str
    body: dict[str, Any] | None
    key: str | None
    """Its key of idempotency."""
    api_key: str | None
    """The restricted API key it came with; None: a secret one, which is never revoked here."""
    seq: int = 0
    """How many commits there had been."""
    now: int = 0
    """The time that clients had, Unix seconds."""

    @property
    def same(self) -> tuple[Any, ...]:
        """What makes it the same request."""
        return (self.method, self.path, self.body)


class Wish:
    """The operator's wish that an address be blocked, or be let go."""

    def __init__(self, blocked: bool) -> None:
        self.blocked = blocked
        self.ended: int | None = None
        """How many commits there were when it was answered, or lost."""


class Facts:
    """What is known."""

    def __init__(self) -> None:
        self.seq = 0
        """How many transactions were committed."""
        self.owners: dict[tuple[bool, str], str | None] = {}
        self.wallets: dict[tuple[str, bool], str] = {}
        self.blocked: defaultdict[tuple[bool, str], History[bool]]
        self.blocked = defaultdict(lambda: History(False))
        self.wishes: defaultdict[tuple[bool, str], list[Wish]] = defaultdict(list)
        self.levels: dict[tuple[str, bool], History[str]] = {}
        self.parents: dict[str, str | None] = {}
        """The account that each is connected to."""
        self.capabilities: dict[str, list[str]] = {}
        self.available: defaultdict[tuple[bool, str], History[int]]
        self.available = defaultdict(lambda: History(0))
        self.unissued: defaultdict[str, History[int]] = defaultdict(lambda: History(0))
        self.things: dict[tuple[str, str, bool, str], Row] = {}
        """Objects by table and key, as they are."""
        self.states: dict[str, History[str]] = {}
        """The states of objects that have any, by id."""
        self.turns: set[int] = set()
        """When the turns of workers that are still running began, in commits."""

    def may_act(self, asked: Asked) -> bool:
        """Whether a request is for the account of its key, or for one connected to that."""
        return asked.by in {asked.account, self.parents[asked.account]}

    def family(self, account: str) -> str:
        """The first account of a line of connected ones."""
        parent = self.parents[account]
        return account if parent is None else self.family(parent)

    def turned(self) -> int:
        """Since when a job that ends now may have been running."""
        return min(self.turns, default=self.seq)

    def is_blocked(self, livemode: bool, addresses: Iterable[str], since: int) -> set[bool]:
        """Whether one of these was blocked: all that was so at some time since.

        One that is blocked and let go again in one commit was blocked in between: so much is
        known of it that somebody wished it then.
        """
        found: set[bool] = set()
        for address in addresses:
            known = (livemode, address) in self.blocked
            values = set(self.blocked[livemode, address].since(since)) if known else {False}
            for wish in self.wishes.get((livemode, address), ()):
                if wish.ended is None or wish.ended >= since:
                    values.add(wish.blocked)
            if values == {True}:
                return {True}
            found |= values
        return found

    def learn(self, table: str, row: Row) -> None:
        """Take in a row of the directory, or an account."""
        livemode = row["livemode"]
        if table == "address":
            place = (livemode, row["address"])
            agree(
                place not in self.owners or self.owners[place] == row["account"],
                "{} has another owner now",
                row["address"],
            )
            self.owners[place] = row["account"]
            self.blocked[place].become(self.seq, row["blocked"])
        elif table == "account":
            whose = (row["id"], livemode)
            self.wallets[whose] = row["wallet"]
            parent = self.parents.setdefault(row["id"], row["parent"])
            agree(parent == row["parent"], "{} is connected to another now", row["id"])
            self.capabilities[row["id"]] = row["capabilities"]
            if whose in self.levels:
                self.levels[whose].become(self.seq, row["verification"])
            else:
                self.levels[whose] = History(row["verification"])
