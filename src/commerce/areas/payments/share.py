"""Shares: who gets which part of a payment, and gives which part of it back; parts sum exactly.

All amounts are in the smallest unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from commerce.kernel.rounding import split


def of_fee(captured: int, amount: int, fee: int) -> int:
    """The platform's share of what is captured, when it has `fee` of the whole amount."""
    return split(captured, [amount - fee, fee])[1]


def nets(parts: Sequence[int], off: int) -> list[int]:
    """What is left of each part when `off`, which is at most their sum, comes off all of them.

    Each bears as much of it as it has of the whole, to within one unit, and never more than it has.
    """
    return [part - less for part, less in zip(parts, split(off, parts), strict=True)]


def owed(parts: Sequence[int], fee: int) -> list[int]:
    """What each recipient, and last the platform, gives back when all is given back.

    The platform gives its fee; the rest is the recipients' by their parts.
    """
    return [*split(sum(parts) - fee, parts), fee]


def back(refund: int, owed: Sequence[int], given: Sequence[int]) -> list[int]:
    """Who gives how much of a refund, when this much of what each owes was given before.

    By what each has left to give, so that however a payment is given back in pieces, each has
    given exactly what it owes when all of it is, and never more on the way.
    """
    return split(refund, [all_ - before for all_, before in zip(owed, given, strict=True)])
