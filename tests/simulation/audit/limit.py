"""Limits: what has been moved in a day, a month and in all, counted from what was made."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.simulation.audit.books import Books
from tests.simulation.audit.facts import MILLION, Facts, History, Row, agree, millionths, utc_day

LEVELS = {
    "basic": (5_000, 10_000, 50_000),
    "verified": (50_000, 100_000, 500_000),
    "premium": (500_000, 1_000_000, 10_000_000),
}
"""The contract's limits in whole ssUSD: a transfer, a day, a month."""
WINDOWS = ("per transfer", "a day", "a month")
TRANSFER = "transfer"
TEST_DOLLARS = "stablecoin:test_dollars"
TEST_DOLLARS_DAILY_MAX = 1_000_000_000 * MILLION
Meter = tuple[str, bool, str]


class Used(NamedTuple):
    """What a meter has counted."""

    day: str = ""
    by_day: int = 0
    month: str = ""
    by_month: int = 0
    total: int = 0

    def add(self, amount: int, now: int) -> Used:
        """Count an amount. A slow clock does not begin a day anew that is over."""
        day = max(self.day, utc_day(now))
        month = max(self.month, day[:7])
        by_day = (self.by_day if day == self.day else 0) + amount
        by_month = (self.by_month if month == self.month else 0) + amount
        return Used(day, by_day, month, by_month, self.total + amount)


class Limits:
    """Meters, and what they may come to."""

    def __init__(self, facts: Facts, books: Books) -> None:
        self._facts = facts
        self._books = books
        self.used: dict[Meter, History[Used]] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        """Each API key as it was made: its limits and recipients."""
        self.lines: dict[str, str] = {}
        """The first key in each key's line: on its meter they all count."""
        self.rolled: dict[str, int] = {}
        """Keys that another one follows, and since which commit: they live on for a while."""

    def know(self, key: dict[str, Any], follows: str | None) -> None:
        """Know a new API key; one that follows another counts on its meter."""
        self.keys[key["id"]] = key
        self.lines[key["id"]] = key["id"] if follows is None else self.lines[follows]
        if follows is not None:
            agree(follows not in self.rolled, "{} was rolled twice", follows)
            self.rolled[follows] = self._facts.seq

    def meter(self, account: str, livemode: bool, key: str | None = None) -> Meter:
        """The meter of an account's transfers, or of an API key's."""
        return (account, livemode, TRANSFER if key is None else f"key:{self.lines[key]}")

    def history(self, meter: Meter) -> History[Used]:
        """What a meter has counted, and when."""
        return self.used.setdefault(meter, History(Used()))

    def count(self, account: str, livemode: bool, amounts: list[int], now: int, since: int) -> None:
        """Count transfers that were made. Raises `Disagreement` where they come to too much."""
        used = self._count(self.meter(account, livemode), sum(amounts), now)
        levels = self._facts.levels[account, livemode].since(since)
        least = [max(LEVELS[level][at] for level in levels) * MILLION for at in range(3)]
        for most, moved, window in zip(
            least, (max(amounts), used.by_day, used.by_month), WINDOWS, strict=True
        ):
            agree(
                moved <= most, "{} moved {} {}, at most {} may pass", account, moved, window, most
            )

    def count_key(
        self, account: str, livemode: bool, key: str, paid: list[tuple[str, int]], now: int
    ) -> None:
        """Count what a key has moved. Raises `Disagreement` where it may not."""
        limits = self.keys[key]["limits"] or {}
        recipients = self.keys[key]["recipients"]
        meter = self.meter(account, livemode, key)
        for recipient, amount in paid:
            agree(recipients is None or recipient in recipients, "{} paid {}", key, recipient)
            used = self._count(meter, amount, now)
            moved = {"per_transaction": amount, "daily": used.by_day, "lifetime": used.total}
            for name, text in limits.items():
                over = text is not None and moved[name] > millionths(text)
                agree(not over, "{} moved {}, its {} limit is {}", key, moved[name], name, text)

    def arrive(self) -> None:
        """Count the test dollars that were made. Raises `Disagreement` where they are too many."""
        for row in self._books.arrived:
            if not row["livemode"]:
                meter = (row["account"], False, TEST_DOLLARS)
                made = self._count(meter, row["amount"], row["created"]).by_day
                agree(made <= TEST_DOLLARS_DAILY_MAX, "{} made {} in a day", row["account"], made)

    def _count(self, meter: Meter, amount: int, now: int) -> Used:
        history = self.history(meter)
        used = history.now().add(amount, now)
        history.become(self._facts.seq, used)
        return used

    def compare(self, rows: list[Row] | tuple[()]) -> None:
        """See that the meters that are kept say what was counted here."""
        for row in rows:
            livemode, name = row["livemode"], row["meter"]
            if name == "stablecoin:supply":
                mine = self._books.supply[livemode]
                agree(row["used"] == mine, "the supply is {}, its meter says {}", mine, row["used"])
            elif name.startswith("stablecoin:deposits:"):
                mine = self._books.deposited[livemode, name.rpartition(":")[2]]
                agree(row["used"] == mine, "{} is {}, its meter says {}", name, mine, row["used"])
            else:
                used = self.history((row["account"], livemode, name)).now()
                kept = (row["day"], row["day_used"], row["month"], row["month_used"], row["used"])
                agree(kept == used, "{} {}: kept {}, counted {}", row["account"], name, kept, used)
