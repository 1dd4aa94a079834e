"""A request and a response, as plain as the wire has them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from commerce.kernel.errors import ApiError

FIELDS_MAX = 200
BODY_SECONDS_MAX = 30.0
_EXPAND = re.compile(r"expand\[[0-9]{0,3}\]")

Parameters = dict[str, list[str]]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """The client went away before its request was whole: nothing may come of it."""


class Response(NamedTuple):
    """Status, body, and the headers that are not on every answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


class Request(msgspec.Struct):
    """One request."""

    id: str
    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    receive: Receive
    peer: str | None = None
    """The address that sent it, behind the proxies that are trusted; None within the process."""
    secure: bool = True
    """It came by HTTPS, or from this very machine."""
    whole: bytes | None = None
    """The body, where all of it was there before the request was begun with."""
    account: str | None = None
    """Whose it turned out to be, for the log."""
    limits: tuple[tuple[bytes, bytes], ...] = ()
    """The header fields of its answer that tell of rate limits."""
    idempotency_key: str | None = None
    operation: str = "other"
    """What it asks for, by a name of ours and never by its path, which is the client's."""
    plan: str | None = None
    """The plan whose limits it was refused by."""

    async def body(self, size_max: int) -> bytes:
        """The whole body. Raises `body_too_large` as soon as it is, and `Disconnected`."""
        if self.whole is not None:
            if len(self.whole) > size_max:
                raise _too_large(size_max)
            return self.whole
        length = self.headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length[:12]) > size_max:
            raise _too_large(size_max)
        body = bytearray()
        more = True
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
        while more:
            message = await self._receive_by(deadline)
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > size_max:
                raise _too_large(size_max)
        return bytes(body)

    async def _receive_by(self, deadline: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout_at(deadline):
                message = await self.receive()
        except TimeoutError:
            message_text = f"The body did not arrive within {BODY_SECONDS_MAX:.0f} seconds."
            raise ApiError("json_invalid", message_text, headers={"Connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message

    def parameters(self) -> Parameters:
        """The query's parameters, in their order. Raises `parameter_invalid`."""
        if not self.query:
            return {}
        try:
            pairs = parse_qsl(
                self.query.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=FIELDS_MAX,
            )
        except ValueError:
            raise ApiError("parameter_invalid", "The query string cannot be read.") from None
        found: Parameters = {}
        for name, value in pairs:
            if "\x00" in name or "\x00" in value:
                raise ApiError("parameter_invalid", "The query string holds a NUL character.")
            found.setdefault(name, []).append(value)
        return found


def split_expand(query: Parameters) -> tuple[list[str], Parameters]:
    """What a query asks to be expanded, `expand[]=…` or `expand[0]=…`, and the rest of it."""
    rest = {name: values for name, values in query.items() if not _EXPAND.fullmatch(name)}
    asked = [path for name, values in query.items() if name not in rest for path in values]
    return asked, rest


def _too_large(size_max: int) -> ApiError:
    return ApiError("body_too_large", f"A body has at most {size_max} bytes.")
