"""Answers that are remembered under an idempotency key, in the transaction of their effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from commerce.kernel.errors import ApiError
from commerce.store.table import Column, Key, Row, Table

if TYPE_CHECKING:
    from commerce.engine.outside.errand import Errand
    from commerce.kernel.master_key import MasterKey

KEPT_SECONDS = 24 * 60 * 60
"""How long an answer is remembered."""
RUNNING = 102
"""The status under which a key is remembered whose request has made its first commit of two."""

ANSWER = Table(
    "answer",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("idempotency_key", "text"),
        Column("fingerprint", "bytea"),
        Column("status", "smallint"),
        Column("event", "text", nullable=True),
        Column("body", "text", nullable=True),
        Column("sealed", "bytea", nullable=True),
        Column("object_id", "text", nullable=True),
        Column("created", "bigint"),
    ],
    key=("account", "livemode", "idempotency_key"),
    rank=3000,
)
"""A body stands in its event where there is one, in clear where there is none, or sealed."""


class IdempotencyKey(NamedTuple):
    """A key as the client sent it, and the keyed hash of the request it came with."""

    key: str
    fingerprint: bytes


class Answer(NamedTuple):
    """What a request is answered: the status, the body, and where a copy of the body stands."""

    status: int
    body: bytes
    object_id: str | None = None
    event: str | None = None
    """The event whose object is, byte for byte, the body."""
    secret: bool = False
    """The body holds a secret and is remembered sealed."""
    replayed: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    errand: Errand | None = None
    """What is asked outside before anybody is answered: the answer is of the second commit."""


class StillRunning(ApiError):
    """The first request with this key has made its first commit of two, and not its second."""

    def __init__(self) -> None:
        super().__init__("idempotency_key_in_use", headers={"Retry-After": "1"})


class Remembered(msgspec.Struct, frozen=True):
    """An answer as it is remembered."""

    account: str
    livemode: bool
    idempotency_key: str
    fingerprint: bytes
    status: int
    event: str | None
    body: str | None
    sealed: bytes | None
    object_id: str | None
    created: int

    @classmethod
    def of(cls, row: Row) -> Remembered:
        """Read a row of the table."""
        return cls(*row)


def kept(
    key: Key, fingerprint: bytes, answer: Answer, master_key: MasterKey, *, created: int
) -> Row:
    """The row in which an answer is remembered under a key."""
    body = None if answer.event or answer.secret else answer.body.decode()
    sealed = master_key.seal(answer.body, context(key)) if answer.secret else None
    event = None if sealed else answer.event
    return (*key, fingerprint, answer.status, event, body, sealed, answer.object_id, created)


def context(key: Key) -> bytes:
    """What a sealed answer is bound to, so that it opens for its own key only."""
    return "\x00".join((key[0], str(key[1]), key[2])).encode()
