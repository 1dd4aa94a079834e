"""Ledger transactions as clients read them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from commerce.engine.tx import Booked
from commerce.kernel.currency import SSUSD
from commerce.kernel.money import Money
from commerce.ledger.entry import TRANSACTION
from commerce.resource.noun import COMPUTED, HIDDEN, Hash, Noun, Part, noun, refers

TransactionType = Literal[
    "issue",
    "redeem",
    "transfer",
    "payment",
    "refund",
    "reserve",
    "settlement",
    "payout",
    "fee",
    "finance",
    "agent",
    "stock",
]


SOURCE = refers(
    "stablecoin_issuance",
    "stablecoin_redemption",
    "stablecoin_reserve_deposit",
    "stablecoin_transfer",
)
"""What causes transactions, by name: all of it is declared above this."""


class TransactionSummary(Part, frozen=True, kw_only=True):
    """The ledger transaction that moved the money."""

    __stands_for__ = "stablecoin_transaction"

    id: str
    """The transaction's id."""
    tx_hash: Hash
    """SHA-256 over the transaction's canonical form."""
    block_height: Annotated[int | None, COMPUTED] = None
    """The block that holds it; null until one does."""
    chain: Literal["stateset"] = "stateset"
    """The ledger it is on."""


@noun(
    prefix="txn",
    rank=2000,
    path="stablecoin/transactions",
    order=("id",),
    scope="stablecoin:read",
    filters=("type", "status", "source", "amount"),
    table=TRANSACTION,
)
class Transaction(Noun, tag="stablecoin_transaction", frozen=True, kw_only=True):
    """A movement in the ledger: never changed, all of it or none."""

    type: TransactionType
    """What kind of movement it is."""
    booking: Annotated[str, HIDDEN]
    source: Annotated[str, SOURCE]
    """The object that caused it."""
    amount: Money
    """How much moved, fees apart."""
    currency: str = SSUSD
    """Always `ssusd`."""
    sender: str | None = msgspec.field(default=None, name="from")
    """The address it came from; null for what was minted."""
    recipient: str | None = msgspec.field(default=None, name="to")
    """The address it went to; null for what was burned."""
    status: Literal["confirmed"] = "confirmed"
    """A transaction that exists is confirmed."""
    postings: Annotated[msgspec.Raw, HIDDEN]
    tx_hash: Hash
    """SHA-256 over the transaction's canonical form."""
    block_height: Annotated[int | None, COMPUTED] = None
    """The block that holds it; null until one does."""
    chain: Literal["stateset"] = "stateset"
    """The ledger it is on."""


def summary(booked: Booked) -> TransactionSummary:
    """A booked transaction in the words of the object that caused it."""
    return TransactionSummary(id=booked.id, tx_hash=booked.tx_hash.hex())
