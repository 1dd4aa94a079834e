"""Numbers of cards: which are valid, whose they are, and that none is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from commerce.gateways.cards import number
from commerce.kernel.errors import ApiError


def refusal(check: object, *given: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        check(*given, param="card.x")  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize("text", ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242"])
def test_a_number_may_be_written_in_groups(text: str) -> None:
    assert number.checked_number(text, param="card.number") == "4242424242424242"


@pytest.mark.parametrize(
    "text", ["4242424242424241", "", "4242", "0" * 20, "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", "4242424242424242x"]
)
def test_any_other_number_is_refused_and_not_shown(text: str) -> None:
    error = refusal(number.checked_number, text)
    assert (error.code, error.status, error.param) == ("incorrect_number", 400, "card.x")
    assert not text or text not in error.message


@given(st.text("0123456789", min_size=12, max_size=18))
def test_a_number_is_valid_by_its_check_digit_alone(digits: str) -> None:
    right = luhn.calc_check_digit(digits)
    assert number.checked_number(digits + right, param="n") == digits + right
    wrong = str((int(right) + 1) % 10)
    assert refusal(number.checked_number, digits + wrong).code == "incorrect_number"


@pytest.mark.parametrize(
    ("begins", "length", "brand"),
    [
        ("4", 16, "visa"),
        ("51", 16, "mastercard"),
        ("2221", 16, "mastercard"),
        ("2720", 16, "mastercard"),
        ("2220", 16, "unknown"),
        ("2721", 16, "unknown"),
        ("34", 15, "amex"),
        ("37", 15, "amex"),
        ("37", 16, "unknown"),
        ("6011", 16, "discover"),
        ("65", 16, "discover"),
        ("36", 14, "diners"),
        ("3528", 16, "jcb"),
        ("3589", 16, "jcb"),
        ("3527", 16, "unknown"),
        ("62", 16, "unionpay"),
        ("99", 16, "unknown"),
    ],
)
def test_a_brand_is_known_by_how_a_number_begins_and_how_long_it_is(
    begins: str, length: int, brand: str
) -> None:
    assert number.brand(begins.ljust(length, "0")) == brand


def test_a_security_code_has_as_many_digits_as_the_brands() -> None:
    assert number.checked_cvc("123", "visa", param="cvc") == "123"
    assert number.checked_cvc("1234", "amex", param="cvc") == "1234"
    for text, brand in (("1234", "visa"), ("123", "amex"), ("12a", "visa"), ("", "visa")):
        assert refusal(number.checked_cvc, text, brand).code == "parameter_invalid"


def test_a_card_is_good_to_the_end_of_its_month() -> None:
    today = (2026, 11)
    assert number.checked_year(2026, 11, today, param="year") == 2026
    assert number.checked_year(27, 1, today, param="year") == 2027
    for year, month in ((2026, 10), (2025, 12), (25, 12), (1999, 1)):
        error = refusal(number.checked_year, year, month, today)
        assert (error.code, error.status) == ("expired_card", 402)
