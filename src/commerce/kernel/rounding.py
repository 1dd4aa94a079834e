"""Exact integer rounding and splitting: half to even, and parts that sum to the whole."""

from collections.abc import Sequence


def half_even(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, a tie to the even one (IEEE 754 roundTiesToEven).

    Raises ValueError unless the denominator is above zero.
    """
    if denominator < 1:
        raise ValueError("the denominator must be above zero")
    floor, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and floor & 1):
        return floor + 1
    return floor


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split by weight with the largest-remainder method (Hamilton's); the parts sum to `total`.

    Of equal remainders the earlier part gets the unit. A negative total splits as its positive
    does, negated, so that what undoes a split cancels it part by part.
    Raises ValueError for a weight below zero or weights that sum to zero.
    """
    if total < 0:
        return [-part for part in split(-total, weights)]
    whole = sum(weights)
    if whole < 1 or min(weights) < 0:
        raise ValueError("weights must not be negative, and one must be above zero")
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts
