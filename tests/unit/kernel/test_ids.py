"""Ids sort by time, name their mode and never repeat."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.clock import FixedClock
from commerce.kernel.ids import PREFIXES, IdFactory, is_id, livemode_of

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TIMES = st.lists(st.integers(0, 2**48 - 2), min_size=2, max_size=50)


def decoded(tail: str) -> int:
    number = 0
    for character in tail:
        number = number * 32 + ALPHABET.index(character)
    return number


@given(TIMES, st.booleans())
def test_ids_rise_strictly_whatever_the_clock_does(times_ms: list[int], livemode: bool) -> None:
    ticks = iter(times_ms)
    factory = IdFactory(lambda: next(ticks), secrets.randbits)
    ids = [factory.new("tr", livemode=livemode) for _ in times_ms]
    assert ids == sorted(set(ids))


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1))
def test_an_id_holds_48_bits_of_time_and_80_random_ones(time_ms: int, random: int) -> None:
    factory = IdFactory(lambda: time_ms, lambda _: random)
    tail = factory.new("pay", livemode=True).removeprefix("pay_")
    assert len(tail) == 26
    assert decoded(tail) == time_ms << 80 | random


def test_within_one_millisecond_the_random_part_counts_up() -> None:
    factory = IdFactory(lambda: 7, lambda _: 2**40 - 1)
    tails = [factory.new("pay", livemode=True).removeprefix("pay_") for _ in range(3)]
    assert [decoded(tail) & (2**80 - 1) for tail in tails] == [2**40 - 1, 2**40, 2**40 + 1]


def test_a_spent_millisecond_borrows_the_next() -> None:
    factory = IdFactory(lambda: 7, lambda bits: 2**bits - 1)
    first, second = (factory.new("pay", livemode=True) for _ in range(2))
    assert first < second
    assert decoded(second.removeprefix("pay_")) >> 80 == 8


def test_a_clock_that_goes_back_is_not_followed() -> None:
    clock = FixedClock(1_000_000)
    factory = IdFactory(clock.now_ms, secrets.randbits)
    before = factory.new("pay", livemode=False)
    clock.advance(-60)
    assert factory.new("pay", livemode=False) > before


@pytest.mark.parametrize("prefix", sorted(PREFIXES))
@pytest.mark.parametrize("livemode", [True, False])
def test_an_id_says_its_prefix_and_mode(prefix: str, *, livemode: bool) -> None:
    made = IdFactory(lambda: 1_700_000_000_000, secrets.randbits).new(prefix, livemode=livemode)
    assert made.startswith(f"{prefix}_" if livemode else f"{prefix}_test_")
    assert is_id(made, prefix)
    assert not is_id(made, "other")
    assert livemode_of(made) is livemode


@pytest.mark.parametrize(
    "text", ["cust_test_123", "pay_test_456", "ord_test_789", "cust_test_late"]
)
def test_fixtures_are_test_mode_ids(text: str) -> None:
    assert is_id(text, text.partition("_")[0])
    assert livemode_of(text) is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pay",
        "pay_",
        "pay_test_",
        "pay_123",
        "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "pay_81arz3ndektsv4rrffq69g5fav",
        "pay_01arz3ndektsv4rrffq69g5fa",
        "pay_01arz3ndektsv4rrffq69g5favv",
        "pay_01arz3ndektsv4rrffq69g5fal",
        "pay_01arz3ndektsv4rrffq69g5fav\n",
        "pay_test_" + "1" * 17,
        "pm_card_visa",
        "PAY_01arz3ndektsv4rrffq69g5fav",
    ],
)
def test_what_is_no_id_has_no_mode(text: str) -> None:
    assert not is_id(text, text.partition("_")[0])
    assert livemode_of(text) is None


def test_an_id_of_an_unknown_prefix_has_no_mode() -> None:
    assert livemode_of("zz_01arz3ndektsv4rrffq69g5fav") is None
