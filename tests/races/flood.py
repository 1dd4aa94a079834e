"""A flood: requests with one key, sent at a rate whatever the answers, to servers in turn."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.process import eventually

CONNECTIONS = 6
"""To each server."""
TICK_SECONDS = 0.01
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_STATUS_LENGTH = 13


class Flooded(NamedTuple):
    """What became of a flood; times are monotonic seconds."""

    statuses: list[Counter[int]]
    """How often each server answered so."""
    began: float
    answered: float
    """When the first answer was there."""
    sent: float
    """When the last request was sent."""
    ended: float
    """When the last answer was there."""

    @property
    def total(self) -> Counter[int]:
        return sum(self.statuses, Counter[int]())


class Line(asyncio.Protocol):
    """One connection, which sends without waiting for answers and counts their statuses."""

    def __init__(self) -> None:
        self.transport: asyncio.WriteTransport
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self.first_at = self.last_at = 0.0
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to send."""
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count the answers that begin here; the start of one may be cut in two."""
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        seen, end = self._rest + data, 0
        for found in _STATUS.finditer(seen):
            self.statuses[int(found[1])] += 1
            end = found.end()
        self._rest = seen[max(end, len(seen) - _STATUS_LENGTH + 1) :]

    def send(self, request: bytes, number: int) -> None:
        """Send a request so often."""
        self.sent += number
        self.transport.write(request * number)

    @property
    def done(self) -> bool:
        """Whether all that was sent is answered."""
        return self.statuses.total() == self.sent


async def connected(url: str) -> list[Line]:
    """Lines to one server."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    assert host is not None
    assert port is not None
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Line, host, port))[1] for _ in range(CONNECTIONS)]


async def flood(urls: Sequence[str], key: str, rate: int, seconds: float) -> Flooded:
    """Ask for the key's own account at a rate."""
    request = f"GET /v1/account HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    groups = [await connected(url) for url in urls]
    # In turn: one of the one server, one of the other.
    lines = [line for turn in zip(*groups, strict=True) for line in turn]
    sent = 0
    began = last = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        due = int(rate * passed) - sent
        each, odd = divmod(due, len(lines))
        for number in range(len(lines)):
            line = lines[(sent + number) % len(lines)]
            if many := each + (number < odd):
                line.send(request, many)
        if due:
            sent, last = sent + due, time.monotonic()
        await asyncio.sleep(TICK_SECONDS)
    await eventually(partial(_done, lines))
    for line in lines:
        line.transport.close()
    statuses = [sum((line.statuses for line in group), Counter[int]()) for group in groups]
    first = min(line.first_at for line in lines if line.sent)
    return Flooded(statuses, began, first, last, max(line.last_at for line in lines))


async def _done(lines: list[Line]) -> bool:
    return all(line.done for line in lines)
