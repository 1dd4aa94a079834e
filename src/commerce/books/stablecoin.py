"""How ssUSD is booked: every debit and credit of reserves, issues, transfers and redemptions."""

from __future__ import annotations

from commerce.books import chart
from commerce.kernel.money import Money
from commerce.ledger.account import NETWORK, LedgerAccount
from commerce.ledger.cap import Cap
from commerce.ledger.entry import Booking, Posting


def supply(livemode: bool) -> Cap:
    """The meter of all ssUSD in being: up by issues, down by redemptions; `verify` checks it."""
    return Cap(NETWORK, livemode, "stablecoin:supply")


def deposits(livemode: bool, type_: str) -> Cap:
    """The meter of all dollars ever verified that came one way."""
    return Cap(NETWORK, livemode, f"stablecoin:deposits:{type_}")


def deposit_verified(deposit: str, amount: Money, *, livemode: bool) -> Booking:
    """Dollars have arrived: cash in the bank, free to be minted against."""
    unissued = chart.reserves_unissued(livemode, deposit)
    return _booking(
        "verified",
        "reserve",
        deposit,
        amount,
        Posting(chart.reserves_cash(livemode), unissued, amount.minor),
    )


def issued(
    issuance: str, amount: Money, *, deposit: str, wallet: LedgerAccount, recipient: str
) -> Booking:
    """Mint against a verified deposit."""
    unissued = chart.reserves_unissued(wallet.livemode, deposit)
    posting = Posting(unissued, wallet, amount.minor)
    return _booking("issued", "issue", issuance, amount, posting, recipient=recipient)


def transferred(  # noqa: PLR0913 - called by keyword
    transfer: str,
    amount: Money,
    fee: Money,
    *,
    payer: LedgerAccount,
    payee: LedgerAccount,
    sender: str,
    recipient: str,
) -> Booking:
    """Move ssUSD between wallets; the sender pays the network's fee on top."""
    fees = chart.fees_network(payer.livemode, amount.currency)
    return _booking(
        "transferred",
        "transfer",
        transfer,
        amount,
        Posting(payer, payee, amount.minor),
        Posting(payer, fees, fee.minor),
        sender=sender,
        recipient=recipient,
    )


def burned(redemption: str, amount: Money, *, wallet: LedgerAccount, sender: str) -> Booking:
    """Burn tokens: from now on dollars are owed instead."""
    payable = chart.redemptions_payable(wallet.livemode)
    posting = Posting(wallet, payable, amount.minor)
    return _booking("burned", "redeem", redemption, amount, posting, sender=sender)


def completed(redemption: str, amount: Money, *, livemode: bool, sender: str) -> Booking:
    """The dollars of a redemption have been sent."""
    payable, cash = chart.redemptions_payable(livemode), chart.reserves_cash(livemode)
    posting = Posting(payable, cash, amount.minor)
    return _booking("completed", "redeem", redemption, amount, posting, sender=sender)


def _booking(  # noqa: PLR0913 - what a booking consists of
    name: str,
    type_: str,
    source: str,
    amount: Money,
    *postings: Posting,
    sender: str | None = None,
    recipient: str | None = None,
) -> Booking:
    return Booking(name, type_, source, amount.currency, amount.minor, postings, sender, recipient)
