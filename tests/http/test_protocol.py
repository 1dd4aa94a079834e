"""The bounds on a connection: how long a head may be, and how long it may be waited for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from commerce.http import protocol

GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server that waits a moment only."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS_MAX", 0.3)
    config = uvicorn.Config(echo, http=protocol.Connection, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield listening.getsockname()[1]
    server.should_exit = True
    await serving


async def answer(port: int, *pieces: bytes) -> bytes:
    """All that comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_a_head_that_is_too_long_closes_the_connection(port: int) -> None:
    piece = b"a" * (protocol.HEAD_BYTES_MAX // 2)
    assert await answer(port, b"GET / HTTP/1.1\r\nX: ", piece, piece, piece, b"\r\n\r\n") == b""


@pytest.mark.parametrize("head", [(), (GOOD[:9],)])
async def test_a_head_that_never_comes_closes_the_connection(
    port: int, head: tuple[bytes, ...]
) -> None:
    assert await answer(port, *head) == b""


async def test_a_long_body_and_a_second_request_are_no_long_head(port: int) -> None:
    body = b"b" * (2 * protocol.HEAD_BYTES_MAX)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    closing = head + b"Connection: close\r\n\r\n" + body
    said = await answer(port, GOOD, head + b"\r\n" + body, closing)
    assert said.count(b"200 OK") == 3
    assert said.count(str(len(body)).encode()) == 2


async def test_a_client_that_pauses_between_requests_is_not_hung_up_on(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(GOOD)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        await reader.readexactly(1)
        await asyncio.sleep(0.5)
    writer.transport.abort()
