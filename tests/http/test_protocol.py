"""The bounds on a connection: how long a head may be, and how long it may be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from commerce.http import protocol
from tests.http.line import GOOD, SERVERS, answer, echo, serving
from tests.process import eventually


async def stopped(port: int) -> None:
    """Tell a server to stop, and wait until it has told its connections."""
    server = SERVERS[port]
    server.should_exit = True
    await eventually(lambda: idle(server))


async def idle(server: uvicorn.Server) -> bool:
    """Whether only connections are left on which something was begun."""
    return len(server.server_state.connections) == len(server.server_state.tasks)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server that waits a moment only."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS_MAX", 0.3)
    async with serving(echo) as number:
        yield number


async def test_a_head_that_is_too_long_closes_the_connection(port: int) -> None:
    piece = b"a" * (protocol.BESIDE_BYTES_MAX // 2)
    assert await answer(port, b"GET / HTTP/1.1\r\nX: ", piece, piece, piece, b"\r\n\r\n") == b""


@pytest.mark.parametrize("head", [(), (GOOD[:9],)])
async def test_a_head_that_never_comes_closes_the_connection(
    port: int, head: tuple[bytes, ...]
) -> None:
    assert await answer(port, *head) == b""


async def test_a_long_body_and_a_second_request_are_no_long_head(port: int) -> None:
    body = b"b" * (2 * protocol.BESIDE_BYTES_MAX)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    closing = head + b"Connection: close\r\n\r\n" + body
    said = await answer(port, GOOD, head + b"\r\n" + body, closing)
    assert said.count(b"200 OK") == 3
    assert said.count(str(len(body)).encode()) == 2


async def test_a_body_that_waited_for_its_reader_is_not_cut_short() -> None:
    async def slow_echo(scope: Any, receive: Any, send: Any) -> None:
        """Read when as much of the body waits as may."""
        await asyncio.sleep(0.1)
        await echo(scope, receive, send)

    # Its end lies among the bytes that were read from the line and not parsed yet.
    body = b"b" * (protocol.UNREAD_BYTES_MAX + 2 * protocol.PIECE_BYTES)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    async with serving(slow_echo) as port:
        for _ in range(5):
            said = await answer(port, head % len(body) + body)
            assert said.endswith(b"\r\n\r\n%d" % len(body))


async def test_a_client_that_pauses_between_requests_is_not_hung_up_on(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(GOOD)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        await reader.readexactly(1)
        await asyncio.sleep(0.5)
    writer.transport.abort()


async def test_a_client_that_asks_first_is_told_to_go_on(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    writer.write(head)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    assert await reader.readexactly(1) == b"3"
    writer.transport.abort()


async def test_a_client_that_does_not_wait_is_not_told(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
    said = await answer(port, head + b"Connection: close\r\n\r\nabc")
    assert said.startswith(b"HTTP/1.1 200 OK")


async def test_a_body_in_chunks_and_an_old_client_are_served(port: int) -> None:
    chunks = b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    said = await answer(port, head + chunks[:4], chunks[4:])
    assert said.endswith(b"\r\n\r\n5")
    old = await answer(port, b"GET / HTTP/1.0\r\n\r\n")
    assert old.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in old


async def test_a_target_of_an_absolute_url_is_its_path(port: int) -> None:
    said = await answer(
        port, b"GET http://x/a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 200 OK")


async def test_more_requests_in_a_row_than_wait_are_all_answered_in_order(port: int) -> None:
    count = 5 * protocol.WAITING_MAX
    bodies = [b"x" * number for number in range(count)]
    sent = b"".join(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    )
    said = await answer(port, sent, GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    answered = [int(each.rpartition(b"\r\n\r\n")[2]) for each in said.split(b"HTTP/1.1 200 OK")[1:]]
    assert answered == [*range(count), 0]


async def test_an_answer_given_before_the_body_came_ends_the_connection() -> None:
    async def hasty(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with serving(hasty) as port:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"
        said = await answer(port, head + b"GET /smuggled HTTP/1.1\r\n\r\n")
    assert said.count(b"HTTP/1.1") == 1
    assert b"connection: close" in said


async def test_a_failing_application_ends_the_connection_and_no_other() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        if scope["raw_path"] == b"/fail":
            raise LookupError("on purpose")
        await echo(scope, receive, send)

    async with serving(failing) as port:
        assert await answer(port, GOOD.replace(b"GET /", b"GET /fail")) == b""
        assert (await answer(port, GOOD[:-2] + b"Connection: close\r\n\r\n")).endswith(b"0")


async def test_an_answer_that_is_cancelled_ends_the_connection() -> None:
    begun = asyncio.Event()

    async def endless(_scope: Any, _receive: Any, _send: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with serving(endless) as port:
        asking = asyncio.create_task(answer(port, GOOD))
        await begun.wait()
        (task,) = SERVERS[port].server_state.tasks
        task.cancel()
        assert await asking == b""


async def _is_alone(port: int) -> bool:
    return not SERVERS[port].server_state.connections


async def test_to_a_client_that_has_gone_nothing_is_said_and_nothing_is_heard_of_it() -> None:
    begun, go_on, done = (asyncio.Event() for _ in range(3))

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await go_on.wait()
        await echo(scope, receive, send)
        done.set()

    async with serving(slow) as port:
        asking = asyncio.create_task(answer(port, GOOD))
        await begun.wait()
        (connection,) = SERVERS[port].server_state.connections
        transport = connection._transport  # type: ignore[union-attr]
        transport.abort()
        await eventually(lambda: _is_alone(port))
        connection.data_received(GOOD)
        go_on.set()
        await done.wait()
        assert await asking == b""
        assert SERVERS[port].server_state.total_requests == 1


async def test_a_server_that_stops_answers_what_it_has_begun() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await go_on.wait()
        await echo(scope, receive, send)

    async with serving(slow) as port:
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(answer(port, GOOD))
        await begun.wait()
        closing = asyncio.create_task(stopped(port))
        assert await idle_reader.read() == b""
        assert not asking.done()
        go_on.set()
        said = await asking
        await closing
        idle_writer.close()
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in said


async def test_a_client_that_does_not_read_is_not_worked_for() -> None:
    size = 1 << 20
    served = 0

    async def generous(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal served
        served += 1
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"b" * size})

    async with serving(generous) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        count = 60
        writer.write(GOOD * count)
        await asyncio.sleep(0.3)
        assert served < count // 2
        taken = 0
        while taken < count * size:
            taken += len(await reader.read(size))
        assert served == count
        writer.transport.abort()
