"""Clocks, and times read and printed."""

import itertools
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.clock import (
    Clock,
    FixedClock,
    SystemClock,
    day,
    is_date,
    iso_date,
    month,
    parse_time,
)
from commerce.kernel.errors import ApiError

TIMES = st.integers(-2_208_988_800, 7_258_118_399)


def test_the_system_clock_tells_unix_milliseconds() -> None:
    clock: Clock = SystemClock()
    before = time.time_ns() // 1_000_000
    assert before <= clock.now_ms() <= time.time_ns() // 1_000_000


def test_a_fixed_clock_moves_only_when_told() -> None:
    clock: FixedClock = FixedClock(1_000)
    assert clock.now_ms() == clock.now_ms() == 1_000
    clock.advance(1.5)
    assert clock.now_ms() == 2_500
    clock.advance(-2)
    assert clock.now_ms() == 500


@given(TIMES)
def test_unix_seconds_read_as_themselves(unix: int) -> None:
    assert parse_time(unix, param="at") == unix
    assert parse_time(str(unix), param="at") == unix


@given(TIMES, st.integers(-14 * 60, 14 * 60))
def test_a_date_time_reads_the_same_at_any_offset(unix: int, offset_minutes: int) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix)
    assert parse_time(moment.astimezone(zone).isoformat(), param="at") == unix


@given(TIMES)
def test_a_day_reads_back_as_its_midnight_utc(unix: int) -> None:
    midnight = unix - unix % 86_400
    assert parse_time(day(unix), param="at") == midnight
    assert day(unix) == datetime.fromtimestamp(midnight, UTC).date().isoformat()
    assert month(unix) == day(unix)[:7]
    assert iso_date(unix, param="at") == day(unix)


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("1970-01-01", 0),
        ("20240101", 20_240_101),
        ("2024-02-29", 1_709_164_800),
        ("2024-01-01T00:00:00Z", 1_704_067_200),
        ("2024-01-01t00:00:00z", 1_704_067_200),
        ("2024-01-01 00:00Z", 1_704_067_200),
        ("2024-01-01T01:00:00+01:00", 1_704_067_200),
        ("2023-12-31T19:00:00-0500", 1_704_067_200),
        ("2024-01-01T00:00:00.999Z", 1_704_067_200),
        ("2024-01-01T00:00:00.999999999Z", 1_704_067_200),
        ("1900-01-01", -2_208_988_800),
        ("2199-12-31T23:59:59Z", 7_258_118_399),
    ],
)
def test_iso_8601_is_read(text: str, unix: int) -> None:
    assert parse_time(text, param="at") == unix


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "now", "1.5", "1e9", "+1", "--1", "٣", "1700000000000", "9" * 5000),
        *(
            "2024-02-30",
            "2024-13-01",
            "2024-1-1",
            "2024-W01-1",
            "2024-01",
            "٢٠٢٤-01-01",
        ),
        *("2024-01-01T00:00:00", "2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z", "2024-01-01\n"),
        *("2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+01", "2024-01-01T00Z"),
        *("0001-01-01T00:00:00+14:00", "0000-01-01", "1899-12-31", "2200-01-01", "9999-12-31"),
        *(-2_208_988_801, 7_258_118_400, 1_700_000_000_000, 10**30),
        *(True, False, None, 1.5, b"1", [], {}),
    ],
    ids=map(str, itertools.count()),
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ApiError) as refusal:
        parse_time(value, param="created[gte]")
    assert refusal.value.code == "parameter_invalid"
    assert refusal.value.param == "created[gte]"


def test_a_date_is_known_from_a_time() -> None:
    assert is_date("2026-11-23") is True
    for text in ("2026-11-23T00:00:00Z", "1795435200", "2026-11", "2026-11-23\n", ""):
        assert is_date(text) is False
