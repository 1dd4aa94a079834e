"""Caps: how much may pass in a day, a month and in all, counted beside the ledger in one row."""

from __future__ import annotations

from typing import NamedTuple

from commerce.kernel.clock import day, month
from commerce.kernel.errors import ApiError
from commerce.store.table import Column, Key, Row, Table

CAP = Table(
    "ledger_cap",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("meter", "text"),
        Column("day", "text"),
        Column("day_used", "bigint"),
        Column("day_cap", "bigint", nullable=True),
        Column("month", "text"),
        Column("month_used", "bigint"),
        Column("month_cap", "bigint", nullable=True),
        Column("used", "bigint"),
        Column("cap", "bigint", nullable=True),
    ],
    key=("account", "livemode", "meter"),
    rank=1100,
)
"""What each meter has counted in its last day, in its last month and in all, and the caps then.

The days and months are UTC's. A new one begins at zero in the same row, so that no row is ever
made for a new day, and one lock covers all three.
"""
COUNT_MAX = 2**63 - 1
"""A meter without a cap stops where the column does."""
USED_AT = CAP.names.index("used")


class Cap(NamedTuple):
    """How much of what `meter` counts may pass, in the smallest unit; None: without limit."""

    owner: str
    livemode: bool
    meter: str
    daily: int | None = None
    monthly: int | None = None
    total: int | None = None

    @property
    def key(self) -> Key:
        """The key of the cap's row."""
        return self[:3]


class CapReached(ApiError):
    """More than the cap would pass in a window: `a day`, `a month` or `in all`."""

    def __init__(self, window: str, ceiling: int, left: int) -> None:
        what = f"No more than {ceiling} may pass" if ceiling < COUNT_MAX else "No more can pass"
        super().__init__("limit_exceeded", f"{what} {window}.")
        self.window = window
        self.ceiling = ceiling
        self.left = left


def count(cap: Cap, row: Row | None, amount: int, now: int) -> Row:
    """The row once `amount` has passed. Raises `CapReached`, and then nothing was counted."""
    today, this_month = day(now), month(now)
    by_day = by_month = total = 0
    if row is not None:
        # A clock that is behind another process's must not begin an old day anew.
        today, this_month = max(today, row[3]), max(this_month, row[6])
        by_day = row[4] if row[3] == today else 0
        by_month = row[7] if row[6] == this_month else 0
        total = row[USED_AT]
    windows = (
        ("a day", cap.daily, by_day),
        ("a month", cap.monthly, by_month),
        ("in all", COUNT_MAX if cap.total is None else cap.total, total),
    )
    for window, ceiling, used in windows:
        if ceiling is not None and used + amount > ceiling:
            raise CapReached(window, ceiling, max(ceiling - used, 0))
    by_day, by_month, total = by_day + amount, by_month + amount, total + amount
    days = (today, by_day, cap.daily)
    months = (this_month, by_month, cap.monthly)
    return (*cap.key, *days, *months, total, cap.total)
