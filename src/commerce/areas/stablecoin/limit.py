"""How much an account may transfer, by how far its holder was verified."""

from __future__ import annotations

from typing import NamedTuple

from commerce.areas.identity.account import Account, Verification
from commerce.engine.overlay import Needs
from commerce.engine.tx import Caller, Tx
from commerce.kernel.clock import day, month
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.cap import Cap


class TransferLimits(NamedTuple):
    """Limits in whole ssUSD; fees do not count."""

    per_transfer: int
    daily: int
    monthly: int


LIMITS: dict[Verification, TransferLimits] = {
    "basic": TransferLimits(5_000, 10_000, 50_000),
    "verified": TransferLimits(50_000, 100_000, 500_000),
    "premium": TransferLimits(500_000, 1_000_000, 10_000_000),
    "business": TransferLimits(500_000, 1_000_000, 10_000_000),
}
"""The contract's table; a business has a premium holder's limits."""

DAILY = "transfer:daily"
MONTHLY = "transfer:monthly"
_UNIT = UNIT[SSUSD]


def _caps(account: str, livemode: bool, limits: TransferLimits, now: int) -> tuple[Cap, Cap]:  # noqa: FBT001
    return (
        Cap(account, livemode, DAILY, day(now), SSUSD, limits.daily * _UNIT),
        Cap(account, livemode, MONTHLY, month(now), SSUSD, limits.monthly * _UNIT),
    )


def need(needs: Needs, caller: Caller) -> None:
    """The rows that `use` reads."""
    for cap in _caps(caller.account, caller.livemode, LIMITS["basic"], 0):
        needs.cap(cap)


def use(tx: Tx, account: Account, amount: Money, *, param: str = "amount") -> None:
    """Count a transfer against its sender's limits; raises `limit_exceeded`, saying what is left.

    Days and months are UTC.
    """
    limits = LIMITS[account.verification]
    ceiling = limits.per_transfer * _UNIT
    if amount.minor > ceiling:
        raise _exceeded("per transfer", account, ceiling, ceiling, param)

    def exceeded(cap: Cap, left: int) -> ApiError:
        window = "a day" if cap.meter == DAILY else "a month"
        return _exceeded(window, account, cap.ceiling or 0, left, param)

    for cap in _caps(tx.caller.account, tx.caller.livemode, limits, tx.now):
        tx.use(cap, amount.minor, exceeded)


def _exceeded(window: str, account: Account, ceiling: int, left: int, param: str) -> ApiError:
    most, rest = Money(ceiling, SSUSD).text, Money(left, SSUSD).text
    message = (
        f"The limit of {most} ssUSD {window} at verification level '{account.verification}'"
        f" would be exceeded; {rest} ssUSD is left."
    )
    return ApiError("limit_exceeded", message, param=param)
