"""Requests, counted and timed by the operation they asked for and by how they were answered."""

from __future__ import annotations

from collections.abc import Iterable

from commerce.kernel.errors import ROWS
from commerce.meter.meters import Counter, Histogram, Meters

ODD = "other"
"""What is asked for, or answered, that was not known when the server started."""
SUCCESSES = (200, 201, 202, 204, 304)
CLASSES = ("2xx", "3xx", "4xx", "5xx")
SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds of the histogram; a transfer takes 2 to 20 milliseconds."""
PLANLESS = "none"
"""The plan of who has no good key, and is held to the rate of an address."""


class RequestMeter:
    """Counts requests."""

    def __init__(self, meters: Meters, operations: Iterable[str], plans: Iterable[str]) -> None:
        known = [*dict.fromkeys((*operations, ODD))]
        statuses = sorted({*SUCCESSES, *(s for row in ROWS for s in (row.status, *row.also))})
        counters = meters.counters(
            "commerce_http_requests_total",
            "Requests answered, by operation and HTTP status.",
            operation=known,
            status=[*map(str, statuses), ODD],
        )
        times = meters.histograms(
            "commerce_http_request_seconds",
            "Time from a request's head to its answer, by operation and class of status.",
            SECONDS,
            operation=known,
            status_class=CLASSES,
        )
        self._refusals = meters.counters(
            "commerce_rate_limit_refusals_total",
            "Requests refused with 429, by the plan of the account and the limit's code.",
            plan=[*plans, PLANLESS],
            reason=[row.code for row in ROWS if row.status == 429],  # noqa: PLR2004 - the status
        )
        self._meters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        for operation in known:
            for status in statuses:
                time = times[operation, f"{status // 100}xx"]
                self._meters[operation, status] = (counters[operation, str(status)], time)
            for class_ in CLASSES:
                odd = (counters[operation, ODD], times[operation, class_])
                self._meters[operation, -int(class_[0])] = odd

    def answered(
        self, operation: str, status: int, nanoseconds: int, code: str | None, plan: str | None
    ) -> None:
        """Count one request."""
        found = self._meters.get((operation, status)) or self._odd(operation, status)
        found[0].add()
        found[1].observe(nanoseconds)
        if status == 429 and code is not None:  # noqa: PLR2004 - the status
            self._refusals[plan or PLANLESS, code].add()

    def _odd(self, operation: str, status: int) -> tuple[Counter, Histogram]:
        known = operation if (operation, -2) in self._meters else ODD
        return self._meters.get((known, status)) or self._meters[known, -(status // 100)]
