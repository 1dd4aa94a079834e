"""The programs of PostgreSQL: what one that fails says."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commerce.store.binary import (
    CARRIER,
    EmbeddedError,
    Programs,
    SystemUser,
    _create,
    _group_exists,
    programs,
    require_way,
    system_user,
)
from commerce.store.embedded import EmbeddedPostgres, open_data_dir
from commerce.store.postmaster import make_private


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("sleep", "9"), "sleep did not end within 0.05 s"),
        (("no-such-program",), "no-such-program cannot be run: No such file or directory"),
        (("sh", "-c", "exit 3"), "sh failed: it said nothing"),
        (("sh", "-c", "echo a; echo; echo ' b  c' >&2; exit 1"), "sh failed: a | b c"),
    ],
)
def test_a_program_that_fails_says_why_in_one_line(command: tuple[str, ...], reason: str) -> None:
    limit = 0.05 if command[0] == "sleep" else 30
    with pytest.raises(EmbeddedError) as caught:
        Programs(Path("/bin"), None).run(*command, timeout_seconds=limit)
    assert str(caught.value) == reason


def test_a_missing_installation_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EmbeddedError, match="is not installed: set COMMERCE_DATABASE_URL"):
        programs(None, tmp_path)


@pytest.fixture
def carrier(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose programs fail, in place of the one we carry."""
    folder = data_dir / "site" / CARRIER / "pginstall18" / "bin"
    folder.mkdir(parents=True)
    (folder / "postgres").write_text("#!/bin/sh\nexit 1\n")
    (folder / "psql").symlink_to("postgres")
    (data_dir / "site" / CARRIER / "__init__.py").touch()
    monkeypatch.syspath_prepend(data_dir / "site")
    return folder


def test_an_installation_without_its_programs_is_none(carrier: Path, tmp_path: Path) -> None:
    (carrier / "postgres").unlink()
    with pytest.raises(EmbeddedError, match="is not installed: set COMMERCE_DATABASE_URL"):
        programs(None, tmp_path)


def test_programs_that_their_user_cannot_run_from_a_copy_either_are_refused(
    carrier: Path, data_dir: Path
) -> None:
    with pytest.raises(EmbeddedError, match="the user somebody cannot run PostgreSQL from ") as no:
        programs(ourselves(), data_dir)
    copy = data_dir / "postgres-18" / carrier.relative_to(data_dir / "site")
    assert str(no.value).endswith(f" from {copy}")
    assert (copy / "psql").readlink() == Path("postgres")


def test_who_is_not_root_runs_postgresql_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert system_user("nobody at all") is None


def test_a_user_that_another_process_made_meanwhile_is_taken() -> None:
    assert _create("daemon").pw_uid == pwd.getpwnam("daemon").pw_uid


def test_a_machine_on_which_no_user_can_be_made_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EmbeddedError, match="no-such-user could not be made: create it"):
        _create("no-such-user")


def test_a_way_that_is_closed_to_ourselves_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o600)
    require_way(None, tmp_path)
    with pytest.raises(EmbeddedError, match=f"{file} cannot be used: {file} may not be entered"):
        require_way(None, file)


# What only root can do, seen by everybody


def ourselves() -> SystemUser:
    """A user who may become nobody else, and need not."""
    return SystemUser("somebody", os.geteuid(), os.getegid())


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The beginnings of programs that fail; all others succeed, and say nothing or this."""
    beginnings: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        fails = any(command[0].startswith(each) for each in beginnings)
        said = beginnings[-1] if beginnings and command[0] == "/bin/sh" else ""
        return subprocess.CompletedProcess(command, int(fails), said, "")

    monkeypatch.setattr(subprocess, "run", run)
    return beginnings


def test_root_runs_postgresql_as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    entry = pwd.getpwnam("daemon")
    assert system_user("daemon") == SystemUser("daemon", entry.pw_uid, entry.pw_gid)
    with pytest.raises(EmbeddedError, match="refuses to run as root, which root is"):
        system_user("root")
    assert [_group_exists(name) for name in ("daemon", "no such group")] == [True, False]


def test_a_way_that_is_closed_to_the_user_of_postgresql_is_refused(
    tmp_path: Path, broken: list[str]
) -> None:
    require_way(ourselves(), tmp_path)
    broken.append(str(tmp_path))
    with pytest.raises(EmbeddedError, match=f"user somebody, who may not enter {tmp_path}: choose"):
        require_way(ourselves(), tmp_path)


def test_programs_are_copied_once_for_who_cannot_reach_them(
    carrier: Path, data_dir: Path, broken: list[str]
) -> None:
    assert programs(ourselves(), data_dir).folder == carrier
    broken.append(str(data_dir / "site"))
    found = {programs(ourselves(), data_dir) for _ in range(2)}
    copy = data_dir / "postgres-18"
    (only,) = found
    assert only.folder == copy / carrier.relative_to(data_dir / "site")
    (only.folder / "postgres").unlink()
    programs(ourselves(), data_dir)
    assert not (only.folder / "postgres").exists(), "it was not copied again"
    (copy / "version").write_text("older")
    programs(ourselves(), data_dir)
    assert (only.folder / "postgres").exists()


def test_what_is_made_for_the_user_of_postgresql_is_theirs(
    data_dir: Path, broken: list[str]
) -> None:
    assert broken == []
    open_data_dir(data_dir, ourselves())
    assert data_dir.stat().st_mode & 0o777 == 0o711
    make_private(data_dir / "inner", ourselves())
    assert (data_dir / "inner").stat().st_mode & 0o777 == 0o700


def test_what_belongs_to_somebody_else_is_refused(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = pwd.getpwuid(os.geteuid()).pw_name
    server = EmbeddedPostgres(data_dir, Programs(data_dir / "bin", None))
    assert server.program_folder == data_dir / "bin"
    server.cluster.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(EmbeddedError, match=f"belongs to the user {owner}, not to 4000000"):
        server._check_cluster()
    with pytest.raises(EmbeddedError, match="belongs to somebody else"):
        make_private(server.cluster, None)
