"""Spending: the money that a key with limits moves, counted where it moves."""

from __future__ import annotations

from commerce.areas.identity.api_key import TABLE, ApiKey
from commerce.areas.identity.key_limit import FIELDS, ceiling
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.cap import Cap, CapReached

DOLLARS = "usd"
"""The currency that ssUSD is backed by, one to one."""


def _cap(
    meter: str, livemode: bool, *, daily: int | None = None, lifetime: int | None = None
) -> Cap:
    """A meter's cap; the account whose cap it is stands in the meter's name."""
    account, _, key = meter.partition(":")
    return Cap(account, livemode, f"key:{key}", daily=daily, total=lifetime)


def need(needs: Needs, caller: Caller) -> None:
    """The rows that `use` reads: none for a key without limits."""
    if caller.meter is not None:
        needs.row(TABLE.key, (caller.key_owner, caller.livemode, caller.key))
        needs.cap(_cap(caller.meter, caller.livemode))


def use(
    tx: Tx, amount: Money, recipient: str | None, *, param: str = "amount", to: str = "to"
) -> None:
    """Count an amount, without its fees, against the limits of the key that moves it.

    `recipient` is the address that gets it; None is a bank account or a card, which no list of
    recipients names. `param` and `to` are the parameters that a refusal blames for the amount and
    for the recipient. Days are UTC. Raises `limit_exceeded`, saying which limit and what is left.

    Limits are in ssUSD, of which a US dollar is one. What another currency is worth nobody says
    here, so that a key with limits moves none of it.
    """
    caller = tx.caller
    if caller.meter is None or caller.key is None:
        return
    key = tx.get(ApiKey, caller.key, account=caller.key_owner)
    _require_listed(key, recipient, to)
    most, daily, lifetime = (ceiling(key.limits, name) for name in FIELDS)
    counted = _in_ssusd(amount, param)
    if most is not None and counted > most:
        raise _exceeded("per transaction", most, most, param)
    assert key.meter is not None
    try:
        tx.use(_cap(key.meter, caller.livemode, daily=daily, lifetime=lifetime), counted)
    except CapReached as reached:
        raise _exceeded(reached.window, reached.ceiling, reached.left, param) from None


def allow(tx: Tx, recipient: str, *, to: str) -> None:
    """See that the key that moves money may send to one more address of the same movement.

    Its amount counts once, by `use`. Raises `limit_exceeded`.
    """
    caller = tx.caller
    if caller.meter is not None and caller.key is not None:
        _require_listed(tx.get(ApiKey, caller.key, account=caller.key_owner), recipient, to)


def _require_listed(key: ApiKey, recipient: str | None, to: str) -> None:
    if key.recipients is not None and recipient not in key.recipients:
        what = "bank accounts and cards" if recipient is None else f"'{recipient}'"
        message = f"This key may send to its own list of recipients only, which lacks {what}."
        raise ApiError("limit_exceeded", message, param=to)


def _in_ssusd(amount: Money, param: str) -> int:
    """An amount as limits count it, in millionths. Raises `limit_exceeded` for what they cannot."""
    if amount.currency == SSUSD:
        return amount.minor
    if amount.currency == DOLLARS:
        return amount.minor * (UNIT[SSUSD] // UNIT[DOLLARS])
    message = f"This key has limits in ssUSD, which do not count {amount.currency.upper()}."
    raise ApiError("limit_exceeded", message, param=param)


def _exceeded(window: str, ceiling: int, left: int, param: str) -> ApiError:
    most, rest = Money(ceiling, SSUSD).text, Money(left, SSUSD).text
    message = f"This key's limit of {most} ssUSD {window} would be exceeded; {rest} ssUSD is left."
    return ApiError("limit_exceeded", message, param=param)
