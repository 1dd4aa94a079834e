"""What a server will not work with is refused in one line, before anything is done."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from commerce import installation, server
from commerce.app import App
from commerce.handbook import Handbook
from commerce.installation import (
    ServerError,
    check_master_key,
    check_server,
    connected,
)
from commerce.resource.rehearsal import Shown
from commerce.settings import Settings
from commerce.signals import STOP_SIGNALS, Signals
from commerce.store.embedded import EmbeddedPostgres
from commerce.watch import watched
from tests.contract.surface import REGISTRY
from tests.database import migrated


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    with pytest.raises(ServerError) as caught:
        yield
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_what_a_database_has_to_say_against_a_command_is_said_in_one_line(
    database_url: str,
) -> None:
    with refusing('cannot use the database: relation "nothing" does not exist'):
        async with connected(database_url) as connection:
            await connection.execute("SELECT *\nFROM nothing")


async def test_an_older_postgresql_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(database_url) as connection:
        await check_server(connection)
        monkeypatch.setattr(installation, "POSTGRES_MIN", 99)
        with refusing("PostgreSQL 99 is needed; this is 18"):
            await check_server(connection)


async def test_a_database_of_another_encoding_is_refused(postgres: EmbeddedPostgres) -> None:
    name = f"test_{uuid.uuid4().hex}"
    own = await asyncpg.connect(postgres.url)
    make = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'"
    await own.execute(f"{make} LOCALE_PROVIDER libc LOCALE 'C'")
    async with connected(postgres.url.replace("/commerce?", f"/{name}?")) as connection:
        with refusing("the database's encoding is SQL_ASCII; it must be UTF8"):
            await check_server(connection)
    await own.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await own.close()


async def test_a_database_whose_master_key_is_gone_gets_no_new_one(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    first = Settings(data_dir=tmp_path / "first")
    lost = Settings(data_dir=tmp_path / "lost")
    for settings in (first, lost):
        settings.data_dir.mkdir(mode=0o700)
    async with migrated(postgres.url) as url, connected(url) as connection:
        await check_master_key(first, connection)
        with refusing(f"the master key {lost.data_dir / 'master.key'} is missing: put it back"):
            await check_master_key(lost, connection)
    assert list(lost.data_dir.iterdir()) == []


async def test_metrics_are_served_nowhere_where_no_port_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(App, "watched")
    before = asyncio.all_tasks()
    async with watched(App.__new__(App), None):
        assert asyncio.all_tasks() == before


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Takes the signals that say stop, until the test has ended."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield Signals()
    for number, taken in before.items():
        signal.signal(number, taken)


@pytest.mark.parametrize("before", [True, False])
async def test_a_signal_cancels_what_runs_whenever_it_came(signals: Signals, before: bool) -> None:
    if before:
        signal.raise_signal(signal.SIGTERM)
    task = asyncio.ensure_future(_waiting(signals))
    await asyncio.sleep(0)
    if not before:
        assert not task.done()
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert signals.came


async def _waiting(signals: Signals) -> None:
    with signals.cancelling():
        await asyncio.Event().wait()


def test_whoever_was_told_to_stop_while_it_prepared_serves_nobody(signals: Signals) -> None:
    signals.came = True
    told: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = server._Place(Settings(), "postgresql:///none", "http://none", listening)
        server._serve(place, signals, lambda *given: told.append(given))
    assert told == []


def test_a_port_that_the_workers_of_a_killed_server_still_hold_is_waited_for() -> None:
    holding = socket.create_server(("127.0.0.1", 0))
    port = holding.getsockname()[1]
    with refusing(f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        server._listen(Settings(port=port, workers=1))
    threading.Timer(0.1, holding.close).start()
    with server._listen(Settings(port=port, workers=2)) as listening:
        assert listening.getsockname()[1] == port


def test_a_worker_that_does_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SHUTDOWN_SECONDS_MAX", -1.9)
    stubborn = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; echo; exec sleep 60"], stdout=-1)
    assert stubborn.stdout is not None
    with stubborn.stdout as told:
        told.readline()
    willing = subprocess.Popen(["/bin/sleep", "60"])
    server._end([stubborn, willing])
    assert (stubborn.wait(), willing.wait()) == (-signal.SIGKILL, -signal.SIGTERM)


async def test_the_handbook_is_made_once_and_without_examples_too(tmp_path: Path) -> None:
    rehearsed = 0

    async def rehearse() -> dict[str, Shown]:
        nonlocal rehearsed
        rehearsed += 1
        await asyncio.sleep(0)
        return {}

    book = Handbook(REGISTRY, "https://x", Settings(data_dir=tmp_path), rehearse)
    one, other = await asyncio.gather(book._made(), book._made())
    assert one is other
    assert rehearsed == 1
    pages = await book.pages()
    assert not [path for path, page in pages.items() if b"<h3>Example</h3>" in page]
