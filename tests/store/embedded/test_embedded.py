"""The embedded PostgreSQL: start, adoption, recovery, and what it refuses without harm."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from commerce.store import embedded
from commerce.store.binary import CARRIER, _carrier
from commerce.store.embedded import EmbeddedError, EmbeddedPostgres, lock_data_dir, running_url
from commerce.store.postmaster import _command, postmaster

Start = Callable[[Path], EmbeddedPostgres]

AS_ROOT = os.geteuid() == 0
as_root_only = pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
NOBODY = 65534

OWNER = """
import sys, time
from pathlib import Path
from commerce.store.embedded import EmbeddedPostgres, lock_data_dir
lock = lock_data_dir(Path(sys.argv[1]))
server = EmbeddedPostgres.start(Path(sys.argv[1]), durable=False)
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    """Starts servers that are stopped, and leave no trace, after the test."""
    assert not data_dir.exists()
    started: list[EmbeddedPostgres] = []

    def begin(folder: Path) -> EmbeddedPostgres:
        started.append(EmbeddedPostgres.start(folder, durable=False))
        return started[-1]

    yield begin
    for server in started:
        server.stop()


def query(url: str, statement: str) -> object:
    """The first value of a statement's answer."""

    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def refusal(folder: Path, user: str = "commerce-postgres") -> str:
    with pytest.raises(EmbeddedError) as caught:
        EmbeddedPostgres.start(folder, postgres_user=user, durable=False)
    message = str(caught.value)
    assert "\n" not in message
    return message


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def make_owner(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A process of its own that starts the server and waits to be killed."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that waits for its parent has no command left."""
    return _command(pid).strip() not in {"", "[postgres] <defunct>"}


def test_a_started_server_answers_on_its_private_socket_and_nowhere_else(
    data_dir: Path, start: Start
) -> None:
    server = start(data_dir)
    assert query(server.url, "SELECT current_database()") == "commerce"
    assert query(server.url, "SHOW listen_addresses") == ""
    assert query(server.url, "SHOW data_checksums") == "on"
    assert query(server.url, "SELECT datlocale FROM pg_database LIMIT 1") == "C.UTF-8"
    assert mode(data_dir / "socket") == 0o700
    assert mode(data_dir / "postgres") == 0o700
    assert mode(data_dir / "postgres.log") == 0o600
    assert mode(data_dir) == (0o711 if AS_ROOT else 0o700)


def test_a_stopped_server_is_gone_and_keeps_its_rows(data_dir: Path, start: Start) -> None:
    server = start(data_dir)
    pid = server.pid
    query(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
    server.stop()
    assert not alive(pid)
    with pytest.raises(EmbeddedError, match="has been stopped"):
        _ = server.url
    again = start(data_dir)
    assert not again.adopted
    assert query(again.url, "SELECT number FROM kept") == 7


def test_stopping_ends_open_sessions_and_can_be_repeated(data_dir: Path, start: Start) -> None:
    server = start(data_dir)

    async def stop_under_a_session() -> bool:
        connection = await asyncpg.connect(server.url)
        server.stop()
        await asyncio.sleep(0.1)
        return connection.is_closed()

    assert asyncio.run(stop_under_a_session())
    server.stop()


def test_the_server_outlives_its_killed_owner_and_is_adopted(data_dir: Path, start: Start) -> None:
    owner, pid = make_owner(data_dir)
    kill(owner)
    assert alive(pid)
    lock_data_dir(data_dir).release()
    server = start(data_dir)
    assert server.adopted
    assert server.pid == pid
    assert query(server.url, "SELECT 1") == 1
    server.stop()
    assert not alive(pid)


def test_a_killed_server_is_recovered_with_all_that_was_committed(
    data_dir: Path, start: Start
) -> None:
    server = start(data_dir)
    query(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
    os.kill(server.pid, signal.SIGKILL)
    again = start(data_dir)
    assert not again.adopted
    assert again.pid != server.pid
    assert query(again.url, "SELECT number FROM kept") == 7


def test_a_stale_file_naming_a_living_stranger_does_not_stop_the_start(
    data_dir: Path, start: Start
) -> None:
    start(data_dir).stop()
    text = f"{os.getpid()}\n{data_dir}/postgres\n1\n5432\n{data_dir}/socket\n\n\nready\n"
    (data_dir / "postgres" / "postmaster.pid").write_text(text)
    (data_dir / "socket" / ".s.PGSQL.5432.lock").write_text(text)
    assert running_url(data_dir) is None
    server = start(data_dir)
    assert not server.adopted
    assert server.pid != os.getpid()


def test_a_living_server_whose_socket_was_removed_is_started_anew(
    data_dir: Path, start: Start
) -> None:
    first = start(data_dir)
    old = first.pid
    (data_dir / "socket" / ".s.PGSQL.5432").unlink()
    second = start(data_dir)
    assert not second.adopted
    assert second.pid != old
    assert query(second.url, "SELECT 1") == 1


def test_a_second_lock_is_refused_until_the_first_is_released(data_dir: Path) -> None:
    lock = lock_data_dir(data_dir)
    with pytest.raises(EmbeddedError, match="another server is using the data folder"):
        lock_data_dir(data_dir)
    lock.release()
    lock_data_dir(data_dir).release()
    assert mode(data_dir / "lock") == 0o600


def test_a_lock_held_by_another_process_is_refused(data_dir: Path, start: Start) -> None:
    owner, _ = make_owner(data_dir)
    try:
        with pytest.raises(EmbeddedError, match="another server is using"):
            lock_data_dir(data_dir)
    finally:
        kill(owner)
    start(data_dir)


def test_a_lock_where_no_folder_can_be_is_one_clear_line(data_dir: Path) -> None:
    data_dir.touch()
    with pytest.raises(EmbeddedError, match="cannot be used") as caught:
        lock_data_dir(data_dir)
    assert "\n" not in str(caught.value)


def test_the_url_of_a_running_server_is_known_beside_it(data_dir: Path, start: Start) -> None:
    assert running_url(data_dir) is None
    server = start(data_dir)
    assert running_url(data_dir) == server.url
    server.stop()
    assert running_url(data_dir) is None


def test_a_folder_with_an_awkward_name_works(data_dir: Path, start: Start) -> None:
    awkward = data_dir / """it's "so", $HOME `odd` \\ % ö"""
    assert query(start(awkward).url, "SELECT 1") == 1


def test_a_long_path_gets_a_private_socket_folder_that_goes_with_the_server(
    data_dir: Path, start: Start
) -> None:
    long = data_dir / ("long" * 30)
    server = start(long)
    folder = Path(str(query(server.url, "SHOW unix_socket_directories")).strip('"'))
    assert folder.parent == Path(tempfile.gettempdir()).resolve()
    assert mode(folder) == 0o700
    assert running_url(long) == server.url
    server.stop()
    assert not folder.exists()


@as_root_only
def test_a_socket_folder_of_somebody_else_is_never_trusted(data_dir: Path, start: Start) -> None:
    long = data_dir / ("long" * 30)
    server = start(long)
    folder = Path(str(query(server.url, "SHOW unix_socket_directories")).strip('"'))
    server.stop()
    folder.mkdir(mode=0o777)
    os.chown(folder, NOBODY, NOBODY)
    try:
        assert "belongs to somebody else" in refusal(long)
        assert folder.stat().st_uid == NOBODY
    finally:
        folder.rmdir()


def test_a_link_in_place_of_the_socket_folder_is_refused(data_dir: Path, start: Start) -> None:
    start(data_dir).stop()
    (data_dir / "socket").rmdir()
    (data_dir / "socket").symlink_to(data_dir.parent)
    assert "cannot be trusted" in refusal(data_dir)


def test_the_settings_are_written_anew_at_every_start_and_later_lines_win(
    data_dir: Path, start: Start
) -> None:
    server = start(data_dir)
    assert query(server.url, "SHOW deadlock_timeout") == "200ms"
    server.stop()
    (data_dir / "postgres.conf").write_text("deadlock_timeout = 9s\n")
    own = data_dir / "postgres" / "postgresql.conf"
    own.write_text(own.read_text() + "max_connections = 50\n")
    server = start(data_dir)
    assert query(server.url, "SHOW deadlock_timeout") == "200ms"
    assert query(server.url, "SHOW max_connections") == "50"
    assert own.read_text().count("include '../postgres.conf'") == 1


def test_a_cluster_whose_making_was_cut_short_is_made_anew(data_dir: Path, start: Start) -> None:
    (data_dir / "postgres.new" / "base").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    assert query(start(data_dir).url, "SELECT 1") == 1
    assert not (data_dir / "postgres.new").exists()


def test_a_cluster_of_another_version_is_refused(data_dir: Path, start: Start) -> None:
    start(data_dir).stop()
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    assert refusal(data_dir).endswith("postgres is no PostgreSQL 18 cluster: 17")


def test_a_failed_start_says_why_in_one_line_and_leaves_no_orphan(
    data_dir: Path, start: Start
) -> None:
    start(data_dir).stop()
    own = data_dir / "postgres" / "postgresql.conf"
    own.write_text(own.read_text() + "max_connections = many\n")
    message = refusal(data_dir)
    assert message.startswith("PostgreSQL did not start: ")
    assert "max_connections" in message
    assert running_url(data_dir) is None
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


@as_root_only
def test_a_folder_its_user_cannot_reach_is_refused_and_nothing_outside_is_changed(
    data_dir: Path,
) -> None:
    outside = data_dir.parent / "closed"
    outside.mkdir(mode=0o700)
    before = outside.stat()
    message = refusal(outside / "deep" / "data")
    assert f"may not enter {outside}" in message
    assert "commerce-postgres" in message
    after = outside.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime_ns,
    )
    assert list(outside.iterdir()) == []


@as_root_only
def test_root_is_refused_as_the_user_of_postgresql(data_dir: Path) -> None:
    assert "refuses to run as root" in refusal(data_dir, user="root")
    assert not data_dir.exists()


@as_root_only
def test_a_cluster_of_another_user_is_refused_naming_both(data_dir: Path, start: Start) -> None:
    start(data_dir).stop()
    os.chown(data_dir / "postgres", NOBODY, NOBODY)
    message = refusal(data_dir)
    assert "belongs to the user nobody, not to commerce-postgres" in message


@as_root_only
def test_the_cluster_belongs_to_its_user_and_secrets_beside_it_stay_closed(
    data_dir: Path, start: Start
) -> None:
    data_dir.mkdir(mode=0o700)
    secret = data_dir / "master.key"
    secret.touch(mode=0o600)
    server = start(data_dir)
    assert (data_dir / "postgres").owner() == "commerce-postgres"
    assert (data_dir / "socket").owner() == "commerce-postgres"
    assert data_dir.owner() == "root"
    assert query(server.url, "SHOW data_directory_mode") == "0700"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        query(server.url, f"SELECT pg_read_file('{secret}')")


@as_root_only
def test_programs_its_user_cannot_reach_are_copied_once(
    data_dir: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    carrier = _carrier()
    leave_out = shutil.ignore_patterns("pginstall", "include", "__pycache__")
    shutil.copytree(carrier, closed / CARRIER, ignore=leave_out)
    libraries = carrier.with_name(f"{CARRIER}.libs")
    shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.syspath_prepend(closed)
    copy = data_dir / "postgres-18" / CARRIER
    made = set()
    for _ in range(2):
        server = start(data_dir)
        assert server.program_folder == copy / "pginstall18" / "bin"
        assert query(server.url, "SELECT 1") == 1
        server.stop()
        made.add(copy.stat().st_ctime_ns)
    assert len(made) == 1
    assert mode(closed) == 0o700


@as_root_only
def test_a_user_that_cannot_be_made_is_one_clear_line(data_dir: Path) -> None:
    assert "not a user! could not be made" in refusal(data_dir, user="not a user!")


def test_a_server_that_does_not_get_ready_is_not_left_running(
    data_dir: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(data_dir).stop()
    monkeypatch.setattr(embedded, "START_TIMEOUT_SECONDS", 0.001)
    assert refusal(data_dir).endswith("is not ready after 0.001 s")
    assert postmaster(data_dir / "postgres") is None


def test_a_server_that_refuses_us_is_not_left_running(data_dir: Path, start: Start) -> None:
    start(data_dir).stop()
    (data_dir / "postgres" / "pg_hba.conf").write_text("local all all reject\n")
    assert "psql failed" in refusal(data_dir)
    assert postmaster(data_dir / "postgres") is None


def test_a_url_asked_of_what_is_no_folder_is_one_clear_line(data_dir: Path) -> None:
    data_dir.touch()
    with pytest.raises(EmbeddedError, match="cannot be used"):
        running_url(data_dir)
