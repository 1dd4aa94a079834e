"""How payments in ssUSD are booked: every debit and credit of them and of their refunds.

Each wallet that is paid, and each that gives back, has a transaction of its own, by which whoever
owns it reads of it.
"""

from __future__ import annotations

from typing import NamedTuple

from commerce.books import chart
from commerce.kernel.currency import SSUSD
from commerce.kernel.money import Money
from commerce.ledger.account import NETWORK, LedgerAccount
from commerce.ledger.entry import Booking, Posting

PROCESSING_FEE = Money(10_000, SSUSD)
"""0.01 ssUSD a payment, as much as a transfer costs; it comes off what the payee gets."""


class Side(NamedTuple):
    """A wallet as one side of a movement: its address, and the account of it that moves."""

    address: str
    account: LedgerAccount


def paid(  # noqa: PLR0913 - called by keyword
    payment: str, name: str, amount: int, *, payer: Side, payee: Side, fee: int = 0
) -> Booking:
    """Pay one recipient, from what the payer has available or has locked for this.

    The processing fee is the payer's posting too, so that it comes off the amount as a whole.
    """
    postings = [Posting(payer.account, payee.account, amount)]
    if fee:
        fees = chart.fees_processing(payer.account.livemode, payer.account.currency)
        postings.append(Posting(payer.account, fees, fee))
    return _moved(name, "payment", payment, amount, tuple(postings), payer, payee)


def application_fee(payment: str, amount: int, *, payer: Side, payee: Side) -> Booking:
    """Pay the platform its share of a payment."""
    postings = (Posting(payer.account, payee.account, amount),)
    return _moved("application_fee", "fee", payment, amount, postings, payer, payee)


def refunded(refund: str, name: str, amount: int, *, payer: Side, payee: Side) -> Booking:
    """Give back what one party owes of a refund."""
    postings = (Posting(payer.account, payee.account, amount),)
    return _moved(name, "refund", refund, amount, postings, payer, payee)


def held(payment: str, amount: int, *, free: LedgerAccount, locked: LedgerAccount) -> Booking:
    """Set a payment aside: it stays the payer's, and cannot be spent."""
    return _within("held", payment, amount, Posting(free, locked, amount))


def released(payment: str, amount: int, *, free: LedgerAccount, locked: LedgerAccount) -> Booking:
    """Give back what was set aside and is not captured."""
    return _within("released", payment, amount, Posting(locked, free, amount))


def _within(name: str, payment: str, amount: int, posting: Posting) -> Booking:
    return Booking(name, "reserve", payment, posting.debit.currency, amount, (posting,))


def _moved(  # noqa: PLR0913, PLR0917 - what a booking consists of
    name: str,
    type_: str,
    source: str,
    amount: int,
    postings: tuple[Posting, ...],
    payer: Side,
    payee: Side,
) -> Booking:
    owner = payee.account.owner
    return Booking(
        name,
        type_,
        source,
        payer.account.currency,
        amount,
        postings,
        payer.address,
        payee.address,
        None if owner in (NETWORK, payer.account.owner) else owner,
    )
