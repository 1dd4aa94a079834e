"""The programs that run PostgreSQL, where they do not do what they should."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from commerce.store import embedded, postmaster
from commerce.store.binary import EmbeddedError, Programs
from commerce.store.embedded import EmbeddedPostgres, _user_name, open_data_dir
from commerce.store.postmaster import _command_from_ps, make_private, socket_folder


def server(data_dir: Path, script: str) -> EmbeddedPostgres:
    """A PostgreSQL whose program does this, run by ourselves."""
    programs = data_dir / "bin"
    programs.mkdir(parents=True)
    (programs / "postgres").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "postgres").chmod(0o755)
    return EmbeddedPostgres(data_dir, Programs(programs, None))


def test_the_last_backends_of_a_killed_server_are_waited_out(data_dir: Path) -> None:
    script = f"""
echo again >> {data_dir}/tries
if [ "$(wc -l < {data_dir}/tries)" -lt 2 ]; then echo 'shared memory is still in use'; exit 1; fi
echo 'the disk is full'; exit 1"""
    with pytest.raises(EmbeddedError, match="did not start: the disk is full"):
        server(data_dir, script)._launch()
    assert (data_dir / "tries").read_text().splitlines() == ["again"] * 2


def test_a_server_that_does_not_heed_the_signal_to_quit_is_killed(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "START_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(embedded, "ABANDON_TIMEOUT_SECONDS", 0.1)
    stubborn = server(data_dir, f"trap '' QUIT; echo $$ > {data_dir}/pid; exec sleep 60")
    with pytest.raises(EmbeddedError, match=r"is not ready after 0\.2 s"):
        stubborn._launch()
    with pytest.raises(ProcessLookupError):
        os.kill(int((data_dir / "pid").read_text()), 0)
    assert stubborn._process is None


def test_a_server_that_somebody_else_started_is_not_ended(data_dir: Path) -> None:
    adopted = server(data_dir, "exit 1")
    adopted._abandon()
    assert adopted._process is None


def test_programs_that_cannot_be_asked_are_taken_for_those_without_lz4(data_dir: Path) -> None:
    assert server(data_dir, "")._has_lz4() is False


def test_a_file_in_place_of_the_data_folder_is_refused(data_dir: Path) -> None:
    data_dir.touch()
    with pytest.raises(EmbeddedError, match=f"{data_dir} cannot be used: .*File exists"):
        EmbeddedPostgres.start(data_dir, durable=False)


def test_a_folder_of_our_own_stays_closed_to_everybody(data_dir: Path) -> None:
    open_data_dir(data_dir, None)
    make_private(data_dir / "inner", None)
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert (data_dir / "inner").stat().st_mode & 0o777 == 0o700


def test_a_user_without_a_name_is_called_by_number() -> None:
    assert _user_name(4_000_000_000) == "4000000000"
    assert _user_name(0) == "root"


def test_what_a_process_is_called_is_asked_of_ps_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ps = tmp_path / "ps"
    ps.write_text('#!/bin/sh\necho "$*"\n')
    ps.chmod(0o755)
    monkeypatch.setattr(postmaster, "PS", str(ps))
    assert _command_from_ps(7) == "-ww -p 7 -o args=\n"
    monkeypatch.setattr(postmaster, "PS", str(tmp_path / "none"))
    assert _command_from_ps(os.getpid()) == ""


def test_a_folder_of_which_no_short_name_can_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 30)))
    assert socket_folder(Path("/short")) == Path("/short/socket")
    with pytest.raises(EmbeddedError, match="is too long for a socket"):
        socket_folder(tmp_path / ("deep" * 30))
