"""How a process serves HTTP, and the port at which one is watched that serves nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import uvicorn

from commerce.http.protocol import Connection

if TYPE_CHECKING:
    from commerce.app import App

UVICORN: dict[str, Any] = {
    "loop": "uvloop",
    "http": Connection,
    "ws": "none",
    "lifespan": "off",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "proxy_headers": False,
}


@asynccontextmanager
async def watched(app: App, listening: socket.socket | None) -> AsyncIterator[None]:
    """Serve metrics and health at a port, if there is one, and nothing else."""
    if listening is None:
        yield
        return
    server = uvicorn.Server(uvicorn.Config(app.watched(), **UVICORN))
    # Signals are whoever's who works here; this one stops with it.
    server.capture_signals = nullcontext  # type: ignore[assignment, method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
