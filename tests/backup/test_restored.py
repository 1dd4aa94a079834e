"""What was answered before a backup began is in what is restored, whatever ran meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from commerce.kernel.master_key import MasterKey
from commerce.store.embedded import running_url
from commerce.store.migrate import migrate
from tests.backup.conftest import FORMS, SAMPLE, done
from tests.client import Answer, Client
from tests.process import Serve, Server, commerce, environment
from tests.races.scene import rows

NOBODY = 65534
# An unprivileged user may not be able to read Python itself: all is imported before.
AS_NOBODY = f"""
import asyncio, encodings.ascii, os, sys
from pathlib import Path
from commerce.backup import capture, restore
from commerce.installation import apply_migrations, check_master_key, connected
from commerce.settings import Settings
from commerce.store.embedded import EmbeddedPostgres
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
folder = Path(sys.argv[1])
settings = Settings(data_dir=folder / "data")
postgres = EmbeddedPostgres.start(settings.data_dir, durable=False)

async def claim():
    async with connected(postgres.url) as connection:
        await check_master_key(settings, connection)

try:
    asyncio.run(apply_migrations(postgres.url))
    asyncio.run(claim())
    for form in sys.argv[2:]:
        file = folder / (form + ".tar")
        asyncio.run(capture.back_up(settings, file, form=form, with_master_key=True))
        done = restore.restore(Settings(data_dir=folder / form), file)
        assert done.findings == [], done
        print("restored")
finally:
    postgres.stop()
"""
TRANSFER = "POST /stablecoin/transfer"
CLIENTS = 8
BEFORE = 200
"""How many transfers are answered before the backup begins."""
QUIET = ("GET /account", "GET /stablecoin/balance", "GET /stablecoin/transactions", "GET /events")
"""What is read of an account that nothing happens to."""


class Traffic:
    """Clients that transfer, each under a key of its own, until they are told to stop."""

    def __init__(self, server: Server) -> None:
        self._url, self._key = server.url, server.sandbox["secret_key"]
        self.answers: dict[str, Answer] = {}
        self._enough = asyncio.Event()
        self._stop = False

    async def _client(self, number: int) -> None:
        async with Client(self._url, self._key) as client:
            turn = 0
            while not self._stop:
                key = f"transfer-{number}-{turn}"
                body = {"to": SAMPLE, "amount": "0.05", "memo": key}
                answer = await client.settle(TRANSFER, body, Idempotency_Key=key)
                assert answer.status == 201, answer
                self.answers[key] = answer
                if len(self.answers) >= BEFORE:
                    self._enough.set()
                turn += 1

    async def around(self, *command: str | Path) -> dict[str, Answer]:
        """Run a command while transfers run; gives what had been answered when it began."""
        clients = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
        await self._enough.wait()
        before = dict(self.answers)
        done(await asyncio.to_thread(commerce, *command, "--json"))
        during = len(self.answers)
        self._stop = True
        await asyncio.gather(*clients)
        assert during > len(before), "nothing ran beside the backup"
        return before


async def fund(server: Server) -> None:
    sandbox = server.sandbox
    issue = {"recipient": sandbox["wallet"], "amount": "90000.00", "reference_id": "funds"}
    async with Client(server.url, sandbox["secret_key"]) as client:
        assert (await client.settle("POST /stablecoin/issue", issue)).status == 201


async def open_quiet(server: Server) -> str:
    """An account that is paid once, in a block that is closed."""
    key = server.sandbox["secret_key"]
    async with Client(server.url, key) as client:
        made = (await client.settle("POST /accounts", {"name": "Quiet"})).json
        paid = await client.settle(TRANSFER, {"to": made["wallet"], "amount": "7.00"})
        transaction = paid.json["transaction"]["id"]
        proof = await client.settle(f"GET /stablecoin/transactions/{transaction}/proof")
    assert (paid.status, proof.status) == (201, 200)
    return str(made["id"])


async def read(server: Server, key: str, account: str) -> list[dict[str, Any]]:
    """What a connected account reads of itself, but for the time at which it does."""
    async with Client(server.url, key) as client:
        told = [await client.settle(route, X_Account_Id=account) for route in QUIET]
    assert {each.status for each in told} == {200}
    return [{**each.json, "as_of": None} for each in told]


async def see_all_is_there(server: Server, key: str, before: dict[str, Answer]) -> None:
    """Every answer is given again, byte for byte, and none of its transfers is made anew."""
    async with Client(server.url, key) as client:
        for name, answer in before.items():
            body = {"to": SAMPLE, "amount": "0.05", "memo": name}
            again = await client.settle(TRANSFER, body, Idempotency_Key=name)
            assert (again.status, again.body, again.replayed) == (201, answer.body, True)
        last = await client.settle(TRANSFER, {"to": SAMPLE, "amount": "0.05"})
        assert last.status == 201
    assert done(commerce("verify", "--json", "--data-dir", server.data_dir))["ok"] is True


@pytest.mark.parametrize("form", ["physical", pytest.param("logical", marks=pytest.mark.slow)])
async def test_all_that_was_answered_before_a_backup_began_is_in_it(
    data_dir: Path, serve: Serve, form: str
) -> None:
    server = serve(data_dir)
    await fund(server)
    sandbox = server.sandbox
    quiet = await open_quiet(server)
    told = await read(server, sandbox["secret_key"], quiet)
    assert told[1]["balances"]["available"] == "7.00"
    file = data_dir.with_name("backup.tar")
    command = ("backup", file, "--form", form, "--data-dir", data_dir)
    before = await Traffic(server).around(*command)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list(file.parent.glob("*.partial"))
    url = running_url(data_dir)
    assert url is not None
    applied = "SELECT number, name, sha256, applied_at FROM schema_migration ORDER BY number"
    history = await rows(url, applied)
    target = data_dir.with_name("restored")
    target.mkdir(mode=0o700)
    shutil.copy2(data_dir / "master.key", target)
    ran = await asyncio.to_thread(commerce, "restore", file, "--data-dir", target)
    assert (ran.status, ran.err) == (0, "")
    first, checked, report = ran.out.splitlines()
    assert first.startswith(f"restored into {target}: {file}, a {form} backup of ")
    assert checked.startswith("checked: the file's SHA-256, its signature, the master key")
    assert report.endswith(": all hold")
    assert sorted(each.name for each in target.iterdir()) == ["lock", "master.key", "postgres"]

    restored = await asyncio.to_thread(serve, target)
    await see_all_is_there(restored, sandbox["secret_key"], before)
    url = running_url(target)
    assert url is not None
    assert await rows(url, applied) == history
    count = "SELECT count(*) FROM stablecoin_transfer"
    [(transfers,)] = await rows(url, count)
    assert transfers > len(before)
    assert await read(restored, sandbox["secret_key"], quiet) == told


@pytest.mark.slow
async def test_a_backup_of_a_database_of_yours_is_restored_into_another_one(
    data_dir: Path, serve: Serve, database_url: str, another_database_url: str
) -> None:
    key = {"COMMERCE_MASTER_KEY": "5e" * 32}
    server = serve(data_dir, COMMERCE_DATABASE_URL=database_url, **key)
    await fund(server)
    sandbox = server.sandbox
    file = data_dir.with_name("backup.tar")
    made = commerce("backup", file, "--json", COMMERCE_DATABASE_URL=database_url, **key)
    assert done(made)["form"] == "logical"
    assert server.stop() == 0

    other = {"COMMERCE_DATABASE_URL": another_database_url, **key}
    folder = data_dir.with_name("other")
    said = done(commerce("restore", file, "--json", "--data-dir", folder, **other))
    assert (said["ok"], said["findings"], said["applied"]) == (True, [], [])
    assert said["transactions"] == said["backup"]["transactions"] > 0
    restored = await asyncio.to_thread(serve, folder, **other)
    async with Client(restored.url, sandbox["secret_key"]) as client:
        balance = await client.settle("GET /stablecoin/balance")
    assert balance.json["balances"]["available"] == "90000.00"
    again = commerce("restore", file, "--data-dir", folder.with_name("third"), **other)
    assert again.status == 2
    assert again.err == "commerce: the database is not empty: restore into a new one\n"


@pytest.mark.slow
async def test_a_backup_that_holds_the_master_key_needs_nothing_else(
    data_dir: Path, serve: Serve
) -> None:
    server = serve(data_dir)
    await fund(server)
    sandbox = server.sandbox
    file = data_dir.with_name("backup.tar")
    ran = commerce("backup", file, "--with-master-key", "--data-dir", data_dir)
    assert "The master key is in it" in ran.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert server.stop() == 0
    kept = (data_dir / "master.key").read_text()
    shutil.rmtree(data_dir)
    assert commerce("restore", file, "--data-dir", data_dir).status == 0
    assert stat.S_IMODE((data_dir / "master.key").stat().st_mode) == 0o600
    assert (data_dir / "master.key").read_text() == kept
    server.start()
    async with Client(server.url, sandbox["secret_key"]) as client:
        balance = await client.settle("GET /stablecoin/balance")
    assert balance.json["balances"]["available"] == "90000.00"


@pytest.mark.slow
async def test_an_older_schema_is_backed_up_and_migrated_when_it_is_restored(
    data_dir: Path, database_url: str, another_database_url: str
) -> None:
    ours = files("commerce").joinpath("migrations")
    *older, latest = sorted(each.name for each in ours.iterdir() if each.name.endswith(".sql"))
    folder = data_dir.with_name("older")
    folder.mkdir()
    for name in older:
        (folder / name).write_text(ours.joinpath(name).read_text())
    key = MasterKey.generate()
    connection = await asyncpg.connect(database_url)
    await migrate(connection, folder)
    fingerprint = key.fingerprint("database", b"")
    await connection.execute("INSERT INTO master_key (fingerprint) VALUES ($1)", fingerprint)
    await connection.close()
    file, given = data_dir.with_name("backup.tar"), {"COMMERCE_MASTER_KEY": key.reveal()}
    made = commerce("backup", file, "--json", COMMERCE_DATABASE_URL=database_url, **given)
    assert len(done(made)["migrations"]) == len(older)
    for target in ({"COMMERCE_DATABASE_URL": another_database_url}, {}):
        told = commerce("restore", file, "--data-dir", data_dir, **target, **given)
        assert (told.status, told.err) == (0, "")
        assert f"applied: {latest.removesuffix('.sql')}\n" in told.out
    checked = commerce("migrate", "--check", COMMERCE_DATABASE_URL=another_database_url)
    assert checked.out == "the database is up to date\n"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="every test here is an unprivileged user's then")
def test_an_unprivileged_user_takes_and_restores_backups(data_dir: Path) -> None:
    os.chown(data_dir.parent, NOBODY, NOBODY)
    ran = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(data_dir.parent), *FORMS],
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["restored"] * len(FORMS)
    for form in FORMS:
        made = [data_dir.with_name(f"{form}.tar"), data_dir.with_name(form) / "postgres"]
        assert [each.stat().st_uid for each in made] == [NOBODY, NOBODY]
