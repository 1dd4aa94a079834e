"""How much an account may transfer, by how far its holder was verified."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from commerce.areas.identity.account import Account, Verification
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
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


def use(tx: Tx, account: Account, amounts: Sequence[Money], params: Sequence[str]) -> None:
    """Count transfers, all of them or none, against their sender's limits.

    Days and months are UTC. Raises `limit_exceeded`, saying what is left; `params` names the
    amount at which the limit is passed.
    """
    limits = LIMITS[account.verification]
    ceiling = limits.per_transfer * _UNIT
    for at, amount in enumerate(amounts):
        if amount.minor > ceiling:
            raise _exceeded("per transfer", account, ceiling, ceiling, params[at])
    total = sum(amount.minor for amount in amounts)
    try:
        tx.use(_cap(tx.caller.account, tx.caller.livemode, limits), total)
    except CapReached as reached:
        at = first_beyond(reached.left, [amount.minor for amount in amounts])
        left = reached.left
        raise _exceeded(reached.window, account, reached.ceiling, left, params[at]) from None


def first_beyond(most: int, amounts: Sequence[int]) -> int:
    """The place at which amounts, added up in their order, come to more than `most`."""
    sums = itertools.accumulate(amounts)
    return next(at for at, passed in enumerate(sums) if passed > most)


def _exceeded(window: str, account: Account, ceiling: int, left: int, param: str) -> ApiError:
    most, rest = Money(ceiling, SSUSD).text, Money(left, SSUSD).text
    message = (
        f"The limit of {most} ssUSD {window} at verification level '{account.verification}'"
        f" would be exceeded; {rest} ssUSD is left."
    )
    return ApiError("limit_exceeded", message, param=param)
