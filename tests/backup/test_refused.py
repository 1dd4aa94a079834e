"""What cannot be backed up or restored is refused in one line, and nothing is touched."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from commerce.backup.archive import MANIFEST, SIGNATURE, drafted, opened
from commerce.backup.manifest import Applied, Manifest
from commerce.kernel.master_key import MasterKey
from commerce.store.embedded import running_url
from commerce.store.migrate import migrate
from tests.backup.conftest import FORMS, Bank, done
from tests.journeys.conftest import Call
from tests.process import refused
from tests.races.scene import execute

OTHER_KEY = "07" * 32


def own_key(bank: Bank) -> MasterKey:
    return MasterKey.parse((bank.server.data_dir / "master.key").read_text())


def rewritten(bank: Bank, file: Path, name: str, **changes: Any) -> Path:
    """A backup whose manifest says something else, signed by the bank's own key."""
    path = bank.folder / name
    path.unlink(missing_ok=True)
    with opened(file) as archive, drafted(path, 0) as draft:
        for chunk in archive.chunks():
            draft.write(chunk)
        draft.finish(msgspec.structs.replace(archive.manifest, **changes), own_key(bank))
    return path


def damaged(bank: Bank, file: Path, change: Callable[[bytearray], object]) -> Path:
    """A copy of a backup to which something has happened."""
    path = bank.folder / "damaged.tar"
    content = bytearray(file.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def place_of(file: Path, name: str) -> tuple[int, int]:
    with tarfile.open(file) as tar:
        member = tar.getmember(name)
        return member.offset_data, member.size


@pytest.mark.parametrize("form", FORMS)
def test_a_backup_in_which_one_byte_was_changed_is_refused(
    bank: Bank, call: Call, keyed: Path, form: str
) -> None:
    file = bank.physical if form == "physical" else bank.logical
    payload = "postgres.tar.gz" if form == "physical" else "database.dump"
    at, size = place_of(file, payload)
    places = {at: "checksum", at + size // 2: "checksum", at + size - 1: "checksum"}
    at, size = place_of(file, MANIFEST)
    places[file.read_bytes().index(b'"transactions": ', at) + 16] = "its manifest was changed"
    at, _ = place_of(file, SIGNATURE)
    places[at] = "its manifest was changed"
    for place, reason in places.items():

        def change(content: bytearray, place: int = place) -> None:
            content[place] ^= 1

        message = refused(call("restore", damaged(bank, file, change), "--data-dir", keyed))
        assert "is damaged" in message
        assert reason in message
    assert [each.name for each in keyed.iterdir()] == ["master.key"]


@pytest.mark.parametrize("form", FORMS)
def test_a_backup_that_was_cut_short_is_refused_wherever_it_was_cut(
    bank: Bank, call: Call, keyed: Path, form: str
) -> None:
    file = bank.physical if form == "physical" else bank.logical
    size = file.stat().st_size
    manifest, signature = place_of(file, MANIFEST)[0], place_of(file, SIGNATURE)[0]
    for length in (0, 100, 512, 5000, size // 2, manifest - 512, manifest + 9, signature - 512):

        def cut(content: bytearray, length: int = length) -> None:
            del content[length:]

        path = damaged(bank, file, cut)
        ran = call("restore", path, "--check", "--data-dir", keyed)
        assert "is no whole backup" in refused(ran)
    assert [each.name for each in keyed.iterdir()] == ["master.key"]


def test_what_is_no_backup_at_all_is_refused(bank: Bank, call: Call, target: Path) -> None:
    tar = bank.folder / "other.tar"
    with tarfile.open(tar, "w") as file:
        file.add(__file__, "notes.txt")
    for path, reason in (
        (tar, "is no whole backup of Commerce Network"),
        (Path(__file__), "is no whole backup"),
        (bank.folder / "nothing.tar", "cannot read"),
        (bank.folder, "cannot read"),
    ):
        assert reason in refused(call("restore", path, "--data-dir", target))
    assert not target.exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "its format is 2; this version reads 1"),
        ({"postgres": 17}, "holds the files of PostgreSQL 17, and 18 is embedded here"),
        ({"size": 7}, "its payload is not what its manifest says"),
        ({"form": "logical"}, "its payload is not what its manifest says"),
        ({"fingerprint": b"\0" * 32}, "is not the master key of this backup"),
    ],
)
def test_a_backup_that_this_version_cannot_restore_is_refused(
    bank: Bank, call: Call, keyed: Path, changes: dict[str, Any], reason: str
) -> None:
    path = rewritten(bank, bank.physical, "rewritten.tar", **changes)
    if changes == {"form": "logical"}:
        content = path.read_bytes().replace(b"database.dump", b"database.dumq", 1)
        path.write_bytes(content)
    message = refused(call("restore", path, "--data-dir", keyed))
    assert reason in message or "is no whole backup" in message
    assert [each.name for each in keyed.iterdir()] == ["master.key"]


def later(manifest: Manifest) -> list[Applied]:
    last = manifest.migrations[-1]
    name = f"{last.number + 1:04}_later"
    return [*manifest.migrations, msgspec.structs.replace(last, number=last.number + 1, name=name)]


@pytest.mark.parametrize("form", FORMS)
def test_a_backup_of_a_newer_schema_is_refused(
    bank: Bank, call: Call, keyed: Path, form: str
) -> None:
    file = bank.physical if form == "physical" else bank.logical
    with opened(file) as archive:
        migrations = later(archive.manifest)
    path = rewritten(bank, file, "newer.tar", migrations=migrations)
    message = refused(call("restore", path, "--data-dir", keyed))
    assert message == f"newer schema: the database has {migrations[-1].name}, this version has not"
    assert [each.name for each in keyed.iterdir()] == ["master.key"]


@pytest.mark.slow
def test_a_logical_backup_of_newer_programs_says_which_are_needed(
    bank: Bank, call: Call, keyed: Path
) -> None:
    path = rewritten(bank, bank.logical, "programs.tar", programs=19)
    message = refused(call("restore", path, "--data-dir", keyed))
    assert "name the folder of the programs of PostgreSQL 19 by --programs" in message
    assert sorted(each.name for each in keyed.iterdir()) == ["lock", "master.key"]
    refused(call("restore", bank.logical, "--programs", bank.folder, "--data-dir", keyed))
    assert sorted(each.name for each in keyed.iterdir()) == ["lock", "master.key"]
    assert done(call("restore", bank.logical, "--json", "--data-dir", keyed))["ok"] is True


def test_a_backup_without_its_master_key_or_beside_another_one_is_refused(
    bank: Bank, call: Call, target: Path
) -> None:
    for file in (bank.physical, bank.logical):
        message = refused(call("restore", file, "--data-dir", target))
        assert message.startswith("the backup does not hold its master key: put the key's file at")
        wrong = call("restore", file, "--data-dir", target, COMMERCE_MASTER_KEY=OTHER_KEY)
        assert refused(wrong).startswith("COMMERCE_MASTER_KEY is not the master key of this backup")
    assert not target.exists()
    target.mkdir(mode=0o700)
    (target / "master.key").write_text(OTHER_KEY)
    (target / "master.key").chmod(0o600)
    message = refused(call("restore", bank.physical, "--data-dir", target))
    assert "master.key is not the master key of this backup" in message
    whole = done(call(*bank.arguments("with-key.tar", "--with-master-key", "--json")))
    assert whole["holds_master_key"] is True
    # The key that is there is the one that the server would use: the file's own is no way around.
    beside = refused(call("restore", bank.folder / "with-key.tar", "--data-dir", target))
    assert beside == message
    assert [each.name for each in target.iterdir()] == ["master.key"]


def test_a_manifest_signed_by_another_key_is_refused(bank: Bank, call: Call, keyed: Path) -> None:
    path = bank.folder / "forged.tar"
    with opened(bank.physical) as archive, drafted(path, 0) as draft:
        for chunk in archive.chunks():
            draft.write(chunk)
        draft.finish(archive.manifest, MasterKey.parse(OTHER_KEY))
    message = refused(call("restore", path, "--data-dir", keyed))
    assert message.endswith("is damaged: its manifest was changed")


@pytest.mark.parametrize("form", FORMS)
def test_a_data_folder_that_is_used_is_refused_served_or_not(
    bank: Bank, call: Call, keyed: Path, form: str
) -> None:
    file = bank.physical if form == "physical" else bank.logical
    running = refused(call("restore", file, "--data-dir", bank.server.data_dir))
    assert running == f"another server is using the data folder {bank.server.data_dir}"
    (keyed / "postgres").mkdir()
    message = refused(call("restore", file, "--data-dir", keyed))
    assert message == (
        f"the data folder {keyed} is not empty, it holds postgres: restore into a new one"
    )
    assert list((keyed / "postgres").iterdir()) == []


def test_a_physical_backup_goes_into_no_database_of_yours(
    bank: Bank, call: Call, database_url: str
) -> None:
    key = {"COMMERCE_MASTER_KEY": own_key(bank).reveal(), "COMMERCE_DATABASE_URL": database_url}
    message = refused(call("restore", bank.physical, **key))
    assert message == (
        "a physical backup is restored into a data folder: unset COMMERCE_DATABASE_URL"
    )
    taken = refused(call("backup", bank.folder / "x.tar", "--form", "physical", **key))
    assert taken.startswith("a physical backup is of the embedded PostgreSQL alone")


def test_a_database_that_holds_anything_is_refused(
    bank: Bank, call: Call, database_url: str
) -> None:
    asyncio.run(execute(database_url, "CREATE TABLE theirs (id int)"))
    key = {"COMMERCE_MASTER_KEY": own_key(bank).reveal(), "COMMERCE_DATABASE_URL": database_url}
    message = refused(call("restore", bank.logical, **key))
    assert message == "the database is not empty: restore into a new one"
    foreign = refused(call("backup", bank.folder / "x.tar", **key))
    assert foreign == "wrong database: it holds the table theirs, but none of ours"


@pytest.mark.slow
def test_a_database_that_was_never_served_has_nothing_to_back_up(
    bank: Bank, call: Call, database_url: str
) -> None:
    key = {"COMMERCE_MASTER_KEY": own_key(bank).reveal(), "COMMERCE_DATABASE_URL": database_url}
    nothing = "there is nothing to back up: the database was never served"
    assert refused(call("backup", bank.folder / "x.tar", **key)) == nothing

    async def prepare() -> None:
        connection = await asyncpg.connect(database_url)
        await migrate(connection)
        await connection.close()

    asyncio.run(prepare())
    assert refused(call("backup", bank.folder / "x.tar", **key)) == nothing
    assert not (bank.folder / "x.tar").exists()


def test_a_backup_that_cannot_be_taken_says_why_and_leaves_no_file(
    bank: Bank, call: Call, target: Path
) -> None:
    before = bank.physical.read_bytes()
    there = sorted(each.name for each in bank.folder.iterdir())
    taken = refused(call(*bank.arguments("physical.tar")))
    assert taken == f"{bank.physical} is there already: choose another name"
    assert bank.physical.read_bytes() == before
    nowhere = refused(call(*bank.arguments("no/such/folder.tar")))
    assert (
        nowhere == f"cannot write {bank.folder / 'no/such/folder.tar'}: No such file or directory"
    )
    wrong = refused(call(*bank.arguments("x.tar"), COMMERCE_MASTER_KEY=OTHER_KEY))
    assert wrong.startswith("COMMERCE_MASTER_KEY is not this database's master key")
    assert (
        refused(call(*bank.arguments("x.tar", "--form", "both")))
        == "the form is physical or logical"
    )
    programs = refused(
        call(*bank.arguments("x.tar", "--form", "logical", "--programs", bank.folder))
    )
    assert programs == f"there is no pg_dump of PostgreSQL in {bank.folder}"
    none = refused(call("backup", bank.folder / "x.tar", "--data-dir", target))
    assert none == f"no server is running on {target}; start it first"
    assert sorted(each.name for each in bank.folder.iterdir()) == there


def test_older_programs_than_the_database_are_refused_naming_those_needed(
    bank: Bank, call: Call
) -> None:
    programs = bank.folder / "programs"
    programs.mkdir()
    (programs / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 17.2'\n")
    (programs / "pg_dump").chmod(0o755)
    message = refused(call(*bank.arguments("x.tar", "--form", "logical", "--programs", programs)))
    assert message == (
        "the database is PostgreSQL 18 and pg_dump is of 17: name the folder of the programs of "
        "PostgreSQL 18 by --programs"
    )
    shutil.rmtree(programs)


def test_a_password_stands_on_no_command_line_and_is_used(
    bank: Bank, call: Call, database_url: str
) -> None:
    programs, seen = bank.folder / "programs", bank.folder / "seen"
    programs.mkdir()
    script = f"""#!/bin/sh
case "$1" in --version) echo 'pg_dump (PostgreSQL) 18.4'; exit;; esac
echo "$*" >> {seen}; echo "password=$PGPASSWORD key=$COMMERCE_MASTER_KEY" >> {seen}
echo 'it fails' >&2; exit 1
"""
    (programs / "pg_dump").write_text(script)
    (programs / "pg_dump").chmod(0o755)
    url = database_url.replace("commerce@", "commerce:hunter%202@")
    asyncio.run(_claim(database_url, own_key(bank)))
    key = {"COMMERCE_MASTER_KEY": own_key(bank).reveal(), "COMMERCE_DATABASE_URL": url}
    ran = call("backup", bank.folder / "x.tar", "--programs", programs, **key)
    assert refused(ran) == "pg_dump failed: it fails"
    arguments, given = seen.read_text().splitlines()
    assert "hunter" not in arguments
    assert "--dbname=postgresql://commerce@/" in arguments
    assert given == "password=hunter 2 key="
    assert not (bank.folder / "x.tar").exists()
    shutil.rmtree(programs)


async def _claim(url: str, key: MasterKey) -> None:
    connection = await asyncpg.connect(url)
    await migrate(connection)
    fingerprint = key.fingerprint("database", b"")
    await connection.execute("INSERT INTO master_key (fingerprint) VALUES ($1)", fingerprint)
    await connection.close()


@pytest.mark.slow
def test_what_is_wrong_with_what_was_restored_is_said_and_exit_1(
    bank: Bank, call: Call, keyed: Path
) -> None:
    url = running_url(bank.server.data_dir)
    assert url is not None
    code = f"wallet:{bank.server.sandbox['wallet']}:available"
    change = "UPDATE ledger_balance SET balance = balance + $1 WHERE code = $2"
    asyncio.run(execute(url, change, 1, code))
    done(call(*bank.arguments("wrong.tar", "--json")))
    asyncio.run(execute(url, change, -1, code))
    ran = call("restore", bank.folder / "wrong.tar", "--data-dir", keyed)
    assert (ran.status, ran.err) == (1, "")
    assert "wrong: every balance is the sum of its entries: " in ran.out
    assert "checked:" not in ran.out
    assert (keyed / "postgres").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_backup_that_holds_less_than_it_says_is_found_out(
    bank: Bank, call: Call, keyed: Path, form: str
) -> None:
    file = bank.physical if form == "physical" else bank.logical
    with opened(file) as archive:
        entries = archive.manifest.entries
    path = rewritten(bank, file, "less.tar", entries=entries + 1)
    ran = call("restore", path, "--json", "--data-dir", keyed)
    assert ran.status == 1
    said = json.loads(ran.out)
    assert said["ok"] is False
    assert said["findings"] == [
        f"the backup says it holds {entries + 1} entries: there are {entries}"
    ]


def test_a_whole_backup_is_checked_without_touching_anything(
    bank: Bank, call: Call, target: Path
) -> None:
    key = {"COMMERCE_MASTER_KEY": own_key(bank).reveal()}
    for file in (bank.physical, bank.logical):
        ran = call("restore", file, "--check", "--data-dir", target, **key)
        assert (ran.status, ran.err) == (0, "")
        assert ran.out.endswith("; whole, unchanged, and of this master key\n")
        told = done(call("restore", file, "--check", "--json", "--data-dir", target, **key))
        assert told["size"] == place_of(file, _payload(told))[1]
    assert not target.exists()
    assert os.path.lexists(bank.server.data_dir)


def _payload(told: dict[str, Any]) -> str:
    return {"physical": "postgres.tar.gz", "logical": "database.dump"}[told["form"]]
