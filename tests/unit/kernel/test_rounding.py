"""Rounding half to even and splitting without loss."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.rounding import half_even, split

WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any)
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


@given(st.integers(-(10**20), 10**20), st.integers(0, 12))
def test_half_even_agrees_with_decimals_quantize(numerator: int, power: int) -> None:
    exact = EXACT.divide(Decimal(numerator), Decimal(10) ** power)
    assert half_even(numerator, 10**power) == int(exact.quantize(Decimal(1), context=EXACT))


@given(st.integers(-(10**9), 10**9), st.integers(1, 50))
def test_half_even_is_never_more_than_a_half_away(numerator: int, denominator: int) -> None:
    distance = abs(numerator - half_even(numerator, denominator) * denominator)
    assert 2 * distance <= denominator


@pytest.mark.parametrize(
    ("numerator", "expected"), [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2)]
)
def test_ties_go_to_the_even_neighbour(numerator: int, expected: int) -> None:
    assert half_even(numerator, 2) == expected


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_denominator_must_be_above_zero(denominator: int) -> None:
    with pytest.raises(ValueError, match="denominator"):
        half_even(1, denominator)


@given(st.integers(-(10**18), 10**18), WEIGHTS)
def test_a_split_sums_to_the_whole(total: int, weights: list[int]) -> None:
    assert sum(split(total, weights)) == total


@given(st.integers(0, 10**18), WEIGHTS)
def test_each_part_is_within_one_unit_of_its_share(total: int, weights: list[int]) -> None:
    whole = sum(weights)
    for part, weight in zip(split(total, weights), weights, strict=True):
        assert abs(part * whole - total * weight) < whole


@given(st.integers(0, 10**18), WEIGHTS)
def test_undoing_a_split_cancels_it_part_by_part(total: int, weights: list[int]) -> None:
    assert split(-total, weights) == [-part for part in split(total, weights)]


def test_the_largest_remainder_gets_the_unit_and_the_earlier_part_a_tie() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(10, [1, 5, 0]) == [2, 8, 0]


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [3, -1]])
def test_weights_must_be_positive_in_sum_and_none_negative(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        split(1, weights)
