"""A server that cannot start says why in one line, with exit code 2, and changes nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from commerce.kernel.master_key import MasterKey
from tests.process import Ran, Serve, commerce, refused
from tests.races.scene import execute, rows

AS_ROOT = os.geteuid() == 0


def start(data_dir: Path, *options: str, **settings: str) -> Ran:
    return commerce("serve", "--data-dir", data_dir, "--port", "0", *options, **settings)


def test_a_second_server_on_a_folder_is_refused(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = serve(data_dir, **settings)
    refusal = refused(start(data_dir, **settings))
    assert refusal == f"another server is using the data folder {data_dir}"
    assert server.running


def test_a_taken_port_is_refused(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refusal = refused(start(data_dir, "--port", port))
    assert refusal == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    assert not data_dir.exists()


def test_an_address_of_another_machine_is_refused(data_dir: Path) -> None:
    refusal = refused(start(data_dir, "--host", "192.0.2.1"))
    assert refusal.startswith("cannot listen on 192.0.2.1:0: ")


def test_a_folder_that_may_not_be_entered_is_refused_and_not_changed(data_dir: Path) -> None:
    # Root may go everywhere, but the user that runs PostgreSQL for root may not.
    closed = data_dir.with_name("closed")
    closed.mkdir(mode=0o700 if AS_ROOT else 0o000)
    before = closed.stat().st_mode
    assert str(closed) in refused(start(closed / "data"))
    assert closed.stat().st_mode == before
    closed.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_is_refused(data_dir: Path) -> None:
    data_dir.write_text("not a folder")
    refusal = refused(start(data_dir))
    assert refusal.startswith(f"the data folder {data_dir} cannot be used: ")
    assert data_dir.read_text() == "not a folder"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["CREATE TABLE customer (id int)"], "wrong database: it holds the table customer"),
        (
            [
                "CREATE TABLE schema_migration (number int, name text, sha256 bytea)",
                "INSERT INTO schema_migration VALUES (1, '0001_other', 'x')",
            ],
            "migration 0001_other was changed after it had been applied",
        ),
    ],
)
def test_a_database_that_is_not_ours_is_refused_and_not_changed(
    data_dir: Path, database_url: str, statements: list[str], expected: str
) -> None:
    for statement in statements:
        asyncio.run(execute(database_url, statement))
    refusal = refused(start(data_dir, COMMERCE_DATABASE_URL=database_url))
    assert refusal.startswith(expected)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert len(asyncio.run(rows(database_url, tables))) == 1


def test_a_newer_schema_is_refused(data_dir: Path, serve: Serve, database_url: str) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    assert serve(data_dir, **settings).stop() == 0
    newer = """INSERT INTO schema_migration (number, name, sha256)
               SELECT max(number) + 1, 'later', 'x' FROM schema_migration"""
    asyncio.run(execute(database_url, newer))
    refusal = refused(start(data_dir, **settings))
    assert refusal == "newer schema: the database has later, this version has not"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://127.0.0.1:1/commerce", "cannot reach the database: "),
        ("postgresql://me:hunter2@127.0.0.1:x/commerce", "COMMERCE_DATABASE_URL is no URL of a "),
        ("mysql://127.0.0.1/commerce", "COMMERCE_DATABASE_URL must be a URL"),
    ],
)
def test_a_database_that_cannot_be_reached_is_said_so_without_its_password(
    data_dir: Path, url: str, expected: str
) -> None:
    refusal = refused(start(data_dir, COMMERCE_DATABASE_URL=url))
    assert refusal.startswith(expected)
    assert "hunter2" not in refusal


def test_a_database_that_does_not_exist_is_refused(data_dir: Path, database_url: str) -> None:
    url = database_url.replace("/test_", "/nowhere_")
    refusal = refused(start(data_dir, COMMERCE_DATABASE_URL=url))
    assert refusal.startswith('cannot reach the database: database "nowhere_')


@pytest.mark.slow
def test_a_lost_master_key_is_said_so_and_no_new_one_takes_its_place(
    data_dir: Path, serve: Serve
) -> None:
    server = serve(data_dir)
    assert server.stop() == 0
    key = data_dir / "master.key"
    kept = key.read_text()
    key.unlink()
    lost = "or what it sealed stays closed"

    refusal = refused(start(data_dir))
    assert refusal == f"the master key {key} is missing: put it back, {lost}"
    assert not key.exists()
    key.touch(mode=0o600)
    key.write_text(MasterKey.generate().reveal())
    refusal = refused(start(data_dir))
    assert refusal == f"{key} is not this database's master key: put that back, {lost}"
    refusal = refused(start(data_dir, COMMERCE_MASTER_KEY="07" * 32))
    assert refusal.startswith("COMMERCE_MASTER_KEY is not this database's master key: ")
    assert server.postgres is None

    key.unlink()
    server = serve(data_dir, COMMERCE_MASTER_KEY=kept.strip())
    # The commands beside the server work with the same key, or not at all.
    assert refused(commerce("accounts", "list", "--data-dir", data_dir)).endswith(lost)
    assert server.stop() == 0
