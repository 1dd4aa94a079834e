"""Answers that are remembered under an idempotency key, in the transaction of their effects."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from commerce.store.table import Column, Row, Table

KEPT_SECONDS = 24 * 60 * 60
"""How long an answer is remembered."""

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
