"""How ssUSD is booked: every debit and credit of reserves, issues, transfers and redemptions."""

from __future__ import annotations

from typing import NamedTuple

from commerce.books import chart
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.money import Money
from commerce.ledger.account import NETWORK, LedgerAccount
from commerce.ledger.cap import Cap
from commerce.ledger.entry import Booking, Posting

TEST_DOLLARS_DAILY_MAX = Money(1_000_000_000 * UNIT[SSUSD], SSUSD)


class Wallet(NamedTuple):
    """Whose wallet, in which mode, at which address."""

    owner: str
    livemode: bool
    address: str


def supply(livemode: bool) -> Cap:
    """The meter of all ssUSD in being: up by issues, down by redemptions; `verify` checks it."""
    return Cap(NETWORK, livemode, "stablecoin:supply")


def deposits(livemode: bool, type_: str) -> Cap:
    """The meter of all dollars ever verified that came one way."""
    return Cap(NETWORK, livemode, f"stablecoin:deposits:{type_}")


def test_dollars(account: str) -> Cap:
    """The meter of the test dollars that an account has made: 10^9 of them a UTC day at most."""
    most = TEST_DOLLARS_DAILY_MAX.minor
    return Cap(account, livemode=False, meter="stablecoin:test_dollars", daily=most)


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
    return _booking("issued", "issue", issuance, amount, posting, recipient=recipient, payee=wallet)


def transferred(  # noqa: PLR0913 - called by keyword
    transfer: str,
    amount: Money,
    fee: Money,
    *,
    payer: LedgerAccount,
    payee: LedgerAccount,
    sender: str,
    recipient: str,
    memo: str | None = None,
) -> Booking:
    """Move ssUSD between wallets; the sender pays the network's fee on top.

    What was scheduled is paid from what the sender has locked.
    """
    fees = chart.fees_network(payer.livemode, amount.currency)
    minor = amount.minor
    # Written out rather than through `_booking`: this is booked thousands of times a second.
    return Booking(
        "transferred",
        "transfer",
        transfer,
        amount.currency,
        minor,
        (Posting(payer, payee, minor), Posting(payer, fees, fee.minor)),
        sender,
        recipient,
        None if payee.owner == NETWORK else payee.owner,
        memo,
    )


def scheduled(transfer: str, amount: Money, fee: Money, *, wallet: Wallet) -> Booking:
    """Set aside what a later transfer will cost: it stays the sender's, and cannot be spent.

    Nothing comes into a wallet or leaves it, so there is no sender and no recipient, and it is no
    transfer to those who read it: that is booked when it is made.
    """
    return _within("scheduled", transfer, amount, fee, wallet)


def released(transfer: str, amount: Money, fee: Money, *, wallet: Wallet) -> Booking:
    """Give back what was set aside for a transfer that will not be."""
    return _within("released", transfer, amount, fee, wallet)


def _within(name: str, transfer: str, amount: Money, fee: Money, wallet: Wallet) -> Booking:
    free, held = chart.available(*wallet), chart.locked(*wallet)
    debit, credit = (free, held) if name == "scheduled" else (held, free)
    cost = amount + fee
    return _booking(name, "reserve", transfer, cost, Posting(debit, credit, cost.minor))


def burned(redemption: str, amount: Money, *, wallet: LedgerAccount, sender: str) -> Booking:
    """Burn tokens: from now on dollars are owed instead."""
    payable = chart.redemptions_payable(wallet.livemode)
    posting = Posting(wallet, payable, amount.minor)
    return _booking("burned", "redeem", redemption, amount, posting, sender=sender)


def completed(redemption: str, amount: Money, *, livemode: bool) -> Booking:
    """The dollars of a redemption have been sent: the reserves pay what the burn made them owe.

    No wallet moves, so there is no sender: the tokens left theirs when they were burned.
    """
    payable, cash = chart.redemptions_payable(livemode), chart.reserves_cash(livemode)
    posting = Posting(payable, cash, amount.minor)
    return _booking("completed", "settlement", redemption, amount, posting)


def returned(
    redemption: str, amount: Money, *, name: str, wallet: LedgerAccount, recipient: str
) -> Booking:
    """Mint the tokens of a redemption back: its dollars will not be sent. `name` says why."""
    payable = chart.redemptions_payable(wallet.livemode)
    posting = Posting(payable, wallet, amount.minor)
    ends = {"recipient": recipient}
    return _booking(name, "redeem", redemption, amount, posting, payee=wallet, **ends)


def _booking(  # noqa: PLR0913 - what a booking consists of
    name: str,
    type_: str,
    source: str,
    amount: Money,
    *postings: Posting,
    sender: str | None = None,
    recipient: str | None = None,
    payee: LedgerAccount | None = None,
) -> Booking:
    owner = None if payee is None or payee.owner == NETWORK else payee.owner
    minor = amount.minor
    ends = (sender, recipient, owner)
    return Booking(name, type_, source, amount.currency, minor, postings, *ends)
