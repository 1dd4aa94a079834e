"""Currencies and their fraction digits."""

import pytest

from commerce.kernel.currency import DIGITS, UNIT, digits, is_stock, of_stock
from commerce.kernel.errors import ApiError


@pytest.mark.parametrize(
    ("code", "places"),
    [("ssusd", 6), ("usd", 2), ("eur", 2), ("jpy", 0), ("kwd", 3), ("uyw", 4)],
)
def test_digits_are_iso_4217s_and_six_for_ssusd(code: str, places: int) -> None:
    assert digits(code) == places
    assert UNIT[code] == 10**places


@pytest.mark.parametrize(
    "code",
    ["xau", "xxx", "xdr", "xts", "USD", "Ssusd", "", "dollars", " usd", "unit:prod_1"],
)
def test_codes_without_a_minor_unit_or_unknown_are_refused(code: str) -> None:
    with pytest.raises(ApiError) as refusal:
        digits(code)
    assert refusal.value.code == "currency_unsupported"
    assert refusal.value.param == "currency"


def test_the_table_holds_the_worlds_currencies() -> None:
    assert len(DIGITS) > 150
    assert DIGITS.keys() == UNIT.keys()
    assert all(code.islower() for code in DIGITS)


def test_no_amount_outgrows_64_bits() -> None:
    assert 10**12 * max(UNIT.values()) < 2**63


def test_stock_is_a_currency_of_its_product_and_none_that_is_paid_in() -> None:
    assert of_stock("prod_1") == "unit:prod_1"
    assert is_stock(of_stock("prod_1"))
    assert not any(map(is_stock, DIGITS))
