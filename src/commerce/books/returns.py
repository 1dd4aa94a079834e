"""How money from cards goes back: refunds, and what cardholders dispute.

A processor gives back from what it is still to pay: its receivable falls, below zero where it has
paid already.

| booking | debit → credit |
|---|---|
| `refunded:<n>`, `disputed:<n>` | `wallet:M:pending` → `processor:P:receivable`, what has not
settled of this payment first; then `wallet:M:available` → `processor:P:receivable` |
| `restored:<n>`: the processor refused | `processor:P:receivable` → `wallet:M:pending` and
→ `wallet:M:available` |
| `reinstated:<n>`: the dispute was won | the same |
| `covered`: what no wallet had | `payments:losses` → `processor:P:receivable` |
| `recovered`: the dispute was won | `processor:P:receivable` → `payments:losses` |
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from commerce.books import chart
from commerce.kernel.money import Money
from commerce.ledger.account import NETWORK, LedgerAccount
from commerce.ledger.entry import Booking, Posting

Type = Literal["refund", "dispute"]


class Purse(NamedTuple):
    """A wallet that gives or gets back: its money that has not settled, and what is available."""

    address: str
    pending: LedgerAccount
    available: LedgerAccount


def taken(  # noqa: PLR0913 - called by keyword
    source: str, name: str, type_: Type, *, processor: str, purse: Purse, pending: int, free: int
) -> Booking:
    """Take from a wallet what goes back to a card."""
    owed = chart.processor_receivable(purse.pending.livemode, processor, purse.pending.currency)
    parts = ((purse.pending, pending), (purse.available, free))
    postings = tuple(Posting(account, owed, amount) for account, amount in parts if amount)
    currency = purse.pending.currency
    return Booking(name, type_, source, currency, pending + free, postings, purse.address)


def given(  # noqa: PLR0913 - called by keyword
    source: str, name: str, type_: Type, *, processor: str, purse: Purse, pending: int, free: int
) -> Booking:
    """Give to a wallet again what did not go back, or came back."""
    owed = chart.processor_receivable(purse.pending.livemode, processor, purse.pending.currency)
    parts = ((purse.pending, pending), (purse.available, free))
    postings = tuple(Posting(owed, account, amount) for account, amount in parts if amount)
    owner = purse.available.owner
    return Booking(
        name,
        type_,
        source,
        purse.pending.currency,
        pending + free,
        postings,
        recipient=purse.address,
        payee=None if owner == NETWORK else owner,
    )


def covered(dispute: str, amount: Money, *, livemode: bool, processor: str) -> Booking:
    """Lose what a cardholder takes back and no wallet had."""
    owed = chart.processor_receivable(livemode, processor, amount.currency)
    losses = chart.payments_losses(livemode, amount.currency)
    return _behind("covered", dispute, amount, Posting(losses, owed, amount.minor))


def recovered(dispute: str, amount: Money, *, livemode: bool, processor: str) -> Booking:
    """Get back what was lost so."""
    owed = chart.processor_receivable(livemode, processor, amount.currency)
    losses = chart.payments_losses(livemode, amount.currency)
    return _behind("recovered", dispute, amount, Posting(owed, losses, amount.minor))


def _behind(name: str, dispute: str, amount: Money, posting: Posting) -> Booking:
    """What moves no wallet."""
    return Booking(name, "dispute", dispute, amount.currency, amount.minor, (posting,))
