"""Postings, the transactions they make, and the entries that transactions leave on accounts."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from commerce.ledger.account import LedgerAccount
from commerce.proofs import TRANSACTION_VERSION
from commerce.store.table import Column, Row, Table

AMOUNT_MAX = 2**63 - 1
"""Balances are signed 64-bit integers of the smallest unit."""

TRANSACTION = Table(
    "ledger_transaction",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("id", "text"),
        Column("version", "bigint"),
        Column("created", "bigint"),
        Column("metadata", "jsonb"),
        Column("type", "text"),
        Column("booking", "text"),
        Column("source", "text"),
        Column("amount", "bigint"),
        Column("currency", "text"),
        Column("sender", "text", nullable=True),
        Column("recipient", "text", nullable=True),
        Column("postings", "text"),
        Column("tx_hash", "bytea"),
        Column("payee", "text", nullable=True),
        Column("memo", "text", nullable=True),
        Column("mark", "bigint"),
    ],
    key=("account", "livemode", "id"),
    rank=2000,
    unique=(("account", "livemode", "source", "booking"),),
)
"""What was booked: never changed. One object is the source of each, once a booking."""

ENTRY = Table(
    "ledger_entry",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("code", "text"),
        Column("currency", "text"),
        Column("number", "bigint"),
        Column("transaction", "text"),
        Column("amount", "bigint"),
        Column("balance_after", "bigint"),
        Column("mark", "bigint"),
    ],
    key=("account", "livemode", "code", "currency", "number"),
    rank=2100,
)
"""One row an account and transaction, legs netted; a debit is positive, a credit negative."""


class Posting(NamedTuple):
    """An amount moved from the credit of one account to the debit of another: always balanced."""

    debit: LedgerAccount
    credit: LedgerAccount
    amount: int


class Booking(NamedTuple):
    """What a verb asks the ledger to book: all of its postings happen, or none.

    `name` says which of its source's bookings this is (`burned`, `completed`): one source is
    booked at most once under each name. `type` is the kind of movement that readers filter by.
    `amount`, `sender`, `recipient` and `memo` describe it to them; `payee` is the account that
    owns the recipient, and may read the transaction whoever caused it.
    """

    name: str
    type: str
    source: str
    currency: str
    amount: int
    postings: tuple[Posting, ...]
    sender: str | None = None
    recipient: str | None = None
    payee: str | None = None
    memo: str | None = None


class Unbalanced(Exception):
    """A booking that could not be right: a programming error, never a customer's."""


def net(booking: Booking) -> dict[LedgerAccount, int]:
    """Net a booking's legs into one signed amount an account, debits positive."""
    amounts: dict[LedgerAccount, int] = {}
    for debit, credit, amount in booking.postings:
        if not 0 < amount <= AMOUNT_MAX:
            raise Unbalanced(f"{booking.name}: a posting of {amount}")
        if debit.currency != credit.currency or debit.livemode != credit.livemode:
            raise Unbalanced(f"{booking.name}: {debit.code} and {credit.code} are of two books")
        amounts[debit] = amounts.get(debit, 0) + amount
        amounts[credit] = amounts.get(credit, 0) - amount
    return amounts


def postings_json(booking: Booking) -> bytes:
    """The postings as compact JSON, a list of lists.

    A posting is `[debit owner, debit code, credit owner, credit code, currency, amount]`, where
    the amount is an integer of the smallest unit.
    """
    return msgspec.json.encode(
        [
            [debit.owner, debit.code, credit.owner, credit.code, debit.currency, amount]
            for debit, credit, amount in booking.postings
        ]
    )


def canonical(
    account: str, transaction: str, created: int, booking: Booking, postings: bytes
) -> bytes:
    """The canonical form of a transaction: compact JSON with a fixed order of members.

    `["commerce.transaction.1", account, id, created, type, source, booking, amount, currency,
    from, to, memo, postings]`, the postings as `postings_json` writes them.
    """
    name, type_, source, currency, amount, _, sender, recipient, _, memo = booking
    head = [TRANSACTION_VERSION, account, transaction, created]
    told = [type_, source, name, amount, currency, sender, recipient, memo]
    return msgspec.json.encode([*head, *told])[:-1] + b"," + postings + b"]"


def canonical_of(row: Row) -> bytes:
    """The canonical form of a transaction that was kept."""
    kept = dict(zip(TRANSACTION.names, row, strict=True))
    booking = Booking(
        kept["booking"],
        kept["type"],
        kept["source"],
        kept["currency"],
        kept["amount"],
        (),
        kept["sender"],
        kept["recipient"],
        memo=kept["memo"],
    )
    postings = kept["postings"].encode()
    return canonical(kept["account"], kept["id"], kept["created"], booking, postings)


def transaction_hash(canonical_form: bytes) -> bytes:
    """SHA-256 over a transaction's canonical form: 32 bytes."""
    return hashlib.sha256(canonical_form).digest()
