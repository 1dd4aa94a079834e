"""What is wrong within a backup, or with the programs that read it, is said and ends it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commerce.backup.archive import KEY, MANIFEST, SIGNATURE, drafted, opened
from commerce.backup.capture import _check_schema
from commerce.backup.inventory import NAME, Laid, check_inventory
from commerce.backup.manifest import Manifest
from commerce.backup.program import Tools
from commerce.backup.restore import Restored, _compare, _listing, _load, _master_key
from commerce.backup.staging import Staging, check_free, staged
from commerce.command.backup import _tell, _where_the_key_is
from commerce.installation import ServerError, connected, database_fingerprint
from commerce.kernel.master_key import MasterKey
from commerce.ledger.audit import Report
from commerce.settings import Settings
from commerce.store.binary import Programs, SystemUser
from commerce.store.embedded import EmbeddedPostgres
from tests.database import migrated

OWN_KEY = MasterKey(b"\7" * 32)
OURSELVES = SystemUser("somebody", os.geteuid(), os.getegid())
NO_PROGRAMS = Programs(Path("/nonexistent"), None)
REPORT = Report(1, 6, 3, 0, [], [])


def manifest(payload: bytes = b"", **changes: Any) -> Manifest:
    """What a backup of this payload says of itself."""
    given: dict[str, Any] = {
        "form": "logical",
        "created": 0,
        "postgres": 18,
        "programs": 18,
        "migrations": [],
        "fingerprint": database_fingerprint(OWN_KEY),
        "holds_master_key": False,
        "transactions": 3,
        "entries": 6,
        "size": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    return Manifest(**given | changes)


def written(path: Path, payload: bytes, **changes: Any) -> Path:
    with drafted(path, 0) as draft:
        draft.write(payload)
        draft.finish(manifest(payload, **changes), OWN_KEY)
    return path


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    """Whatever is done here is refused in one line that holds these words."""
    with pytest.raises(ServerError) as caught:
        yield
    message = str(caught.value)
    assert reason in message
    assert "\n" not in message


# The file


def test_a_manifest_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.tar"
    with tarfile.open(path, "w") as tar:
        for name, size in ((MANIFEST, (1 << 20) + 1), (SIGNATURE, 1), ("database.dump", 1)):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
    with refusing("long.tar is damaged: manifest.json is too long"), opened(path):
        pass


def test_a_file_that_is_cut_short_while_it_is_read_is_found_out(tmp_path: Path) -> None:
    path = written(tmp_path / "backup.tar", b"x" * 4096)
    with opened(path) as archive:
        with path.open("r+b") as file:
            file.truncate(2048)
        with refusing("backup.tar was cut short while it was read"):
            archive.check_payload()


@pytest.mark.parametrize("text", [b"{", b'{"format": 1}', b'{"format": "1"}'])
def test_a_manifest_of_another_shape_is_refused(text: bytes) -> None:
    with refusing("its manifest cannot be read: "):
        Manifest.read(text)


def test_a_master_key_in_a_backup_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with opened(written(tmp_path / "b.tar", b"x", holds_master_key=True)) as archive:
        assert _master_key(settings, archive).reveal() == OWN_KEY.reveal()
        archive.key_text = "none"
        with refusing(f"b.tar is damaged: its {KEY} is none"):
            _master_key(settings, archive)


# The list of its files


def inventory(*files: dict[str, Any]) -> bytes:
    """A list as PostgreSQL writes it, with its own checksum at the end."""
    lines = ['{ "PostgreSQL-Backup-Manifest-Version": 2,', '"System-Identifier": 7,']
    lines += [f'"Files": {json.dumps(list(files))},', '"WAL-Ranges": [],', ""]
    text = "\n".join(lines)
    return f'{text}"Manifest-Checksum": "{hashlib.sha256(text.encode()).hexdigest()}"}}\n'.encode()


def entry(content: bytes, **where: str) -> dict[str, Any]:
    checksum = hashlib.sha256(content).hexdigest()
    return {"Size": len(content), "Checksum-Algorithm": "SHA256", "Checksum": checksum, **where}


def laid(content: bytes) -> Laid:
    return Laid(len(content), hashlib.sha256(content).hexdigest())


def checked(folder: Path, text: bytes, found: dict[str, Laid]) -> None:
    (folder / NAME).write_bytes(text)
    check_inventory(folder, found, NO_PROGRAMS)


def test_exactly_the_files_on_the_list_may_be_there(tmp_path: Path) -> None:
    odd = b"base/\xff".decode(errors="surrogateescape")
    files = (entry(b"a", Path="one"), entry(b"b", **{"Encoded-Path": b"base/\xff".hex()}))
    found = {"one": laid(b"a"), odd: laid(b"b"), "pg_wal/1": laid(b"w"), NAME: laid(b"l")}
    checked(tmp_path, inventory(*files), found)
    with refusing("the backup is damaged: one is not in it"):
        checked(tmp_path, inventory(*files), {odd: laid(b"b")})
    with refusing("the backup is damaged: two is not on PostgreSQL's list"):
        checked(tmp_path, inventory(*files), found | {"two": laid(b"")})


@pytest.mark.parametrize(
    "said", [entry(b"b", Path="one"), entry(b"a", Path="one") | {"Checksum-Algorithm": "CRC32C"}]
)
def test_a_file_that_is_not_as_it_was_sent_is_found_out(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    with refusing("the backup is damaged: one is not as PostgreSQL sent it"):
        checked(tmp_path, inventory(said), {"one": laid(b"a")})


def test_a_list_that_was_changed_or_is_none_is_refused(tmp_path: Path) -> None:
    text = inventory(entry(b"a", Path="one"))
    with refusing(f"the backup is damaged: {NAME} was changed"):
        checked(tmp_path, text.replace(b'"System-Identifier": 7', b'"System-Identifier": 8'), {})
    with refusing(f"the backup is damaged: {NAME}: "):
        checked(tmp_path, text[: len(text) // 2], {})


# The place it is restored into


def packed(path: Path, *members: str) -> Path:
    """A physical backup of these names, each a file of nothing or, behind a slash, a folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tar.addfile(member, io.BytesIO())
    return written(path, packed.getvalue(), form="physical")


def unpacked(folder: Path, *members: str, user: SystemUser | None = None) -> Path:
    """The cluster into which these were laid down."""
    staging = Staging(folder, user)
    staging.folder.mkdir(parents=True)
    with opened(packed(folder / "physical.tar", *members)) as archive:
        staging.unpack(archive)
    return staging.cluster


@pytest.mark.parametrize("name", ["../beside", "/etc/passwd", "base/../../up"])
def test_a_file_that_would_lie_outside_its_folder_is_not_laid_down(
    tmp_path: Path, name: str
) -> None:
    with refusing(f"physical.tar cannot be unpacked: a cluster of ours has no {name}"):
        unpacked(tmp_path, name)
    assert sorted(each.name for each in tmp_path.rglob("*")) == [
        "physical.tar",
        "postgres",
        "restoring",
    ]


@pytest.mark.parametrize("named", [True, False])
def test_what_is_laid_down_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    # Nobody but root may start a program as somebody, not even as themselves.
    done = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with refusing(f"{NAME}: "):
        unpacked(tmp_path, "base/", "base/1", NAME, user=OURSELVES if named else None)
    cluster = tmp_path / "restoring" / "postgres"
    assert [(cluster / name).stat().st_uid for name in ("base", "base/1")] == [os.geteuid()] * 2
    assert (cluster / "base").stat().st_mode & 0o777 == 0o700
    assert (cluster / "base/1").stat().st_mode & 0o777 == 0o600


def test_a_payload_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    staging = Staging(tmp_path, None)
    staging.folder.mkdir()
    path = written(tmp_path / "physical.tar", b"no tar", form="physical")
    with opened(path) as archive, refusing("physical.tar cannot be unpacked: "):
        staging.unpack(archive)


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with refusing("data cannot be used: Not a directory"):
        check_free(tmp_path / "data")


def test_what_a_killed_restore_left_goes_and_so_does_what_this_one_leaves(data_dir: Path) -> None:
    (data_dir / "restoring" / "postgres").mkdir(parents=True)
    settings = Settings(data_dir=data_dir)
    with refusing(f"the data folder {data_dir} cannot be used: No such"), staged(settings) as stage:
        assert list(stage.folder.iterdir()) == []
        (stage.folder / "none").read_bytes()
    assert not (data_dir / "restoring").exists()


# The programs


@pytest.mark.parametrize("user", [OURSELVES, None])
def test_all_is_restored_but_what_the_restore_makes_itself(user: SystemUser | None) -> None:
    listed = ["; a comment", "7; 0 0 TABLE public t x", "8; 0 0 EXTENSION - plpgsql"]
    listed += ["9; 0 0 TABLE DATA public schema_migration x", "10; 0 0 TABLE DATA public t x"]
    with _listing("\n".join(listed), Tools(Path("/bin"), user, {})) as name:
        file = Path(name)
        assert file.read_text().splitlines() == [listed[0], listed[1], listed[4]]
        assert file.stat().st_uid == os.geteuid()
    assert not file.exists()


def program(folder: Path, name: str, script: str) -> Tools:
    """Programs of PostgreSQL among which one does this."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return Tools(folder, None, {"PATH": "/bin:/usr/bin"})


def test_where_no_programs_are_installed_their_folder_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with refusing("the programs of PostgreSQL are not installed: name their folder by --programs"):
        Tools.for_url("postgresql:///x", None, tmp_path)


def test_a_program_of_something_else_is_refused(tmp_path: Path) -> None:
    tools = program(tmp_path, "pg_dump", "echo 'hello'")
    with refusing("pg_dump is no program of PostgreSQL"):
        tools.major("pg_dump")


def test_older_programs_than_took_the_backup_load_nothing(tmp_path: Path) -> None:
    tools = program(tmp_path, "pg_restore", "echo 'pg_restore (PostgreSQL) 17.2'")
    with (
        opened(written(tmp_path / "b.tar", b"x")) as archive,
        refusing("by the programs of PostgreSQL 18 and pg_restore is of 17: name the folder"),
    ):
        asyncio.run(_load(archive, tools, "postgresql:///nowhere"))


def test_a_program_ends_when_what_it_says_cannot_be_kept(tmp_path: Path) -> None:
    tools = program(tmp_path, "pg_dump", "echo $$; exec sleep 60")
    told = bytearray()

    def no_room(chunk: bytes) -> None:
        told.extend(chunk)
        raise OSError(28, "no room")

    with pytest.raises(OSError, match="no room"):
        asyncio.run(tools.run("pg_dump", sink=no_room))
    with pytest.raises(ProcessLookupError):
        os.kill(int(told), 0)


def test_what_nobody_wants_to_hear_of_a_program_is_read_all_the_same(tmp_path: Path) -> None:
    tools = program(tmp_path, "pg_dump", "head -c 300000 /dev/zero; cat >&2; exit 1")
    with refusing("pg_dump failed: it is told"):
        asyncio.run(tools.run("pg_dump", feed=[b"it ", b"is told\n"]))


# What it was taken of


async def test_a_database_that_nobody_has_served_is_refused_migrated_or_not(
    postgres: EmbeddedPostgres, database_url: str
) -> None:
    for empty in (True, False):
        async with migrated(postgres.url) as url, connected(database_url if empty else url) as sql:
            with refusing("there is nothing to back up: the database was never served"):
                await _check_schema(sql)


async def test_a_backup_that_does_not_hold_what_it_says_is_found_out(
    postgres: EmbeddedPostgres,
) -> None:
    said = manifest()
    fewer = "the backup says it holds 3 transactions: there are 2"
    more = "the backup says it holds 6 entries: there are 7"
    async with migrated(postgres.url) as url, connected(url) as connection:
        insert = "INSERT INTO master_key (fingerprint) VALUES ($1)"
        await connection.execute(insert, said.fingerprint)
        physical = msgspec.structs.replace(said, form="physical")
        other = msgspec.structs.replace(said, fingerprint=b"\0" * 32)
        assert await _compare(connection, said, REPORT) == []
        report = REPORT._replace(transactions=2, entries=7)
        assert await _compare(connection, said, report) == [fewer, more]
        # A physical backup holds what came in while it was taken.
        assert await _compare(connection, physical, report) == [fewer]
        assert await _compare(connection, other, REPORT) == [
            "the database was made with another master key than the backup says"
        ]


# What is told


def test_what_was_restored_is_told_with_what_was_applied_and_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, theirs = Settings(data_dir=tmp_path), Settings(database_url="postgresql:///x")
    _tell(own, Path("b.tar"), Restored(manifest(), ["0009_limit"], REPORT, []))
    first, applied, seen, summary = capsys.readouterr().out.splitlines()
    assert first.startswith(f"restored into {tmp_path}: b.tar, a logical backup of 1970-01-01")
    assert (applied, summary) == ("applied: 0009_limit", REPORT.summary)
    assert seen.startswith("checked: ")
    _tell(theirs, Path("b.tar"), Restored(manifest(), [], REPORT, ["it leaks"]))
    first, wrong, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("restored into the database of COMMERCE_DATABASE_URL: ")
    assert wrong == "wrong: it leaks"


def test_where_the_master_key_of_a_backup_is_kept_is_told(tmp_path: Path) -> None:
    own = Settings(data_dir=tmp_path)
    given = Settings(data_dir=tmp_path, master_key=OWN_KEY.reveal())
    assert str(tmp_path / "master.key") in _where_the_key_is(own, manifest())
    assert "without COMMERCE_MASTER_KEY it cannot" in _where_the_key_is(given, manifest())
    assert "is in it" in _where_the_key_is(own, manifest(holds_master_key=True))
