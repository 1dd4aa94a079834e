"""A line to PostgreSQL that can be cut at a message: a proxy between two Unix sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from commerce.store.postmaster import DATABASE

SOCKET = ".s.PGSQL.5432"
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message of a simple query, as the protocol writes it: its kind, its length, its text."""

TRANSFERRED = b"stablecoin.transfer"
"""Stands in what is sent to write a transfer; other transactions are let alone."""

Cut = Literal["before", "during", "after", "silent"]
"""When the line is cut: before PostgreSQL has the COMMIT, when it has it and may be at it, or when
it has answered. `silent` passes it on and then nothing any more, without hanging up."""


class Proxy:
    """Passes everything on, but for the COMMITs of transfers that it is told to cut."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.cuts: list[Cut] = []
        """What is still to be done, in this order."""
        self.done = 0
        self.closing = False
        """Whether with the next cut all lines are, and nobody who comes gets through."""
        self._refusing = False
        self._folder = folder
        self._target = target
        self._lines: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def on(cls, folder: Path, target: Path) -> AsyncIterator[Self]:
        """A proxy in `folder` before the PostgreSQL whose socket lies in `target`."""
        await asyncio.to_thread(folder.mkdir, 0o700)
        proxy = cls(folder, target)
        server = await asyncio.start_unix_server(proxy._serve, folder / SOCKET)
        async with server:
            yield proxy
            for line in proxy._lines:
                line.cancel()
            await asyncio.gather(*proxy._lines, return_exceptions=True)

    def url(self, database: str) -> str:
        """The URL of a database behind it."""
        return f"postgresql://{DATABASE}@/{database}?host={quote(str(self._folder))}"

    def open(self) -> None:
        """Let everybody through again."""
        self.closing = self._refusing = False

    def _close(self) -> None:
        self._refusing = True
        for line in self._lines - {asyncio.current_task()}:
            line.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            # asyncio would log it as an error that a line was cancelled.
            with suppress(OSError, asyncio.CancelledError):
                if not self._refusing:
                    await self._pass_on(reader, writer)
        finally:
            self._lines.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._target / SOCKET)
        answers = asyncio.create_task(_copy(theirs, writer))
        try:
            transferred = False
            while text := await reader.read(1 << 16):
                # The engine waits for the answer to each message before it sends the next one.
                if text == COMMIT and transferred and self.cuts:
                    await self._cut(self.cuts.pop(0), ours, answers, theirs)
                    return
                transferred = text != COMMIT and (transferred or TRANSFERRED in text)
                ours.write(text)
                await ours.drain()
        finally:
            answers.cancel()
            ours.close()

    async def _cut(
        self,
        cut: Cut,
        ours: asyncio.StreamWriter,
        answers: asyncio.Task[None],
        theirs: asyncio.StreamReader,
    ) -> None:
        """What becomes of a line after its COMMIT has arrived; it is hung up on return."""
        answers.cancel()
        await asyncio.gather(answers, return_exceptions=True)
        if cut != "before":
            ours.write(COMMIT)
            await ours.drain()
        if cut in ("after", "silent"):
            assert await theirs.read(1 << 16)
        self.done += 1
        if self.closing:
            self._close()
        if cut == "silent":
            await asyncio.Event().wait()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while text := await reader.read(1 << 16):
        writer.write(text)
        await writer.drain()
    writer.close()
