"""How payments by card are booked: captured by a processor, and settled days later.

Each wallet that is paid has transactions of its own. What is captured is pending there, since the
processor has it still, and is available once it is settled.
"""

from __future__ import annotations

from typing import NamedTuple

from commerce.books import chart
from commerce.ledger.account import LedgerAccount
from commerce.ledger.entry import Booking, Posting


class Payee(NamedTuple):
    """A wallet that is paid, and its money that is pending."""

    address: str
    pending: LedgerAccount


class Release(NamedTuple):
    """Money of a wallet that is pending, and becomes available."""

    pending: LedgerAccount
    available: LedgerAccount
    amount: int


def captured(  # noqa: PLR0913 - called by keyword
    payment: str,
    name: str,
    amount: int,
    *,
    account: str,
    processor: str,
    payee: Payee,
    fee: int = 0,
) -> Booking:
    """Owe a wallet its part of what a processor has captured, and the network its fee.

    `account` is whose payment it is: another one that is paid may read of it.
    """
    livemode, currency = payee.pending.livemode, payee.pending.currency
    owed = chart.processor_receivable(livemode, processor, currency)
    parts = ((payee.pending, amount), (chart.fees_processing(livemode, currency), fee))
    postings = tuple(Posting(owed, account, part) for account, part in parts if part)
    type_ = "fee" if name == "application_fee" else "payment"
    # A fee that takes all is what moves.
    told = amount or fee
    other = None if payee.pending.owner == account else payee.pending.owner
    return Booking(
        name, type_, payment, currency, told, postings, recipient=payee.address, payee=other
    )


def settled(  # noqa: PLR0913 - called by keyword
    payment: str, *, livemode: bool, currency: str, processor: str, arrived: int, kept: int
) -> Booking:
    """The processor has paid: what arrived is in the bank, what it kept is spent."""
    owed = chart.processor_receivable(livemode, processor, currency)
    bank = chart.bank(livemode, processor, currency)
    expense = chart.processor_expense(livemode, processor, currency)
    parts = ((bank, arrived), (expense, kept))
    postings = [Posting(account, owed, part) for account, part in parts if part]
    amount = arrived + kept
    return Booking("settled", "settlement", payment, currency, amount, tuple(postings))


def released(payment: str, name: str, release: Release) -> Booking:
    """A wallet may spend from now on what it was owed of a payment that has settled.

    It is booked under whoever's wallet it is, so that they read of it.
    """
    pending, free, amount = release
    posting = Posting(pending, free, amount)
    return Booking(name, "settlement", payment, pending.currency, amount, (posting,))
