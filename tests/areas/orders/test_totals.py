"""Totals: whatever is bought, lines sum to what the order comes to, to the smallest unit."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from hypothesis import given
from hypothesis import strategies as st

from commerce.areas.orders.content.terms import DiscountTerms
from commerce.areas.orders.content.totals import WHOLE, Cut, Line, add_up, share
from commerce.kernel.currency import UNIT
from commerce.kernel.money import Money
from commerce.resource.parameter import percent

CURRENCIES = {"jpy": 0, "usd": 2, "kwd": 3, "ssusd": 6}
prices = st.integers(1, 10**9)
parts = st.integers(1, WHOLE)
cuts = st.one_of(st.builds(Cut, parts), st.builds(Cut, st.none(), st.integers(1, 10**9)))
rates = st.one_of(st.none(), st.sampled_from([0, 1, 55_000, 82_500, 200_000, WHOLE]), parts)
lines = st.lists(
    st.builds(
        Line,
        st.builds(lambda price, count: price * count, prices, st.integers(1, 1000)),
        st.one_of(st.none(), cuts),
        rates,
    ),
    min_size=1,
    max_size=12,
)


def test_each_currency_has_the_digits_that_are_tried() -> None:
    assert {name: UNIT[name] for name in CURRENCIES} == {
        name: 10**digits for name, digits in CURRENCIES.items()
    }


@given(lines, st.lists(cuts, max_size=4), st.integers(0, 10**6), st.sampled_from([*CURRENCIES]))
def test_lines_sum_to_the_totals(
    basket: list[Line], off: list[Cut], shipping: int, currency: str
) -> None:
    totals = add_up(basket, off, shipping=shipping)
    assert sum(line.total for line in totals.lines) + shipping == totals.total
    assert totals.total == totals.subtotal - totals.cut + totals.tax + shipping
    assert totals.cut == sum(line.own_cut for line in totals.lines) + sum(totals.cuts)
    for line, asked in zip(totals.lines, basket, strict=True):
        assert line.price == asked.price
        assert 0 <= line.own_cut <= line.cut <= line.price
        assert line.tax >= 0
        # As it leaves and is read again, in decimals.
        assert Money.bound(Money(line.cut, currency).text, currency, param="x").minor == line.cut


@given(lines, st.lists(cuts, max_size=4))
def test_the_tax_of_a_rate_is_rounded_once_whatever_the_lines(
    basket: list[Line], off: list[Cut]
) -> None:
    totals = add_up(basket, off)
    for rate in {line.rate for line in basket}:
        taxed = [each for each, line in zip(totals.lines, basket, strict=True) if line.rate == rate]
        basis = sum(each.price - each.cut for each in taxed)
        exact = Decimal(basis) * Decimal(rate or 0) / WHOLE
        assert sum(each.tax for each in taxed) == int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


@given(lines, st.integers(0, 10**9))
def test_a_tax_on_the_whole_is_parted_among_the_lines(basket: list[Line], tax: int) -> None:
    totals = add_up(basket, tax=tax)
    assert totals.tax == tax


@given(st.integers(0, 10**12), st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_pieces_that_come_back_in_any_parts_are_worth_what_the_line_came_to(
    total: int, pieces: list[int]
) -> None:
    quantity, before, given_back = sum(pieces), 0, 0
    for more in pieces:
        part = share(total, quantity, before, more)
        assert part >= 0
        given_back += part
        before += more
    assert given_back == total


def test_discounts_come_off_one_after_the_other_and_never_more_than_there_is() -> None:
    totals = add_up([Line(1000), Line(500)], [Cut(100_000), Cut(None, 2000), Cut(500_000)])
    assert totals.cuts == [150, 1350, 0]
    assert totals.total == 0


def test_lines_of_which_nothing_is_left_share_a_tax_evenly() -> None:
    totals = add_up([Line(10, Cut(WHOLE)), Line(10, Cut(WHOLE))], tax=3)
    assert [line.tax for line in totals.lines] == [2, 1]


@given(st.integers(0, WHOLE))
def test_a_percentage_is_read_exactly(millionths: int) -> None:
    text = f"{millionths // 10_000}.{millionths % 10_000:04}"
    assert percent(text, param="x").millionths == millionths
    assert DiscountTerms("percent", percent(text, param="x"), None).cut("usd") == Cut(millionths)
