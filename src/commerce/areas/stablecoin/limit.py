"""How much an account may transfer, by how far its holder was verified."""

from __future__ import annotations

from typing import NamedTuple

from commerce.areas.identity.account import Account, Verification
from commerce.engine.overlay import Needs
from commerce.engine.tx import Caller, Tx
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.cap import Cap, CapReached


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

METER = "transfer"
_UNIT = UNIT[SSUSD]


def _cap(account: str, livemode: bool, limits: TransferLimits) -> Cap:
    return Cap(account, livemode, METER, daily=limits.daily * _UNIT, monthly=limits.monthly * _UNIT)


def need(needs: Needs, caller: Caller) -> None:
    """The row that `use` reads."""
    needs.cap(Cap(caller.account, caller.livemode, METER))


def use(tx: Tx, account: Account, amount: Money, *, param: str = "amount") -> None:
    """Count a transfer against its sender's limits; raises `limit_exceeded`, saying what is left.

    Days and months are UTC.
    """
    limits = LIMITS[account.verification]
    ceiling = limits.per_transfer * _UNIT
    if amount.minor > ceiling:
        raise _exceeded("per transfer", account, ceiling, ceiling, param)
    try:
        tx.use(_cap(tx.caller.account, tx.caller.livemode, limits), amount.minor)
    except CapReached as reached:
        raise _exceeded(reached.window, account, reached.ceiling, reached.left, param) from None


def _exceeded(window: str, account: Account, ceiling: int, left: int, param: str) -> ApiError:
    most, rest = Money(ceiling, SSUSD).text, Money(left, SSUSD).text
    message = (
        f"The limit of {most} ssUSD {window} at verification level '{account.verification}'"
        f" would be exceeded; {rest} ssUSD is left."
    )
    return ApiError("limit_exceeded", message, param=param)
