"""Caps: how much may pass within a window, counted beside the ledger under a row lock."""

from __future__ import annotations

from typing import NamedTuple

from commerce.store.table import Column, Table

CAP = Table(
    "ledger_cap",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("meter", "text"),
        Column("period", "text"),
        Column("used", "bigint"),
        Column("cap", "bigint", nullable=True),
    ],
    key=("account", "livemode", "meter"),
    rank=1100,
)
"""What has been used of each cap in its current period; a new period begins at zero."""


class Cap(NamedTuple):
    """A cap on what `meter` counts in one `period` (a UTC day `2026-11-23`, a month `2026-11`).

    `ceiling` is the most that may be used in the period, in the smallest unit of `currency`;
    None counts without limit. The row is found by its meter, and its period is the last one
    it was used in, so that no row is ever made for a new day.
    """

    owner: str
    livemode: bool
    meter: str
    period: str
    currency: str
    ceiling: int | None

    @property
    def key(self) -> tuple[str, bool, str]:
        """The key of the cap's row."""
        return (self.owner, self.livemode, self.meter)
