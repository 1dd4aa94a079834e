"""A server of an ASGI application on a port of its own, and what a raw client gets from it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from commerce.http import protocol
from tests.process import eventually

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


SERVERS: dict[int, uvicorn.Server] = {}


@asynccontextmanager
async def serving(application: Any, connection: Any = protocol.Connection) -> AsyncIterator[int]:
    """A server of an ASGI application, on a port of its own."""
    config = uvicorn.Config(
        application, http=connection, lifespan="off", log_config=None, log_level="critical"
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    number: int = listening.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    SERVERS[number] = server

    async def started() -> bool:
        return server.started

    await eventually(started)
    yield number
    server.should_exit = True
    await task


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
