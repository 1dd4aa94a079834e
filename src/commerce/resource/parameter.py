"""Types of parameters: what requests may send, read into what verbs work with."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec

from commerce.kernel import wording
from commerce.kernel.clock import parse_time
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money, NumberText

T = TypeVar("T")

Memo = Annotated[str, msgspec.Meta(max_length=256)]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
MetadataKey = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
MetadataValue = Annotated[str, msgspec.Meta(max_length=500)]
PAIRS_MAX = 50
CENT = UNIT[SSUSD] // 100
"""In millionths."""
PERCENT_MAX = 1_000_000
"""A hundred percent, in millionths of the whole."""
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")
_MEASURE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")
Metadata = Annotated[dict[MetadataKey, MetadataValue | None], msgspec.Meta(max_length=PAIRS_MAX)]


class Amount(Money):
    """An amount of ssUSD: a decimal string or number in major units, or a coin."""

    __slots__ = ()


class Dollars(Money):
    """An amount of ssUSD: a decimal string or number in major units."""

    __slots__ = ()


class Price(str):
    """An amount of the currency that stands beside it: a decimal string or number in major units.

    It is read by `priced`, where the currency is known.
    """

    __slots__ = ()


class Measure(str):
    """A length or a weight: a decimal string or number above zero, as plain as it can be."""

    __slots__ = ()


class Percent(str):
    """A percentage from 0 to 100: a decimal string or number, as plain as it can be."""

    __slots__ = ()

    @property
    def millionths(self) -> int:
        """Which part of one it is, in millionths: 8.25 % are 82,500."""
        major, _, minor = self.partition(".")
        return int(major) * 10_000 + int(minor.ljust(4, "0"))


class Moment(int):
    """A time: Unix seconds, an ISO 8601 date, or a date-time with an offset."""

    __slots__ = ()


class Rejected(ValueError):
    """A value that its type's own rules refuse; msgspec adds where it stood."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def decode(type_: type[Any], value: Any) -> Any:
    """Read what msgspec has no rule for (its `dec_hook`)."""
    try:
        if type_ is Amount:
            return Amount.coin(value) if isinstance(value, dict) else Amount.parse(value, SSUSD)
        if type_ is Dollars:
            return Dollars.parse(value, SSUSD)
        if type_ is Moment:
            return Moment(parse_time(value, param=""))
        if type_ is Price:
            return Price(_number(value, "amount_invalid"))
        if type_ is Percent:
            return percent(_number(value, "parameter_invalid"), param="value")
        if type_ is Measure:
            return _measure(_number(value, "parameter_invalid"))
    except ApiError as error:
        raise Rejected(error) from error
    raise NotImplementedError(type_)


def _number(value: Any, code: str) -> str:
    """The text of a decimal, however it was sent."""
    if isinstance(value, NumberText):
        return value.text
    if isinstance(value, str) or type(value) is int:
        return str(value)
    raise ApiError(code, "'value' must be a decimal string.", param="value")


def _measure(text: str) -> Measure:
    if not _MEASURE.fullmatch(text) or not text.strip("0."):
        message = "'value' must be a decimal above zero, of at most 9 digits and 3 after the point."
        raise ApiError("parameter_invalid", message, param="value")
    return Measure(_plain(text))


def percent(text: str, *, param: str) -> Percent:
    """A percentage from 0 to 100. Raises `parameter_invalid`."""
    if not _PERCENT.fullmatch(text) or (found := Percent(_plain(text))).millionths > PERCENT_MAX:
        message = f"'{param}' must be a percentage: a decimal from 0 to 100 with at most 4 digits"
        raise ApiError("parameter_invalid", f"{message} after the point.", param=param)
    return found


def _plain(text: str) -> str:
    """A decimal without zeros that say nothing."""
    major, _, minor = text.partition(".")
    return ".".join(filter(None, (major.lstrip("0") or "0", minor.rstrip("0"))))


def priced(price: Price, currency: str, *, param: str) -> Money:
    """A price in its currency. Raises what `Money.parse` does."""
    return Money.parse(price, currency, param=param)


def convert(type_: type[T], values: Any, *, strict: bool = True) -> T:
    """Read values into a type; not `strict`, numbers and booleans may be text.

    Raises `parameter_missing`, `parameter_unknown`, `parameter_invalid`, or what a type's own
    rules say, naming the parameter by its path.
    """

    def fits(hint: Any, value: Any) -> bool:
        try:
            msgspec.convert(value, hint, strict=strict, dec_hook=decode)
        except msgspec.ValidationError:
            return False
        return True

    try:
        return msgspec.convert(values, type_, strict=strict, dec_hook=decode)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, Rejected):
            where = wording.located(error, type_, values, fits).path
            raise _rejected(error.__cause__.error, where) from None
        raise wording.refusal(error, type_, values, fits, null=strict) from None


def _rejected(error: ApiError, where: str) -> ApiError:
    """What a type's own rules say, at the place where the value stood.

    A type calls its value by a name of its own, and what is within it by that and a point.
    """
    if not where:
        return error
    own, point, inner = (error.param or "").partition(".")
    name = f"{where}{point}{inner}"
    message = error.message.replace(f"'{own}{point}{inner}'", f"'{name}'", 1)
    return ApiError(error.code, message, param=name)


def kept(metadata: dict[str, str | None]) -> dict[str, str]:
    """Metadata as a new object keeps it: empty values are none."""
    return {key: value for key, value in metadata.items() if value}


def changed(before: dict[str, str], metadata: dict[str, str | None]) -> dict[str, str]:
    """Metadata after a change: what is named is set, or removed by an empty value.

    Raises `parameter_invalid` for more pairs than an object may have.
    """
    after = kept({**before, **metadata})
    if len(after) > PAIRS_MAX:
        message = f"An object has at most {PAIRS_MAX} pairs of metadata."
        raise ApiError("parameter_invalid", message, param="metadata")
    return after


def require_cents(amount: Money, param: str = "amount") -> None:
    """Refuse an amount of ssUSD that no bank can send or get. Raises `amount_precision`."""
    if amount.minor % CENT:
        message = f"'{param}' is of dollars in a bank, which have 2 fraction digits."
        raise ApiError("amount_precision", message, param=param)


def require_ssusd(currency: str) -> None:
    """Refuse any other currency where only ssUSD moves. Raises `currency_unsupported`."""
    if currency != SSUSD:
        message = f"The only currency here is '{SSUSD}'."
        raise ApiError("currency_unsupported", message, param="currency")
