"""A client that costs little: one keep-alive connection, opened again whenever it was lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

ANSWER_SECONDS_MAX = 60.0
"""A request that is answered no sooner is taken for one that hangs."""
PAUSE_SECONDS = 0.02
TRY_AGAIN = {"idempotency_key_in_use", "unavailable"}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of an error, None where there is none."""
        return None if self.status < 400 else str(self.json["error"]["code"])

    @property
    def replayed(self) -> bool:
        return self.headers.get("idempotent-replayed") == "true"


class Client:
    """One connection to one server."""

    def __init__(self, url: str, key: str = "", *, root: str = "/v1") -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self.key = key
        self._root = root
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.lost = 0
        """How often the connection was lost with a request on its way."""
        self.statuses: Counter[int] = Counter()
        """How often there was an answer of each status, those to try again included."""

    async def ask(
        self, route: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> Answer:
        """Call `POST /stablecoin/transfer`. Raises OSError or EOFError when the line is lost."""
        method, _, path = route.partition(" ")
        text = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {self._root}{path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"Authorization: Bearer {self.key}", "Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(text)}", "", ""]
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await self._exchange("\r\n".join(lines).encode() + text)
        except TimeoutError:
            raise AssertionError(f"{route} was never answered") from None
        except (OSError, EOFError):
            await self.close()
            raise

    async def settle(
        self, route: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> Answer:
        """Call, and call again until there is an answer that stands."""
        while True:
            try:
                answer = await self.ask(route, body, **headers)
            except (OSError, EOFError):
                self.lost += 1
            else:
                if answer.code not in TRY_AGAIN:
                    return answer
                assert answer.headers["retry-after"] == "1"
            await asyncio.sleep(PAUSE_SECONDS)

    async def _exchange(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers["content-length"]))
        answer = Answer(int(head[0].split(" ")[1]), headers, body)
        self.statuses[answer.status] += 1
        return answer

    @classmethod
    async def once(cls, url: str, key: str, route: str) -> Answer:
        """Call once, on a connection of its own."""
        async with cls(url, key) as client:
            return await client.settle(route)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        if self._streams is None:
            return
        _, writer = self._streams
        self._streams = None
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
