"""What a backup says of itself: its form, its schema, its master key, its checksum."""

from __future__ import annotations

import datetime as dt
from typing import Literal, Self

import msgspec

from commerce.installation import ServerError

FORMAT = 1
"""The layout of the file; a later one is refused by name, not misread."""

Form = Literal["physical", "logical"]
PAYLOADS: dict[Form, str] = {"physical": "postgres.tar.gz", "logical": "database.dump"}
"""The file within the backup that holds the database: pg_basebackup's tar, or pg_dump's custom
format. `tar -xf` and PostgreSQL's own programs can read both without us."""


class Applied(msgspec.Struct, frozen=True):
    """A migration that the database had, as its `schema_migration` tells of it."""

    number: int
    name: str
    sha256: bytes
    applied_at: dt.datetime


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The last word of a backup; signed by the master key, so that nobody else could have said it.

    The signature is HMAC-SHA256 of the manifest's bytes under a subkey of the master key. Since
    the manifest holds the payload's SHA-256, a payload that was changed is found as well.
    """

    format: int = FORMAT
    form: Form
    created: int
    """Unix seconds."""
    postgres: int
    """The major version of the server it was taken from."""
    programs: int
    """The major version of the programs that took it."""
    migrations: list[Applied]
    fingerprint: bytes
    """Which master key sealed what is sealed in it, as the table `master_key` has it."""
    holds_master_key: bool
    transactions: int
    """Rows of `ledger_transaction`: all of a logical backup; a physical one has at least these."""
    entries: int
    """Rows of `ledger_entry`, likewise."""
    size: int
    """The bytes of the payload."""
    sha256: str
    """The checksum of the payload, in hex."""

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Decode one. Raises `ServerError`."""
        try:
            made_by = msgspec.json.decode(text, type=_Format).format
            if made_by != FORMAT:
                raise ServerError(f"its format is {made_by}; this version reads {FORMAT}")
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise ServerError(f"its manifest cannot be read: {error}") from None

    def encode(self) -> bytes:
        """The bytes that are signed and kept."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @property
    def payload(self) -> str:
        """The name of the file within the backup that holds the database."""
        return PAYLOADS[self.form]

    @property
    def taken(self) -> str:
        """When it was made, for people."""
        when = dt.datetime.fromtimestamp(self.created, dt.UTC)
        return when.strftime("%Y-%m-%d %H:%M:%S UTC")


class _Format(msgspec.Struct):
    format: int
