"""Ids: a prefix, the mode, and 26 characters that sort by time."""

import re
from collections.abc import Callable
from typing import Final

# fmt: off
PREFIXES: Final = frozenset({
    "acct", "key", "cust", "prod", "pay", "re", "ord", "li", "ful", "inv", "po", "iss", "red",
    "tr", "bat", "txn", "pout", "fac", "pof", "loan", "agent", "run", "gord", "chk", "quote",
    "evt", "we", "del", "tok", "pm", "dep", "disp", "clock",
})
# fmt: on

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_RANDOM_BITS: Final = 80
_RANDOM_END: Final = 1 << _RANDOM_BITS
_TAIL: Final = f"[0-7][{_ALPHABET}]{{25}}"
# Test mode also has fixtures with a readable tail, such as cust_test_123.
_ID: Final = re.compile(f"([a-z]+)_(?:{_TAIL}|(test)_(?:{_TAIL}|[a-z0-9]{{1,16}}))")


class IdFactory:
    """Makes ids, each greater than the one before, whatever the clock does.

    One factory serves one thread.
    """

    def __init__(self, clock_ms: Callable[[], int], randbits: Callable[[int], int]) -> None:
        """Take the time in Unix milliseconds and a source of random bits from outside."""
        self._clock_ms = clock_ms
        self._randbits = randbits
        self._time_ms = -1
        self._time_text = ""
        self._random = 0
        self._high = -1
        self._high_text = ""
        """The text of the time and of all random bits but the lowest 20, which change least."""

    def new(self, prefix: str, *, livemode: bool) -> str:
        """Make an id: 48 bits of milliseconds, 80 random ones (the ULID layout)."""
        now_ms = self._clock_ms()
        if now_ms > self._time_ms:
            self._start(now_ms)
        else:
            self._random += 1
            if self._random == _RANDOM_END:
                self._start(self._time_ms + 1)
        high = self._random >> 20
        if high != self._high:
            self._high = high
            self._high_text = self._time_text + "".join(
                _PAIRS[high >> shift & 1023] for shift in (50, 40, 30, 20, 10, 0)
            )
        low = self._random & 0xFFFFF
        mode = "" if livemode else "test_"
        return f"{prefix}_{mode}{self._high_text}{_PAIRS[low >> 10]}{_PAIRS[low & 1023]}"

    def _start(self, time_ms: int) -> None:
        self._time_ms = time_ms
        self._time_text = "".join(_PAIRS[time_ms >> shift & 1023] for shift in (40, 30, 20, 10, 0))
        self._random = self._randbits(_RANDOM_BITS)
        self._high = -1


def is_id(text: str, prefix: str) -> bool:
    """Say whether this has the form of an id of that prefix, in either mode."""
    match = _ID.fullmatch(text)
    return match is not None and match[1] == prefix


def livemode_of(text: str) -> bool | None:
    """Say which mode an id belongs to, or None for what is not an id of a known prefix."""
    match = _ID.fullmatch(text)
    if match is None or match[1] not in PREFIXES:
        return None
    return match[2] is None
