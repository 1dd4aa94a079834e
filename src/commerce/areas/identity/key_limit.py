"""Limits of keys: what a key may move, to whom, and when one key's reach is within another's."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from commerce.kernel import address as addresses
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.access import KeyType, Scope, widened
from commerce.resource.parameter import Dollars

RECIPIENTS_MAX = 100
FIELDS = ("per_transaction", "daily", "lifetime")

Recipients = Annotated[list[str], msgspec.Meta(min_length=1, max_length=RECIPIENTS_MAX)]


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much ssUSD a key may move; fees do not count. Null is without limit."""

    per_transaction: str | None = None
    """At once: a decimal string in major units."""
    daily: str | None = None
    """In a UTC day."""
    lifetime: str | None = None
    """In all."""


def ceiling(limits: KeyLimits | None, name: str) -> int | None:
    """One of a key's limits in millionths; None where there is none."""
    text: str | None = getattr(limits, name, None)
    return None if text is None else Money.parse(text, SSUSD).minor


class LimitsGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much ssUSD a key may move; fees do not count."""

    per_transaction: Dollars | None = None
    """At once."""
    daily: Dollars | None = None
    """In a UTC day."""
    lifetime: Dollars | None = None
    """In all."""


class Reach(NamedTuple):
    """All that a key can do: what it may hand on no more of than it has."""

    type: KeyType
    scopes: list[Scope]
    expires_at: int | None
    limits: KeyLimits | None
    recipients: list[str] | None


def kept_limits(given: LimitsGiven | None) -> KeyLimits | None:
    """Limits as a key keeps them. Raises `parameter_missing` where none is named."""
    if given is None:
        return None
    named = {name: amount.text for name in FIELDS if (amount := getattr(given, name)) is not None}
    if not named:
        message = f"'limits' names at least one of: {', '.join(FIELDS)}."
        raise ApiError("parameter_missing", message, param="limits")
    return KeyLimits(**named)


def kept_recipients(given: list[str] | None, *, livemode: bool) -> list[str] | None:
    """Recipients as a key keeps them. Raises `invalid_recipient`."""
    if given is None:
        return None
    checked = [
        addresses.check(text, livemode=livemode, param=f"recipients[{at}]")
        for at, text in enumerate(given)
    ]
    return sorted(set(checked))


def lacking(own: Reach, wanted: Reach) -> str | None:
    """What a restricted key would have to have in order to hand on this; None: it has it all."""
    missing = set(wanted.scopes) - widened(frozenset(own.scopes))
    if wanted.type != "restricted" or missing:
        what = ", ".join(sorted(missing)) or f"{wanted.type} keys"
        return f"what it lacks: {what}"
    if own.expires_at is not None and (
        wanted.expires_at is None or wanted.expires_at > own.expires_at
    ):
        return "more time than it has"
    for name in FIELDS:
        most, asked = ceiling(own.limits, name), ceiling(wanted.limits, name)
        if most is not None and (asked is None or asked > most):
            return f"a higher limit than its own: {name}"
    if own.recipients is not None and not set(own.recipients).issuperset(wanted.recipients or [""]):
        return "more recipients than it has"
    return None
