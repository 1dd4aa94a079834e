"""Money: what is read, what is refused, what is printed."""

import itertools
import operator
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.currency import DIGITS, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money, NumberText

CURRENCIES = st.sampled_from(sorted(DIGITS))
NO_MILLIONTHS: tuple[object, ...] = (
    *("0", "-1", "1.5", "", " 1", "1e6", "٣", str(10**18 + 1), "9" * 5000),
    *(1, True, 1.5, NumberText("1"), [], {}),
)
EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)


@st.composite
def amounts(draw: st.DrawFn) -> Money:
    currency = draw(CURRENCIES)
    return Money(draw(st.integers(1, 10**12 * UNIT[currency])), currency)


@given(amounts())
def test_what_is_printed_reads_back_the_same(money: Money) -> None:
    assert Money.parse(money.text, money.currency) == money
    assert Money.parse(NumberText(money.text), money.currency) == money


@given(amounts())
def test_text_is_the_exact_decimal(money: Money) -> None:
    assert Decimal(money.text) * UNIT[money.currency] == money.minor


@given(amounts())
def test_text_shows_two_digits_or_the_currencys_own_and_no_further_zeros(money: Money) -> None:
    fraction = money.text.partition(".")[2]
    assert min(2, DIGITS[money.currency]) <= len(fraction) <= DIGITS[money.currency]
    assert len(fraction) <= 2 or not fraction.endswith("0")


@given(amounts())
def test_a_balance_below_zero_prints_its_positive_with_a_minus(money: Money) -> None:
    assert Money(-money.minor, money.currency).text == f"-{money.text}"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (100_000_000, "ssusd", "100.00"),
        (100_500_000, "ssusd", "100.50"),
        (1, "ssusd", "0.000001"),
        (1_234_560, "ssusd", "1.23456"),
        (-10_000, "ssusd", "-0.01"),
        (0, "ssusd", "0.00"),
        (5, "usd", "0.05"),
        (-1050, "usd", "-10.50"),
        (100, "jpy", "100"),
        (-100, "jpy", "-100"),
        (0, "jpy", "0"),
        (1500, "kwd", "1.50"),
        (1505, "kwd", "1.505"),
    ],
)
def test_text_in_the_contracts_form(minor: int, currency: str, text: str) -> None:
    assert Money(minor, currency).text == text


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("100.00", "ssusd", 100_000_000),
        ("0.1", "ssusd", 100_000),
        ("007", "usd", 700),
        (100, "usd", 10_000),
        (100, "jpy", 100),
        (10**12, "ssusd", 10**18),
        ("1000000000000.00", "usd", 10**14),
        (NumberText("0.30"), "usd", 30),
        (NumberText("12"), "kwd", 12_000),
    ],
)
def test_amounts_are_read_exactly(value: object, currency: str, minor: int) -> None:
    assert Money.parse(value, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "1 ", " 1", "1\n", "1.", ".5", ".", "1.2.3", "1,000", "1_000", "$1", "+1"),
        *("-1", "-0", "0", "0.00", "NaN", "inf", "Infinity", "1e3", "1E3", "0x10", "1.-5", "1.+5"),
        *("٣", "1.٣", "²", "1.²", "１"),  # noqa: RUF001 digits, but not ASCII ones
        *("1000000000000.01", "1000000000001", "9" * 5000, "0" * 5000 + "1", "1." + "0" * 5000),
        *(0, -1, 10**12 + 1, 10**5000, True, False, None, 1.5, float("nan"), b"1", [], ["1"], {}),
        *(Decimal("1.5"), NumberText("1e3"), NumberText("-1"), NumberText("0.0")),
    ],
    ids=map(str, itertools.count()),
)
def test_what_is_not_a_plain_positive_amount_is_refused(value: object) -> None:
    with pytest.raises(ApiError) as refusal:
        Money.parse(value, "usd", param="items[0].price")
    assert refusal.value.code == "amount_invalid"
    assert refusal.value.param == "items[0].price"


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("1.001", "usd"),
        ("1.000", "usd"),
        ("1.0", "jpy"),
        ("1.0000", "kwd"),
        ("1.0000000", "ssusd"),
        (NumberText("0.0000001"), "ssusd"),
    ],
)
def test_more_fraction_digits_than_the_currency_has_are_refused(value: str, currency: str) -> None:
    with pytest.raises(ApiError) as refusal:
        Money.parse(value, currency)
    assert refusal.value.code == "amount_precision"
    assert refusal.value.param == "amount"


@given(st.text(max_size=50))
def test_any_text_is_read_as_its_decimal_or_refused(text: str) -> None:
    try:
        money = Money.parse(text, "ssusd")
    except ApiError as refusal:
        assert refusal.code in {"amount_invalid", "amount_precision"}  # noqa: PT017
    else:
        assert Decimal(money.minor) == Decimal(text) * 10**6


@pytest.mark.parametrize("make", [Money.zero, lambda code: Money.parse("1", code)])
def test_an_unknown_currency_is_refused(make: Callable[[str], Money]) -> None:
    with pytest.raises(ApiError) as refusal:
        make("xau")
    assert refusal.value.code == "currency_unsupported"


@given(st.integers(1, 10**18))
def test_a_coin_is_read_in_millionths(minor: int) -> None:
    coin = {"denom": "ssusd", "amount": str(minor)}
    assert Money.coin(coin, param="amount") == Money(minor, "ssusd")


@pytest.mark.parametrize(
    ("coin", "code", "param"),
    [
        ("1", "parameter_invalid", "amount"),
        (None, "parameter_invalid", "amount"),
        ([], "parameter_invalid", "amount"),
        ({"denom": "ssusd", "amount": "1", "memo": "x"}, "parameter_unknown", "amount.memo"),
        ({"amount": "1"}, "parameter_missing", "amount.denom"),
        ({"denom": "ssusd"}, "parameter_missing", "amount.amount"),
        ({"denom": "ssusd", "amount": None}, "parameter_missing", "amount.amount"),
        ({"denom": "usd", "amount": "1"}, "currency_unsupported", "amount.denom"),
        ({"denom": ["ssusd"], "amount": "1"}, "currency_unsupported", "amount.denom"),
        *(
            ({"denom": "ssusd", "amount": amount}, "amount_invalid", "amount.amount")
            for amount in NO_MILLIONTHS
        ),
    ],
)
def test_a_coin_of_another_shape_is_refused(coin: object, code: str, param: str) -> None:
    with pytest.raises(ApiError) as refusal:
        Money.coin(coin, param="amount")
    assert (refusal.value.code, refusal.value.param) == (code, param)


@given(st.integers(), st.integers())
def test_sums_differences_and_order_are_those_of_the_integers(left: int, right: int) -> None:
    one, other = Money(left, "usd"), Money(right, "usd")
    assert (one + other).minor == left + right
    assert (one - other).minor == left - right
    assert (one < other, one <= other) == (left < right, left <= right)
    assert (one > other, one >= other) == (left > right, left >= right)
    assert (one == other) == (left == right)


def test_zero_adds_nothing() -> None:
    assert Money.zero("usd") + Money(5, "usd") == Money(5, "usd")


@pytest.mark.parametrize(
    "operation",
    [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge],
)
def test_currencies_do_not_mix(operation: Callable[[Money, Money], object]) -> None:
    with pytest.raises(ValueError, match="usd and eur do not mix"):
        operation(Money(1, "usd"), Money(1, "eur"))


def test_the_same_number_of_another_currency_is_not_equal() -> None:
    assert Money(1, "usd") != Money(1, "eur")


@given(st.integers(-(10**18), 10**18), st.decimals("-10", "10", places=8))
def test_times_rounds_half_even_once(minor: int, rate: Decimal) -> None:
    exact = EXACT.multiply(Decimal(minor), rate)
    expected = int(exact.quantize(Decimal(1), context=EXACT))
    assert Money(minor, "ssusd").times(rate) == Money(expected, "ssusd")


@given(st.integers(-(10**18), 10**18), st.lists(st.integers(1, 10**6), min_size=1, max_size=9))
def test_the_parts_of_a_split_sum_to_the_whole(minor: int, weights: list[int]) -> None:
    whole = Money(minor, "usd")
    assert sum(whole.split(weights), start=Money.zero("usd")) == whole


@pytest.mark.parametrize("text", ["0", "0.00", "0.000001", "1000000000000"])
def test_a_bound_may_be_anything_an_amount_may_be_and_zero(text: str) -> None:
    assert Money.bound(text, "ssusd", param="amount[gt]").minor == int(Decimal(text) * 10**6)


@pytest.mark.parametrize("text", ["", "-1", "-0", "NaN", "1e5", "\u0661", "1000000000000.1", "+0"])
def test_a_bound_that_is_no_amount_is_refused_by_its_own_name(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        Money.bound(text, "ssusd", param="amount[gt]")
    assert (refused.value.code, refused.value.param) == ("amount_invalid", "amount[gt]")


def test_a_bound_keeps_to_the_fraction_digits_of_its_currency() -> None:
    with pytest.raises(ApiError) as refused:
        Money.bound("0.000", "usd", param="amount")
    assert refused.value.code == "amount_precision"


@given(st.integers(-(10**18), 10**18))
def test_stock_is_printed_in_whole_pieces(pieces: int) -> None:
    assert Money(pieces, "unit:prod_1").text == str(pieces)


def test_nobody_sends_an_amount_of_stock() -> None:
    with pytest.raises(ApiError) as refusal:
        Money.parse("1", "unit:prod_1")
    assert refusal.value.code == "currency_unsupported"


def test_an_amount_never_changes_and_hashes_and_shows_as_what_it_is() -> None:
    money = Money(150, "usd")
    with pytest.raises(AttributeError, match=r"Money\.minor cannot be set"):
        money.minor = 151
    assert (money.minor, repr(money)) == (150, "Money(150, 'usd')")
    assert {money, Money(150, "usd")} == {money}
    assert len({money, Money(150, "eur"), Money(151, "usd")}) == 3


def test_whether_an_amount_is_something_else_is_for_that_to_say() -> None:
    class Anything:
        def __eq__(self, _: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert Money(1, "usd") == Anything()
    assert Money(1, "usd") != 1


def test_nothing_has_no_sign() -> None:
    assert [Money(0, code).text for code in ("ssusd", "usd", "jpy")] == ["0.00", "0.00", "0"]


def test_millionths_may_have_as_many_leading_zeros_as_text_is_long() -> None:
    assert Money.coin({"denom": "ssusd", "amount": "7".zfill(40)}).minor == 7
    with pytest.raises(ApiError, match="integer string of millionths"):
        Money.coin({"denom": "ssusd", "amount": "7".zfill(41)})
