"""A backup or a restore that is cut short leaves nothing that could be taken for whole."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commerce.store.embedded import running_url
from commerce.store.postmaster import postmaster
from tests.backup.conftest import FORMS, Bank, done
from tests.process import commerce, environment, refused, wait_until
from tests.races.scene import execute, rows

ROWS = 150_000
"""Enough that a backup takes a while."""


@pytest.fixture(scope="module", autouse=True)
def _long(bank: Bank) -> None:
    """Rows that no compression shrinks, in answers nobody asked for."""
    url = running_url(bank.server.data_dir)
    assert url is not None
    fill = """
        INSERT INTO answer (account, livemode, idempotency_key, fingerprint, status, created)
        SELECT 'acct_filler', false, n::text,
            sha256(n::text::bytea) || sha256((n + 0.5)::text::bytea), 200, 0
        FROM generate_series(1, $1::int) n"""
    asyncio.run(execute(url, fill, ROWS))


def begun(*arguments: str | Path) -> subprocess.Popen[str]:
    """A command that runs on its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "commerce", *arguments],
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cut(process: subprocess.Popen[str], so: Callable[[], bool], number: signal.Signals) -> None:
    """Send a signal as soon as something is so, which must be before it has ended."""
    deadline = time.monotonic() + 60
    while not so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0


def partial(bank: Bank) -> list[Path]:
    return [path for path in bank.folder.glob(".cut.tar.*.partial") if path.stat().st_size > 0]


def slots(bank: Bank) -> int:
    url = running_url(bank.server.data_dir)
    assert url is not None
    [(count,)] = asyncio.run(rows(url, "SELECT count(*) FROM pg_replication_slots"))
    return int(count)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_killed_backup_leaves_no_file_that_could_be_restored(
    bank: Bank, keyed: Path, form: str
) -> None:
    process = begun(*bank.arguments("cut.tar", "--form", form))
    cut(process, lambda: bool(partial(bank)), signal.SIGKILL)
    assert not (bank.folder / "cut.tar").exists()
    [left] = partial(bank)
    assert left.stat().st_mode & 0o777 == 0o600
    assert "is no whole backup" in refused(commerce("restore", left, "--data-dir", keyed))
    assert [each.name for each in keyed.iterdir()] == ["master.key"]
    # What the killed one held of the server is given back, and the next one is whole.
    wait_until(lambda: slots(bank) == 0)
    done(commerce(*bank.arguments("cut.tar", "--form", form, "--json")))
    whole = commerce("restore", bank.folder / "cut.tar", "--check", "--data-dir", keyed)
    assert whole.status == 0
    (bank.folder / "cut.tar").unlink()
    left.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("form", FORMS)
def test_a_backup_that_is_told_to_stop_cleans_up(
    bank: Bank, form: str, number: signal.Signals
) -> None:
    process = begun(*bank.arguments("cut.tar", "--form", form))
    cut(process, lambda: bool(partial(bank)), number)
    assert not (bank.folder / "cut.tar").exists()
    assert partial(bank) == []
    wait_until(lambda: slots(bank) == 0)


@pytest.mark.parametrize("form", FORMS)
def test_a_backup_for_which_there_is_no_room_says_so_and_leaves_nothing(
    bank: Bank, form: str
) -> None:
    command = [
        sys.executable,
        "-m",
        "commerce",
        *map(str, bank.arguments("cut.tar", "--form", form)),
    ]
    ran = subprocess.run(
        ["/bin/bash", "-c", 'ulimit -f 64; exec "$@"', "bash", *command],
        # Whoever measures coverage would want to write a file as well.
        env={name: text for name, text in environment({}).items() if "COV" not in name},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr == f"commerce: cannot write {bank.folder / 'cut.tar'}: File too large\n"
    assert list(bank.folder.glob("*cut.tar*")) == []


@pytest.mark.slow
def test_a_killed_restore_leaves_nothing_to_serve_and_can_be_begun_again(
    bank: Bank, keyed: Path
) -> None:
    staging = keyed / "restoring" / "postgres"
    process = begun("restore", bank.physical, "--data-dir", keyed)
    cut(process, (staging / "PG_VERSION").exists, signal.SIGKILL)
    assert not (keyed / "postgres").exists()
    process = begun("restore", bank.logical, "--data-dir", keyed)
    cut(process, lambda: _ready(staging), signal.SIGKILL)
    assert not (keyed / "postgres").exists()
    assert postmaster(staging) is not None
    said = done(commerce("restore", bank.physical, "--json", "--data-dir", keyed))
    assert said["ok"] is True
    assert sorted(each.name for each in keyed.iterdir()) == ["lock", "master.key", "postgres"]
    assert postmaster(staging) is None


def _ready(cluster: Path) -> bool:
    try:
        found = postmaster(cluster)
    except OSError:
        return False
    return found is not None and found.status == "ready"


@pytest.mark.slow
def test_a_restore_that_is_told_to_stop_ends_its_database_and_cleans_up(
    bank: Bank, keyed: Path
) -> None:
    staging = keyed / "restoring" / "postgres"
    process = begun("restore", bank.logical, "--data-dir", keyed)
    cut(process, lambda: _ready(staging), signal.SIGTERM)
    assert sorted(each.name for each in keyed.iterdir()) == ["lock", "master.key"]
    assert postmaster(staging) is None


def test_a_logical_restore_that_fails_leaves_the_database_empty(
    bank: Bank, keyed: Path, database_url: str
) -> None:
    # A function of the same name is in the way: the database holds no table, and is no new one.
    clash = "CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'"
    asyncio.run(execute(database_url, clash))
    setting = {"COMMERCE_DATABASE_URL": database_url}
    ran = commerce("restore", bank.logical, "--data-dir", keyed, **setting)
    assert 'function "append_only" already exists' in refused(ran)
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert asyncio.run(rows(database_url, tables)) == [(0,)]
    asyncio.run(execute(database_url, "DROP FUNCTION append_only"))
    assert done(commerce("restore", bank.logical, "--json", "--data-dir", keyed, **setting))["ok"]


@pytest.mark.slow
def test_a_database_that_was_loaded_and_not_settled_can_be_used_by_nobody(
    bank: Bank, keyed: Path, database_url: str
) -> None:
    """What a kill between the two transactions of a logical restore leaves is refused by all."""
    setting = {"COMMERCE_DATABASE_URL": database_url}
    assert commerce("restore", bank.logical, "--data-dir", keyed, **setting).status == 0
    asyncio.run(execute(database_url, "DROP TABLE schema_migration"))
    wrong = "wrong database: it holds the table "
    for command in (["migrate"], ["accounts", "list"], ["serve", "--port", "0"]):
        assert refused(commerce(*command, "--data-dir", keyed, **setting)).startswith(wrong)
    again = commerce("restore", bank.logical, "--data-dir", keyed, **setting)
    assert refused(again) == "the database is not empty: restore into a new one"
