"""The balance: what an account holds in its main wallet, in each currency."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from commerce.areas.identity.account import main_wallet
from commerce.books import chart
from commerce.kernel.currency import SSUSD
from commerce.kernel.money import Money
from commerce.ledger.account import BALANCE, LedgerAccount
from commerce.resource.operation import Params, view
from commerce.resource.reading import Reading
from commerce.resource.ref import Wallet
from commerce.store.table import Filter, Sum

PARTS = (chart.available, chart.pending, chart.locked)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of one currency."""

    amount: Money
    """How much."""
    currency: str
    """Of what: `ssusd`, or a lower-case ISO 4217 code."""


class AccountBalance(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="balance"):
    """What an account holds, by currency: each that it ever held, `ssusd` first."""

    read_at: ClassVar = "as_of"

    livemode: bool
    """False in test mode."""
    address: Wallet
    """The main wallet, which holds it."""
    available: list[Held]
    """Free to be spent, and to be paid out."""
    pending: list[Held]
    """Received by card and yet to settle."""
    locked: list[Held]
    """Set aside: scheduled, or in escrow."""
    as_of: int
    """When this was so, Unix seconds."""


@view(AccountBalance, "GET /balance", scope="payments:read")
async def retrieve(reading: Reading, _: Params) -> AccountBalance:
    """What your main wallet holds, in each currency."""
    caller = reading.caller
    address = main_wallet(caller.account, caller.livemode)
    of = (caller.account, caller.livemode, address)
    # One statement, so that what moves from one part to another meanwhile is seen once.
    found = await reading.sums(*(_by_currency(part(*of)) for part in PARTS))
    currencies = sorted({SSUSD}.union(*found), key=lambda each: (each != SSUSD, each))
    available, pending, locked = (
        [Held(amount=Money(each.get(code, 0), code), currency=code) for code in currencies]
        for each in found
    )
    return AccountBalance(
        livemode=caller.livemode,
        address=address,
        available=available,
        pending=pending,
        locked=locked,
        as_of=reading.now,
    )


def _by_currency(account: LedgerAccount) -> Sum:
    """The balances of an account in every currency."""
    filters = [
        Filter("account", "=", account.owner),
        Filter("livemode", "=", account.livemode),
        Filter("code", "=", account.code),
    ]
    return Sum(BALANCE, "balance", "currency", filters)
