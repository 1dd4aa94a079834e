"""Rate budgets: how many tokens an account may take, decided in the database by its own clock.

A bucket is one number, the time at which it is full again (the generic cell rate algorithm,
ITU-T I.371): each token taken moves that time on by the time one token takes to come back, and
no token is there that would move it further away than a whole bucket. Beside it stands what was
used of the UTC day of `asked_at`.

Taking commits without waiting for the disk. A PostgreSQL that crashes may forget what was taken
in its last half second, and most of that comes back while it recovers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

NANOSECONDS = 1_000_000_000
DAY = 86_400 * NANOSECONDS
SLACK = 10 * NANOSECONDS
"""A time further in the future than any waiting for locks explains: the clock was set back."""


class Ask(NamedTuple):
    """Tokens that are asked for, under the limits that hold now."""

    account: str
    livemode: bool
    wanted: int
    """At most so many are given; 0 only gives back."""
    returned: int
    """Tokens taken earlier on this UTC day that nobody used: they do not count for the day."""
    nanoseconds: int
    """The time in which one token comes back."""
    burst: int
    """The depth of the bucket."""
    daily: int | None
    """The tokens of a UTC day; None where there is no such limit."""


class Grant(NamedTuple):
    """What was given."""

    granted: int
    full_at: int
    """When the bucket is full again, by the database's clock."""
    used: int
    """What was taken in this UTC day, with this."""
    now: int
    """The database's time when it decided, Unix nanoseconds."""


class Budget(NamedTuple):
    """What is kept of an account's use in one mode."""

    asked_at: int
    full_at: int
    used: int


def take(budget: Budget | None, ask: Ask, now: int) -> tuple[Budget, Grant]:
    """What the statement below does with one row, for the store that has no PostgreSQL."""
    depth = ask.burst * ask.nanoseconds
    asked_at, full_at, used = budget or Budget(now, now, 0)
    start = now + depth if full_at > now + depth + SLACK else max(full_at, now)
    of_today = max(0, used - ask.returned) if asked_at // DAY >= now // DAY else 0
    room = max(0, (now + depth - start) // ask.nanoseconds)
    left = room if ask.daily is None else ask.daily - of_today
    granted = max(0, min(ask.wanted, room, left))
    asked_at = now if asked_at > now + SLACK else max(asked_at, now)
    kept = Budget(asked_at, start + granted * ask.nanoseconds, of_today + granted)
    return kept, Grant(granted, kept.full_at, kept.used, now)


# A new row is inserted as what a full bucket gives. Of a row that is there, the numbers that were
# asked for come back out of what would have been inserted: what was wanted is `granted` (never
# more than a bucket or a day holds), what was given back is `granted - used`, and the time is
# `asked_at`. It was told before the row was locked, so it may be older than the row, which gives
# no token too many: whoever was faster has moved `full_at` beyond it.
TAKE = f"""
    WITH clock AS MATERIALIZED (
        SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 AS now,
            set_config('synchronous_commit', 'off', true)
    )
    INSERT INTO rate_budget AS b
        (account, livemode, asked_at, full_at, used, granted, nanoseconds, burst, daily)
    SELECT a.account, a.livemode, clock.now, clock.now + first.granted * a.nanoseconds,
        first.granted - a.returned, first.granted, a.nanoseconds, a.burst, a.daily
    FROM clock,
        unnest($1::text[], $2::bool[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[]) WITH ORDINALITY
            AS a (account, livemode, wanted, returned, nanoseconds, burst, daily, place),
        LATERAL (SELECT least(a.wanted, a.burst, a.daily) AS granted) first
    ORDER BY a.place
    ON CONFLICT (account, livemode) DO UPDATE SET
        (asked_at, full_at, used, granted, nanoseconds, burst, daily) = (
            SELECT
                CASE WHEN b.asked_at > excluded.asked_at + {SLACK} THEN excluded.asked_at
                    ELSE greatest(b.asked_at, excluded.asked_at) END,
                bucket.start + given.tokens * excluded.nanoseconds,
                bucket.used + given.tokens,
                given.tokens, excluded.nanoseconds, excluded.burst, excluded.daily
            FROM (
                SELECT
                    CASE WHEN b.full_at > edge.at + {SLACK} THEN edge.at
                        ELSE greatest(b.full_at, excluded.asked_at) END AS start,
                    CASE WHEN b.asked_at / {DAY} >= excluded.asked_at / {DAY}
                        THEN greatest(0, b.used - (excluded.granted - excluded.used))
                        ELSE 0 END AS used,
                    edge.at AS edge
                FROM (
                    SELECT excluded.asked_at + excluded.burst * excluded.nanoseconds AS at
                ) edge
            ) bucket,
            LATERAL (
                SELECT greatest(0, least(
                    excluded.granted,
                    (bucket.edge - bucket.start) / excluded.nanoseconds,
                    excluded.daily - bucket.used
                )) AS tokens
            ) given
        )
    RETURNING account, livemode, granted, full_at, used, (SELECT now FROM clock)"""


def values(asks: Sequence[Ask]) -> list[Any]:
    """What is bound to the statement: the columns of asks in the order in which rows are locked."""
    return [list(column) for column in zip(*sorted(asks), strict=True)]
