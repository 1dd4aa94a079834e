"""HTTP/1.1 on one connection: httptools reads, uvicorn's server owns it, ASGI is spoken."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httptools
import structlog

from commerce.http.wire.exchange import Exchange

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

    from commerce.http.limits.connection import Door

log = structlog.get_logger("commerce.http")

BESIDE_BYTES_MAX = 64 * 1024
"""More bytes than this that are of no body close the connection: a long request line and headers,
long trailers, long extensions of chunks."""
_FORGIVEN = 1 + 8
"""A byte of body, and as much beside it: a body may come in chunks of one byte each."""
HEAD_SECONDS_MAX = 10.0
"""A head that is not whole by then closes the connection: a silent client holds nothing."""
KEPT_SECONDS_MAX = 60.0
"""A connection on which nothing was asked for, or nothing read, so long is closed."""
CLOSING_SECONDS_MAX = 30.0
"""What the client has not read by then of the last answer on a connection is lost to it."""
UNREAD_BYTES_MAX = 256 * 1024
"""More of a body than this waits at the client until the application has read it."""
WAITING_MAX = 16
"""More requests than this, sent in a row, wait at the client."""
PIECE_BYTES = 8 * 1024
"""So much is parsed at once: in all that may be read at once there is room for thousands."""

_NO_ROOM = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"retry-after: 1\r\ncontent-length: 30\r\n\r\nToo many connections are open."
)
_MALFORMED = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n"
    b"content-length: 26\r\n\r\nThis is no HTTP/1.1 to us."
)


class Connection(asyncio.Protocol):
    """One connection, as uvicorn's server makes them. One request is answered after the other."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: Door | None = None,
    ) -> None:
        del app_state  # There is no lifespan to have any.
        self._app = config.loaded_app
        self.state = server_state
        self._door = door
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._within_head = True
        self._beside = 0
        """How many bytes of the request that is arriving are of no body."""
        self._unparsed = memoryview(b"")
        self._expects = False
        self._arriving: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._running: Exchange | None = None
        self._writable = True
        self._reading = True
        self._ended = False
        """What comes from now on is not listened to."""
        self._last_words = b""
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle

    # Called by the loop and by uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername")
        self._host = self._peer[0] if self._peer else None
        self._scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        self.state.connections.add(self)  # type: ignore[arg-type]
        self._deadline = self._loop.time() + HEAD_SECONDS_MAX
        self._watch()
        if self._door is not None and not self._door.enter(self._host):
            self._door = None  # There is nobody to leave.
            self._end(_NO_ROOM)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still works for this client that it has gone."""
        del exc
        self._ended = True
        self.state.connections.discard(self)
        if self._door is not None:
            self._door.leave(self._host)
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
        if self._ended:
            return
        if self._unparsed or len(data) > PIECE_BYTES:
            self._unparsed = memoryview(bytes(self._unparsed) + data)
        else:
            self._parse(data)
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
        self._within_head = True
        self._beside = 0
        if self._running is None:
            self._deadline = self._loop.time() + HEAD_SECONDS_MAX

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is none, and must not pass for one (RFC 9110, 6.5.1)."""
        if not self._within_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._within_head = False
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
        beside = self._beside - _FORGIVEN * len(body)
        if beside < -BESIDE_BYTES_MAX:  # noqa: PLR1730 - a call of max costs more than all this
            beside = -BESIDE_BYTES_MAX
        self._beside = beside
        assert self._arriving is not None
        self._arriving.feed(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        assert self._arriving is not None
        self._arriving.arrived = True
        self._arriving.wake()
        self._arriving = None

    # Our own

    def write(self, data: bytes) -> None:
        """Send bytes to a client that is still there."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def flow(self) -> None:
        """Go on with what was read, and let the client send, while there is room."""
        while True:
            unread = 0 if self._arriving is None else self._arriving.unread
            room = self._writable and len(self._waiting) < WAITING_MAX and unread < UNREAD_BYTES_MAX
            if not room or not self._unparsed:
                break
            piece, self._unparsed = self._unparsed[:PIECE_BYTES], self._unparsed[PIECE_BYTES:]
            self._parse(piece)
            self._next()
        if room is self._reading or self._transport.is_closing():
            return
        self._reading = room
        if room:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _parse(self, data: bytes | memoryview) -> None:
        self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # What follows is of another protocol, which is not spoken here.
            last = self._waiting[-1] if self._waiting else self._running
            assert last is not None
            last.keep_alive = False
            self._end()
        except httptools.HttpParserError:
            self._end(_MALFORMED)
        else:
            if self._beside > BESIDE_BYTES_MAX:
                self._end()

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
        if not exchange.keep_alive or exchange.begun:
            self._close()
        elif self._ended and not self._waiting:
            self._say_last_words()
        else:
            self._deadline = self._loop.time() + KEPT_SECONDS_MAX
            self._next()
            self.flow()

    def _end(self, last_words: bytes = b"") -> None:
        """Listen no more. Whole requests that came before are answered; one that is cut is not."""
        self._ended = True
        self._unparsed = memoryview(b"")
        self._last_words = last_words
        cut, self._arriving = self._arriving, None
        if cut is not None and cut is self._running:
            cut.gone = True
            cut.keep_alive = True  # Unless it is answered all the same, the last words are next.
            cut.wake()
        elif cut is not None:
            self._waiting.remove(cut)
        if self._running is None and not self._waiting:
            self._say_last_words()

    def _say_last_words(self) -> None:
        if self._last_words:
            self.write(self._last_words)
        self._close()

    def _close(self) -> None:
        """Close when the client has read what was written, or a while later when it does not."""
        self._ended = True
        self._unparsed = memoryview(b"")
        self._waiting.clear()
        if self._transport.is_closing():
            return
        self._transport.close()
        self._timer.cancel()
        self._timer = self._loop.call_later(CLOSING_SECONDS_MAX, self._transport.abort)

    def _watch(self) -> None:
        """Close when a deadline has passed; one timer serves a connection all its life."""
        now = self._loop.time()
        if self._running is None and now >= self._deadline:
            if self._transport.is_closing() or self._transport.get_write_buffer_size():
                self._transport.abort()  # It would wait for ever for a client that does not read.
            else:
                self._close()
            return
        pause = self._deadline - now if self._running is None else HEAD_SECONDS_MAX
        self._timer = self._loop.call_later(min(pause, HEAD_SECONDS_MAX), self._watch)
