"""Time: clocks that can be put in a test's hand, and reading and printing of times in UTC."""

import re
import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

from commerce.kernel.errors import ApiError

DAY_SECONDS: Final = 86_400
HOUR_SECONDS: Final = 3600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
# Years 1900 to 2199. Milliseconds sent for seconds fall far outside and are refused.
_UNIX_MIN: Final = -2_208_988_800
_UNIX_END: Final = 7_258_118_400
_UNIX: Final = re.compile(r"-?[0-9]{1,11}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)


class Clock(Protocol):
    """Whatever tells the time."""

    def now_ms(self) -> int:
        """Give Unix milliseconds."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Give Unix milliseconds."""
        return time.time_ns() // 1_000_000


class FixedClock:
    """A clock that moves only when told to."""

    def __init__(self, ms: int) -> None:
        """Stand at a time in Unix milliseconds."""
        self._ms = ms

    def now_ms(self) -> int:
        """Give Unix milliseconds."""
        return self._ms

    def advance(self, seconds: float) -> None:
        """Move on, or back when below zero."""
        self._ms += round(seconds * 1000)


def parse_time(value: object, *, param: str) -> int:
    """Read a time as Unix seconds; parts of a second are dropped.

    Takes Unix seconds (an int or its text), an ISO 8601 date (midnight UTC) and an ISO 8601
    date-time with Z or an offset, of the years 1900 to 2199. Raises parameter_invalid.
    """
    unix = _unix(value)
    if unix is None or not _UNIX_MIN <= unix < _UNIX_END:
        message = (
            f"'{param}' must be Unix seconds, a date (YYYY-MM-DD) or an ISO 8601 date-time with"
            " an offset, of the years 1900 to 2199."
        )
        raise ApiError("parameter_invalid", message, param=param)
    return unix


def is_date(text: str) -> bool:
    """Whether a time is written as a date, and so may mean all of that day."""
    return _DATE.fullmatch(text) is not None


def iso_date(value: object, *, param: str) -> str:
    """Read a calendar date in any form of parse_time and give it as YYYY-MM-DD in UTC."""
    return day(parse_time(value, param=param))


def day(unix: int) -> str:
    """Give the UTC day of Unix seconds as YYYY-MM-DD."""
    return _day(unix // DAY_SECONDS)


def month(unix: int) -> str:
    """Give the UTC month of Unix seconds as YYYY-MM."""
    return _day(unix // DAY_SECONDS)[:7]


@lru_cache(4096)
def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def _unix(value: object) -> int | None:
    if type(value) is int:  # a bool is an int to isinstance
        return value
    if not isinstance(value, str):
        return None
    if _UNIX.fullmatch(value):
        return int(value)
    if _DATE.fullmatch(value):
        return _unix_of_iso(f"{value}T00:00:00Z")
    if _DATE_TIME.fullmatch(value):
        return _unix_of_iso(value.upper())
    return None


def _unix_of_iso(text: str) -> int | None:
    """Read text of the right form; None for a day or hour that does not exist."""
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _SECOND
    except ValueError:
        return None
