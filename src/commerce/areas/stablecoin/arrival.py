"""When dollars arrive: business days of the Federal Reserve's payment services."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from holidays import financial_holidays

from commerce.kernel.clock import day

BANKING_DAYS_AFTER = 1
"""T+1."""


# The Federal Reserve's own calendar, not the federal one: a holiday on a Saturday closes
# government offices on the Friday before, but not the banks.
_CALENDAR = financial_holidays("FED")


@lru_cache(1024)
def estimated(today: str) -> str:
    """The banking day after a day, both `YYYY-MM-DD`; holidays by the `holidays` package."""
    arrival = _CALENDAR.get_nth_working_day(date.fromisoformat(today), BANKING_DAYS_AFTER)
    return arrival.isoformat()


estimated("2026-01-02")  # Loads the calendar now, rather than while money waits.


def estimated_arrival(now: int) -> str:
    """When dollars sent now are expected, `YYYY-MM-DD`."""
    return estimated(day(now))
