"""One request and its answer on a connection, as ASGI speaks of them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commerce.http.protocol import Connection

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """One request and its answer: ASGI's `scope`, `receive` and `send`."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_head",
        "_waiter",
        "arrived",
        "expects",
        "gone",
        "keep_alive",
        "scope",
        "unread",
    )

    def __init__(self, connection: Connection, scope: dict[str, Any], *, expects: bool) -> None:
        self._connection = connection
        self._chunks: list[bytes] = []
        self._head = b""
        self._waiter: asyncio.Future[None] | None = None
        self.arrived = False
        """The body is whole."""
        self.expects = expects
        """The client waits to be told that its body is wanted."""
        self.gone = False
        self.keep_alive = True
        self.scope = scope
        self.unread = 0

    def feed(self, body: bytes) -> None:
        """A piece of the body has come."""
        self._chunks.append(body)
        self.unread += len(body)
        self.wake()

    def wake(self) -> None:
        """Something has changed for whoever waits in `receive`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def body(self) -> bytes:
        """What has come of the body and was not received yet."""
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body, or that the client has gone."""
        while not (self._chunks or self.arrived or self.gone):
            if self.expects:
                self.expects = False
                self._connection.write(_CONTINUE)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.gone and not self.arrived:
            return {"type": "http.disconnect"}
        # Asked before more is read: the end of the body may be in that, behind bytes still unread.
        body, more = self.body(), not self.arrived
        self._chunks.clear()
        self.unread = 0
        self._connection.flow()
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(self, message: dict[str, Any]) -> None:
        """The head of the answer, then its body; both leave in one piece."""
        if message["type"] == "http.response.start":
            lines = [_STATUS_LINES[message["status"]]]
            # What is left of a body that nobody read would be taken for the next request.
            self.keep_alive = self.keep_alive and self.arrived
            for name, value in (*self._connection.state.default_headers, *message["headers"]):
                lines.append(b"%b: %b\r\n" % (name, value))
                if name == b"connection" and value == b"close":
                    self.keep_alive = False
            if not self.keep_alive:
                lines.append(b"connection: close\r\n")
            self._head = b"".join(lines)
            return
        self._connection.write(b"%b\r\n%b" % (self._head, message.get("body", b"")))
        self._head = b""

    @property
    def begun(self) -> bool:
        """An answer was begun and not finished: the application failed in between."""
        return bool(self._head)
