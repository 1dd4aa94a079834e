"""Rates of addresses: who asks without a good key is held to a rate in each process' memory."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from itertools import islice

from commerce.http.limits.account import Limits, Policy, Refused
from commerce.http.request import Request

REMEMBERED_MAX = 100_000
"""Addresses that are remembered."""

_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv6 socket begins the addresses of IPv4."""


class Addresses:
    """A bucket for each address that asks without a good key, in this process alone."""

    def __init__(self, rate: int) -> None:
        self._policy = Policy(Limits(rate, 2 * rate, None))
        self._full_at: dict[bytes, int] = {}

    def check(self, peer: str | None) -> None:
        """See that there is a token for this address. Raises `rate_limit_exceeded`."""
        if peer is not None:
            now = time.monotonic_ns()
            self._refuse(self._full_at.get(network(peer), now) - now)

    def take(self, request: Request) -> None:
        """Charge a request to its address. Raises `rate_limit_exceeded`."""
        if request.peer is None:
            return
        now, key = time.monotonic_ns(), network(request.peer)
        owed = max(0, self._full_at.get(key, now) - now)
        request.limits = self._policy.fields(owed, time.time_ns(), None)
        self._refuse(owed)
        owed += self._policy.nanoseconds
        request.limits = self._policy.fields(owed, time.time_ns(), None)
        if key not in self._full_at and len(self._full_at) >= REMEMBERED_MAX:
            self._forget(now)
        self._full_at[key] = now + owed

    def _refuse(self, owed: int) -> None:
        wait = owed - (self._policy.burst - 1) * self._policy.nanoseconds
        if wait > 0:
            raise Refused("rate_limit_exceeded", wait).error()

    def _forget(self, now: int) -> None:
        """Forget those whose bucket is full; where most are not, the half that came first."""
        kept = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        half = REMEMBERED_MAX // 2
        self._full_at = dict(islice(kept.items(), max(0, len(kept) - half), None))


def network(peer: str) -> bytes:
    """What counts as one address: an IPv4 address, or the 64 bits that one IPv6 site has."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            packed = socket.inet_pton(family, peer.partition("%")[0])
            mapped = packed[:12] == _MAPPED
            return packed[12:] if mapped else packed[:8]
    return peer.encode()
