"""The test processor's notebook: what it was asked under which key, and what it said."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.engine import Engine
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.store.table import Column, Key, Row, Table

TEST_CALL = Table(
    "test_call",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("id", "text"),
        Column("asked", "text"),
        Column("verdict", "text", nullable=True),
        Column("created", "bigint"),
    ],
    key=("account", "livemode", "id"),
    rank=440,
)
"""One row a call; without a verdict it was asked about before it came, and is not taken."""


class Note(NamedTuple):
    """A row of the notebook."""

    account: str
    livemode: bool
    id: str
    """The key of the call."""
    asked: str
    """What the call was."""
    verdict: str | None
    """What was said, as JSON."""
    created: int

    @property
    def key(self) -> Key:
        """The key of the row."""
        return self[:3]


class Notebook(Protocol):
    """Where notes are kept."""

    async def read(self, key: Key) -> Note | None:
        """The note under a key."""

    async def write(self, note: Note) -> Note:
        """Keep a note, unless there is one under its key already; give the one that is kept."""

    def now(self) -> int:
        """The time, Unix seconds."""


class StoredNotebook:
    """Notes in a table of their own, each written in a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read(self, key: Key) -> Note | None:
        """The note under a key."""
        rows = await self._engine.store.find(TEST_CALL.key, [key])
        return Note(*rows[0]) if rows else None

    async def write(self, note: Note) -> Note:
        """Keep a note, or give the one there is."""
        kept: list[Row] = []

        def run(tx: Tx) -> Answer:
            kept.append(tx.claim(TEST_CALL, tuple(note)) or tuple(note))
            return Answer(200, b"")

        def needs(needs: Needs) -> None:
            needs.row(TEST_CALL.key, note.key)

        caller = Caller(note.account, note.livemode)
        await self._engine.submit(Command(caller, run, needs))
        return Note(*kept[-1])

    def now(self) -> int:
        """The time, Unix seconds."""
        return self._engine.means.now()
