"""The embedded PostgreSQL that is kept alive: begun again when it dies, stopped at the end."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commerce.store import embedded
from commerce.store.embedded import EmbeddedPostgres, running_url
from commerce.store.postmaster import Postmaster, postmaster
from tests.process import command_line, wait_until
from tests.store.embedded.test_embedded import kill, make_owner, query


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A server that is stopped after the test."""
    server = EmbeddedPostgres.start(data_dir, durable=False)
    yield server
    server.stop()


def found(server: EmbeddedPostgres) -> Postmaster | None:
    return postmaster(server.cluster)


def replaced(server: EmbeddedPostgres, pid: int) -> bool:
    """Whether another one runs, and answers."""
    now = found(server)
    return now is not None and now.pid != pid and now.status == "ready"


def test_a_server_that_is_killed_is_started_again_with_all_that_was_committed(
    server: EmbeddedPostgres,
) -> None:
    query(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
    url = server.url
    with server.kept_alive():
        for _ in range(2):
            pid = server.pid
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: server.pid != pid)  # type: ignore[misc]
            assert query(url, "SELECT number FROM kept") == 7
    assert found(server) is None


def test_an_adopted_server_that_is_killed_is_started_again(data_dir: Path) -> None:
    owner, pid = make_owner(data_dir)
    kill(owner)
    server = EmbeddedPostgres.start(data_dir, durable=False)
    assert server.adopted
    with server.kept_alive():
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: server.pid != pid)
        assert query(server.url, "SELECT 1") == 1
    assert running_url(data_dir) is None


def test_a_server_that_cannot_be_started_is_tried_again_until_it_can(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "PAUSE_SECONDS", 0.1)
    own = server.cluster / "postgresql.conf"
    text = own.read_text()
    with server.kept_alive():
        pid = server.pid
        own.write_text(text + "max_connections = many\n")
        os.kill(pid, signal.SIGKILL)
        log = server.data_dir / "postgres.log"
        wait_until(lambda: log.read_text().count("max_connections") >= 2)
        assert found(server) is None
        own.write_text(text)
        wait_until(lambda: replaced(server, pid))
    assert found(server) is None


def test_a_server_that_is_only_starting_is_stopped_without_being_waited_for(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = server.pid

    def is_never_ready(*_: object) -> Postmaster | None:
        while (now := postmaster(server.cluster)) is None or now.pid == pid:
            time.sleep(0.01)
        while postmaster(server.cluster) is not None:
            time.sleep(0.01)
        return None

    with server.kept_alive():
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: command_line(pid) == "")
        monkeypatch.setattr(server, "_await_ready", lambda process: process and is_never_ready())
        wait_until(lambda: replaced(server, pid))
        begin = time.monotonic()
    assert time.monotonic() - begin < 30
    assert found(server) is None
