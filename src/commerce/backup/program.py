"""PostgreSQL's own programs for backups, run so that their data streams through us."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from commerce.installation import ServerError
from commerce.store.binary import (
    EmbeddedError,
    Programs,
    SystemUser,
    environment,
    identity,
    one_line,
    programs,
)

CHUNK = 1 << 20
Sink = Callable[[bytes], object]


class Tools(NamedTuple):
    """Where the programs lie, who runs them, and with which environment."""

    folder: Path
    user: SystemUser | None
    environment: dict[str, str]

    @classmethod
    def of(cls, own: Programs) -> Tools:
        """The programs of the embedded PostgreSQL, run by the user who runs it."""
        return cls(own.folder, own.user, environment())

    @classmethod
    def for_url(cls, url: str, folder: Path | None, data_dir: Path) -> Tools:
        """Programs that know a database of yours: those in `folder`, else those that we carry.

        They see what libpq reads (PGPASSFILE, PGSSLROOTCERT, …), and none of our own settings.
        Raises `ServerError`.
        """
        ours = {name: text for name, text in os.environ.items() if not name.startswith("COMMERCE_")}
        password = _parted(url)[1]
        if password is not None:
            ours["PGPASSWORD"] = password
        if folder is None:
            try:
                folder = programs(None, data_dir).folder
            except EmbeddedError:
                raise ServerError(
                    "the programs of PostgreSQL are not installed: name their folder by --programs"
                ) from None
        return cls(folder.resolve(), None, ours | {"LC_ALL": "C"})

    def major(self, program: str) -> int:
        """The major version of a program. Raises `ServerError` where there is none."""
        try:
            said = subprocess.run(  # noqa: S603 - a program of PostgreSQL's, no shell
                [str(self.folder / program), "--version"],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
                env=self.environment,
                **identity(self.user),
            ).stdout
        except (OSError, subprocess.SubprocessError):
            raise ServerError(f"there is no {program} of PostgreSQL in {self.folder}") from None
        found = re.search(r"\) (\d+)", said)
        if found is None:
            raise ServerError(f"{self.folder / program} is no program of PostgreSQL")
        return int(found[1])

    async def run(
        self, program: str, *arguments: str, feed: Iterable[bytes] = (), sink: Sink | None = None
    ) -> None:
        """Run a program to its end, `feed` its input, its output poured into `sink`.

        Whatever ends us ends it: cancelled, it is killed; killed, we take its pipes with us.
        Raises `ServerError` with what it said where it fails.
        """
        process = await asyncio.create_subprocess_exec(
            str(self.folder / program),
            *arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=CHUNK,
            cwd="/",
            env=self.environment,
            start_new_session=True,
            umask=0o077,
            **identity(self.user),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            _, _, said = await asyncio.gather(
                _pour(feed, process.stdin),
                _drain(process.stdout, sink),
                process.stderr.read(),
            )
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status != 0:
            raise ServerError(f"{program} failed: {_complaint(said.decode(errors='replace'))}")


def _complaint(said: str) -> str:
    """The first error that a program names: what follows may show statements and rows."""
    errors = [line for line in said.splitlines() if " error: " in line]
    return one_line(errors[0].partition(" error: ")[2] if errors else said)


async def _pour(feed: Iterable[bytes], stdin: asyncio.StreamWriter) -> None:
    """Give a program its input; one that has ended or wants no more says why itself."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for chunk in feed:
            stdin.write(chunk)
            await stdin.drain()
    stdin.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stdin.wait_closed()


async def _drain(stdout: asyncio.StreamReader, sink: Sink | None) -> None:
    while chunk := await stdout.read(CHUNK):
        if sink is not None:
            sink(chunk)


def shown_url(url: str) -> str:
    """A URL without its password: command lines are everybody's to read."""
    return _parted(url)[0]


def _parted(url: str) -> tuple[str, str | None]:
    """A URL without its password, and the password."""
    parts = urlsplit(url)
    who, at, hosts = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    asked = parse_qsl(parts.query, keep_blank_values=True)
    passwords = [unquote(password)] if password else []
    passwords += [text for name, text in asked if name == "password"]
    query = urlencode([each for each in asked if each[0] != "password"], quote_via=quote)
    bare = parts._replace(netloc=f"{user}{at}{hosts}", query=query).geturl()
    return bare, passwords[-1] if passwords else None
