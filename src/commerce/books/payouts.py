"""How payouts are booked: money leaves a wallet, is owed to a bank account, and is sent.

| booking | debit → credit |
|---|---|
| `withdrawn` | `wallet:M:available` → `payouts:payable` |
| `sent` | `payouts:payable` → `bank:<name>` |
| `failed` | `payouts:payable` → `wallet:M:available` |
"""

from __future__ import annotations

from commerce.books import chart
from commerce.kernel.money import Money
from commerce.ledger.account import NETWORK, LedgerAccount
from commerce.ledger.entry import Booking, Posting


def bank(livemode: bool, currency: str) -> LedgerAccount:
    """The bank account that payouts are sent from: the one that the processor settles to."""
    return chart.bank(livemode, "stripe" if livemode else "test", currency)


def withdrawn(payout: str, amount: Money, *, wallet: LedgerAccount, sender: str) -> Booking:
    """Take money out of a wallet: from now on it is owed to a bank account."""
    payable = chart.payouts_payable(wallet.livemode, amount.currency)
    posting = Posting(wallet, payable, amount.minor)
    return _booking("withdrawn", "payout", payout, amount, posting, sender=sender)


def sent(payout: str, amount: Money, *, livemode: bool) -> Booking:
    """The money has been sent. No wallet moves: it left its own when it was withdrawn."""
    payable = chart.payouts_payable(livemode, amount.currency)
    posting = Posting(payable, bank(livemode, amount.currency), amount.minor)
    return _booking("sent", "settlement", payout, amount, posting)


def failed(payout: str, amount: Money, *, wallet: LedgerAccount, recipient: str) -> Booking:
    """Put the money back where it was: it could not be sent."""
    payable = chart.payouts_payable(wallet.livemode, amount.currency)
    posting = Posting(payable, wallet, amount.minor)
    payee = None if wallet.owner == NETWORK else wallet.owner
    return _booking("failed", "payout", payout, amount, posting, recipient=recipient, payee=payee)


def _booking(  # noqa: PLR0913 - what a booking consists of
    name: str,
    type_: str,
    source: str,
    amount: Money,
    posting: Posting,
    *,
    sender: str | None = None,
    recipient: str | None = None,
    payee: str | None = None,
) -> Booking:
    ends = (sender, recipient, payee)
    return Booking(name, type_, source, amount.currency, amount.minor, (posting,), *ends)
