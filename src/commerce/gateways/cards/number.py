"""Card numbers: whether one is valid, and whose it is."""

from __future__ import annotations

import re

from stdnum import luhn

from commerce.kernel.errors import ApiError

_NUMBER = re.compile(r"[0-9]{12,19}")
_SEPARATORS = str.maketrans("", "", " -")
_BRANDS = (
    ("amex", re.compile(r"3[47]"), (15,)),
    ("diners", re.compile(r"3(0[0-5]|095|[689])"), (14, 15, 16, 17, 18, 19)),
    ("jcb", re.compile(r"35(2[89]|[3-8])"), (16, 17, 18, 19)),
    ("visa", re.compile(r"4"), (13, 16, 19)),
    ("mastercard", re.compile(r"5[1-5]|2(22[1-9]|2[3-9]|[3-6]|7[01]|720)"), (16,)),
    ("unionpay", re.compile(r"62|81"), (16, 17, 18, 19)),
    ("discover", re.compile(r"6011|64[4-9]|65"), (16, 17, 18, 19)),
)
"""By how numbers begin, ISO/IEC 7812, and how long they are."""
UNKNOWN = "unknown"
CVC_DIGITS = {"amex": 4}
CENTURY = 100


def checked_number(text: str, *, param: str) -> str:
    """A number without its spaces. Raises `incorrect_number`, which does not show it."""
    number = text.translate(_SEPARATORS)
    if not (_NUMBER.fullmatch(number) and number.isascii() and luhn.is_valid(number)):
        raise ApiError("incorrect_number", "The card number is not a valid one.", param=param)
    return number


def brand(number: str) -> str:
    """Whose card it is, by its number; `unknown` where nobody's is like that."""
    for name, begins, lengths in _BRANDS:
        if begins.match(number) and len(number) in lengths:
            return name
    return UNKNOWN


def checked_cvc(text: str, its_brand: str, *, param: str) -> str:
    """A security code of as many digits as the brand's have. Raises `parameter_invalid`."""
    digits = CVC_DIGITS.get(its_brand, 3)
    if not (text.isascii() and text.isdigit() and len(text) == digits):
        message = f"'{param}' must be {digits} digits."
        raise ApiError("parameter_invalid", message, param=param)
    return text


def checked_year(year: int, month: int, today: tuple[int, int], *, param: str) -> int:
    """A year of four digits, in which a card is still good. Raises `expired_card`.

    `today` is the year and the month. A card is good to the end of its month.
    """
    year = year + today[0] // CENTURY * CENTURY if year < CENTURY else year
    if (year, month) < today:
        raise ApiError("expired_card", "The card has expired.", param=param)
    return year
