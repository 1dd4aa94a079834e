"""Caps count a day, a month and all time in one row, and a new day begins at zero."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.clock import DAY_SECONDS, day, month
from commerce.ledger.cap import CAP, USED_AT, Cap, CapReached, count
from commerce.store.table import Row

NOW = 1_795_435_200
DAY_USED, MONTH_USED = CAP.names.index("day_used"), CAP.names.index("month_used")
amounts = st.lists(st.tuples(st.integers(0, 20 * DAY_SECONDS), st.integers(1, 60)), max_size=30)


@given(amounts)
def test_what_is_counted_never_passes_a_cap_and_loses_nothing_under_it(
    steps: list[tuple[int, int]],
) -> None:
    cap = Cap("acct_1", livemode=False, meter="m", daily=100, monthly=250, total=600)
    row: Row | None = None
    now, used = NOW, Counter[str]()
    for seconds, amount in steps:
        now += seconds
        windows = {day(now): 100, month(now): 250, "all": 600}
        fits = all(used[window] + amount <= most for window, most in windows.items())
        if not fits:
            with pytest.raises(CapReached) as caught:
                count(cap, row, amount, now)
            assert 0 <= caught.value.left < amount
            continue
        row = count(cap, row, amount, now)
        used.update(dict.fromkeys(windows, amount))
        expected = (used[day(now)], used[month(now)], used["all"])
        assert (row[DAY_USED], row[MONTH_USED], row[USED_AT]) == expected


def test_the_cap_that_is_reached_says_which_and_what_is_left() -> None:
    cap = Cap("acct_1", livemode=False, meter="m", daily=10, monthly=15)
    row = count(cap, None, 7, NOW)
    with pytest.raises(CapReached) as caught:
        count(cap, row, 4, NOW)
    assert (caught.value.window, caught.value.ceiling, caught.value.left) == ("a day", 10, 3)
    with pytest.raises(CapReached) as caught:
        count(cap, row, 9, NOW + DAY_SECONDS)
    assert (caught.value.window, caught.value.ceiling, caught.value.left) == ("a month", 15, 8)


def test_a_cap_that_was_lowered_below_what_is_used_leaves_nothing() -> None:
    row = count(Cap("acct_1", livemode=False, meter="m", daily=10), None, 8, NOW)
    with pytest.raises(CapReached) as caught:
        count(Cap("acct_1", livemode=False, meter="m", daily=5), row, 1, NOW)
    assert caught.value.left == 0


def test_without_a_cap_everything_is_counted_and_nothing_refused() -> None:
    cap = Cap("acct_1", livemode=False, meter="m")
    assert count(cap, count(cap, None, 10**15, NOW), 1, NOW)[USED_AT] == 10**15 + 1


def test_a_clock_that_is_behind_begins_no_old_day_anew() -> None:
    cap = Cap("acct_1", livemode=False, meter="m", daily=10)
    row = count(cap, count(cap, None, 10, NOW - DAY_SECONDS), 9, NOW)
    with pytest.raises(CapReached):
        count(cap, row, 2, NOW - DAY_SECONDS)
    assert count(cap, row, 1, NOW - DAY_SECONDS)[DAY_USED] == 10
