"""Money: an integer of a currency's smallest unit, read exactly and printed exactly."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NoReturn, Self

from commerce.kernel.currency import SSUSD, UNIT, digits, is_stock
from commerce.kernel.errors import ApiError
from commerce.kernel.rounding import half_even, split

MAJOR_MAX: Final = 10**12
# 13 digits before the point and 6 after it, with room for leading zeros; longer text is
# refused before it costs anything.
_TEXT_LENGTH_MAX: Final = 40
_MILLION: Final = UNIT[SSUSD]
_TEN_THOUSAND: Final = UNIT[SSUSD] // 100
_COIN_MEMBERS: Final = ("denom", "amount")


# What Money's own __setattr__ refuses to everyone else.
_set: Final = object.__setattr__


class NumberText:
    """A JSON number's own text, kept so that it is never read through a binary float.

    It is no string, so that a number is not taken where text is asked for.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        """Take the text."""
        self.text = text


class Money:
    """An amount of one currency, in its smallest unit; below zero only as a balance."""

    __slots__ = ("currency", "minor")

    minor: int
    """The amount in the currency's smallest unit."""
    currency: str
    """`ssusd`, or a lower-case ISO 4217 code."""

    def __init__(self, minor: int, currency: str) -> None:
        """Hold an integer of the smallest unit."""
        _set(self, "minor", minor)
        _set(self, "currency", currency)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: an amount never changes."""
        raise AttributeError(f"Money.{name} cannot be set")

    def __eq__(self, other: object) -> bool:
        """Say whether amount and currency are the same."""
        if not isinstance(other, Money):
            return NotImplemented
        return self.minor == other.minor and self.currency == other.currency

    def __hash__(self) -> int:
        """Hash as it compares."""
        return hash((self.minor, self.currency))

    def __repr__(self) -> str:
        """Show the smallest units and the currency."""
        return f"Money({self.minor}, {self.currency!r})"

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Give nothing, in a currency. Raises currency_unsupported."""
        digits(currency)
        return cls(0, currency)

    @classmethod
    def parse(cls, value: object, currency: str, *, param: str = "amount") -> Self:
        """Read a positive amount in major units from a decimal string, an int or NumberText.

        Raises currency_unsupported; amount_precision for more fraction digits than the
        currency has, zeros included; amount_invalid for anything else but ASCII digits with at
        most one point between them, and for zero or above 10^12 major units.
        """
        places, unit = digits(currency), UNIT[currency]
        if isinstance(value, NumberText):
            value = value.text
        if isinstance(value, str):
            minor = _minor(value, places, param)
        elif type(value) is int:  # a bool is an int to isinstance
            minor = value * unit
        else:
            raise ApiError("amount_invalid", f"'{param}' must be a decimal string.", param=param)
        if minor <= 0 or minor > MAJOR_MAX * unit:
            raise _out_of_range(param)
        return cls(minor, currency)

    @classmethod
    def bound(cls, text: str, currency: str, *, param: str) -> Self:
        """Read an amount to compare others with: as `parse` does, and zero too."""
        if _minor(text, digits(currency), param) == 0:
            return cls(0, currency)
        return cls.parse(text, currency, param=param)

    @classmethod
    def coin(cls, value: object, *, param: str = "amount") -> Self:
        """Read the coin form, `{"denom": "ssusd", "amount": "<millionths>"}`.

        Raises parameter_invalid, parameter_unknown, parameter_missing, currency_unsupported
        and amount_invalid, each naming the member.
        """
        if not isinstance(value, dict):
            raise ApiError("parameter_invalid", f"'{param}' must be an object.", param=param)
        for name in value:
            if name not in _COIN_MEMBERS:
                where = f"{param}.{name[:64]}".removesuffix(".")
                message = f"'{where}' is unknown; a coin has 'denom' and 'amount'."
                raise ApiError("parameter_unknown", message, param=where)
        for name in _COIN_MEMBERS:
            if value.get(name) is None:
                message = f"The '{param}.{name}' parameter is required."
                raise ApiError("parameter_missing", message, param=f"{param}.{name}")
        if value["denom"] != SSUSD:
            message = f"The only denom is '{SSUSD}'."
            raise ApiError("currency_unsupported", message, param=f"{param}.denom")
        return cls(_millionths(value["amount"], f"{param}.amount"), SSUSD)

    @property
    def text(self) -> str:
        """The decimal string of the wire: two fraction digits, more only when not zero.

        A currency with fewer than two shows its own; stock is whole pieces.
        """
        if self.currency == SSUSD and self.minor >= 0:
            # What there is by the thousand, in whole hundredths as a rule.
            major, millionths = divmod(self.minor, _MILLION)
            hundredths, rest = divmod(millionths, _TEN_THOUSAND)
            if not rest:
                return f"{major}.{hundredths:02}"
        places = 0 if is_stock(self.currency) else digits(self.currency)
        if places == 0:
            return str(self.minor)
        sign = "-" if self.minor < 0 else ""
        text = str(abs(self.minor)).zfill(places + 1)
        fraction = text[-places:]
        if places > 2:  # noqa: PLR2004
            fraction = fraction[:2] + fraction[2:].rstrip("0")
        return f"{sign}{text[:-places]}.{fraction}"

    def times(self, rate: Decimal) -> Self:
        """Multiply by an exact rate and round half-even, once."""
        numerator, denominator = rate.as_integer_ratio()
        return type(self)(half_even(self.minor * numerator, denominator), self.currency)

    def split(self, weights: Sequence[int]) -> list[Self]:
        """Split by weight; the parts sum to the whole. Raises ValueError as rounding.split."""
        return [type(self)(part, self.currency) for part in split(self.minor, weights)]

    def __add__(self, other: Self) -> Self:
        """Add an amount of the same currency."""
        self._require_same_currency(other)
        return type(self)(self.minor + other.minor, self.currency)

    def __sub__(self, other: Self) -> Self:
        """Subtract an amount of the same currency; the result may be below zero."""
        self._require_same_currency(other)
        return type(self)(self.minor - other.minor, self.currency)

    def __lt__(self, other: Self) -> bool:
        """Compare with an amount of the same currency."""
        self._require_same_currency(other)
        return self.minor < other.minor

    def __le__(self, other: Self) -> bool:
        """Compare with an amount of the same currency."""
        self._require_same_currency(other)
        return self.minor <= other.minor

    def __gt__(self, other: Self) -> bool:
        """Compare with an amount of the same currency."""
        self._require_same_currency(other)
        return self.minor > other.minor

    def __ge__(self, other: Self) -> bool:
        """Compare with an amount of the same currency."""
        self._require_same_currency(other)
        return self.minor >= other.minor

    def _require_same_currency(self, other: Self) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix")


def _minor(text: str, places: int, param: str) -> int:
    """Read plain decimal text exactly; its range is the caller's to check."""
    major, point, fraction = text.partition(".")
    plain = len(text) <= _TEXT_LENGTH_MAX and text.isascii() and major.isdigit()
    if not plain or (point and not fraction.isdigit()):
        message = f"'{param}' must be a plain decimal such as \"100.00\"."
        raise ApiError("amount_invalid", message, param=param)
    if len(fraction) > places:
        message = f"'{param}' has {len(fraction)} fraction digits; its currency has {places}."
        raise ApiError("amount_precision", message, param=param)
    return int(major + fraction.ljust(places, "0"))


def _millionths(text: object, param: str) -> int:
    # A number is refused: whoever sends one may well mean dollars.
    plain = type(text) is str and len(text) <= _TEXT_LENGTH_MAX and text.isascii()
    if not plain or not str(text).isdigit():
        message = f"'{param}' must be an integer string of millionths."
        raise ApiError("amount_invalid", message, param=param)
    minor = int(str(text))
    if minor == 0 or minor > MAJOR_MAX * UNIT[SSUSD]:
        raise _out_of_range(param)
    return minor


def _out_of_range(param: str) -> ApiError:
    message = f"'{param}' must be above zero and at most 10^12 major units."
    return ApiError("amount_invalid", message, param=param)
