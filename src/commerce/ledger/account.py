"""Accounts of the ledger: who owns one, what it means and what guards it."""

from __future__ import annotations

from typing import NamedTuple

from commerce.store.table import Column, Table

NETWORK = "network"
"""The owner of the accounts that belong to no customer: reserves, fees, payables."""

BALANCE = Table(
    "ledger_balance",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("code", "text"),
        Column("currency", "text"),
        Column("debit_normal", "boolean"),
        Column("guarded", "boolean"),
        Column("balance", "bigint"),
        Column("entries", "bigint"),
        Column("mark", "bigint"),
    ],
    key=("account", "livemode", "code", "currency"),
    rank=1000,
    updated=("balance", "entries", "mark"),
)
"""Each account's balance on its normal side, in the smallest unit, its number of entries, and the
mark of the last one."""


class LedgerAccount(NamedTuple):
    """An account of the ledger, in one currency of one mode.

    `code` is a path (`wallet:stateset1…:available`). A `guarded` account may never fall below
    zero on its normal side; a `sharded` one is kept in parts, one an engine lane, since every
    transaction touches it and nothing is ever refused because of it.
    """

    owner: str
    livemode: bool
    code: str
    currency: str
    debit_normal: bool = False
    guarded: bool = False
    sharded: bool = False

    def shard(self, lane: int) -> tuple[str, bool, str, str]:
        """The key of the balance row that a lane books on."""
        if not self.sharded:
            return self[:4]
        return (self.owner, self.livemode, f"{self.code}#{lane}", self.currency)
