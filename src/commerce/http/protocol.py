"""HTTP/1.1 on one connection: httptools reads, uvicorn's server owns it, ASGI is spoken."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools
import structlog

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

log = structlog.get_logger("commerce.http")

HEAD_BYTES_MAX = 64 * 1024
"""A request line and headers longer than this close the connection."""
HEAD_SECONDS_MAX = 10.0
"""A head that is not whole by then closes the connection: a silent client holds nothing."""
KEPT_SECONDS_MAX = 60.0
"""A connection on which nothing was asked for so long is closed."""
UNREAD_BYTES_MAX = 256 * 1024
"""More of a body than this waits at the client until the application has read it."""
WAITING_MAX = 16
"""More requests than this, sent in a row, wait at the client."""

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_MALFORMED = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 26\r\n\r\nThis is no HTTP/1.1 to us."
)


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
        body = self.body()
        self._chunks.clear()
        self.unread = 0
        self._connection.flow()
        return {"type": "http.request", "body": body, "more_body": not self.arrived}

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


class Connection(asyncio.Protocol):
    """One connection, as uvicorn's server makes them. One request is answered after the other."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        del app_state  # There is no lifespan to have any.
        self._app = config.loaded_app
        self.state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes: int | None = 0
        """How long the head is that is arriving; None while none is."""
        self._expects = False
        self._arriving: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._running: Exchange | None = None
        self._writable = True
        self._reading = True
        self._closing = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # Called by the loop and by uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername")
        self._scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        self.state.connections.add(self)  # type: ignore[arg-type]
        self._deadline = self._loop.time() + HEAD_SECONDS_MAX
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still works for this client that it has gone."""
        del exc
        self._closing = True
        self.state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        for exchange in (self._running, self._arriving):
            if exchange is not None:
                exchange.gone = True
                exchange.wake()
        self._waiting.clear()

    def eof_received(self) -> None:
        """The client will say no more; the transport closes."""

    def data_received(self, data: bytes) -> None:
        """Take bytes; begin with each request whose head is whole."""
        if self._closing:
            return
        within_head = self._head_bytes is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._closing = True  # After the answer: what follows is of another protocol.
        except httptools.HttpParserError:
            self._refuse()
            return
        if within_head and self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._close()
                return
        self._next()
        self.flow()

    def pause_writing(self) -> None:
        """The client does not take its answers: let no more be made."""
        self._writable = False
        self.flow()

    def resume_writing(self) -> None:
        """The client takes its answers again."""
        self._writable = True
        self._next()
        self.flow()

    def shutdown(self) -> None:
        """Answer what has begun, then close."""
        if self._running is None:
            self._close()
        else:
            self._running.keep_alive = False

    # Called by the parser

    def on_message_begin(self) -> None:
        """A head begins."""
        self._url, self._headers, self._expects = b"", [], False
        self._head_bytes = 0
        if self._running is None:
            self._deadline = self._loop.time() + HEAD_SECONDS_MAX

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._head_bytes = None
        path, _, query = self._url.partition(b"#")[0].partition(b"?")
        if not path.startswith(b"/"):
            path = httptools.parse_url(self._url).path or b"/"
        scope = {
            "type": "http",
            "method": self._parser.get_method().decode("ascii"),
            "scheme": self._scheme,
            "raw_path": path,
            "query_string": query,
            "headers": self._headers,
            "client": self._peer,
        }
        self._arriving = Exchange(self, scope, expects=self._expects)
        self._arriving.keep_alive = self._parser.should_keep_alive()
        self._waiting.append(self._arriving)

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        if self._arriving is not None:
            self._arriving.feed(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._arriving is not None:
            self._arriving.arrived = True
            self._arriving.wake()
            self._arriving = None

    # Our own

    def write(self, data: bytes) -> None:
        """Send bytes to a client that is still there."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def flow(self) -> None:
        """Let the client send while there is room for what it sends."""
        unread = 0 if self._arriving is None else self._arriving.unread
        room = self._writable and len(self._waiting) < WAITING_MAX and unread < UNREAD_BYTES_MAX
        if room is self._reading or self._transport.is_closing():
            return
        self._reading = room
        if room:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _next(self) -> None:
        if self._running is None and self._waiting and self._writable:
            self._running = self._waiting.popleft()
            if self._running.arrived:
                self._running.scope["body"] = self._running.body()
            task = self._loop.create_task(self._run(self._running))
            self.state.tasks.add(task)
            task.add_done_callback(self.state.tasks.discard)

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            self._close()
            raise
        except Exception:
            path = exchange.scope["raw_path"][:200].decode("latin-1")
            log.exception("request_failed", path=path)
            self._close()
            return
        self.state.total_requests += 1
        self._running = None
        if not exchange.keep_alive or exchange.begun or self._closing:
            self._close()
            return
        self._deadline = self._loop.time() + KEPT_SECONDS_MAX
        self._next()
        self.flow()

    def _refuse(self) -> None:
        """Answer what is not HTTP, unless an answer to something before it is on its way."""
        if self._running is None:
            self.write(_MALFORMED)
            self._close()
        self._closing = True

    def _close(self) -> None:
        self._closing = True
        self._waiting.clear()
        self._transport.close()

    def _watch(self) -> None:
        """Close when a deadline has passed; one timer serves a connection all its life."""
        now = self._loop.time()
        if self._running is None and now >= self._deadline:
            self._close()
            return
        pause = self._deadline - now if self._running is None else HEAD_SECONDS_MAX
        self._timer = self._loop.call_later(min(pause, HEAD_SECONDS_MAX), self._watch)
