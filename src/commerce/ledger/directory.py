"""The network's directory: which account owns an address, and which addresses are blocked."""

from __future__ import annotations

from typing import NamedTuple

from commerce.store.table import Column, Row, Table

ADDRESS = Table(
    "address",
    [
        Column("livemode", "boolean"),
        Column("address", "text"),
        Column("account", "text", nullable=True),
        Column("blocked", "boolean"),
    ],
    key=("livemode", "address"),
    rank=900,
    announced=True,
)
"""An address without an account is an external wallet that the operator has blocked."""


class Address(NamedTuple):
    """One row of the directory."""

    livemode: bool
    address: str
    account: str | None
    blocked: bool

    @classmethod
    def of(cls, row: Row) -> Address:
        """Read a row of the table."""
        return cls(*row)
