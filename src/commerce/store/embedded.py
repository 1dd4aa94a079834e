"""The embedded PostgreSQL: a cluster in the data folder, started, adopted, tuned, stopped."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from commerce.store.binary import (
    EmbeddedError,
    Programs,
    SystemUser,
    one_line,
    programs,
    require_way,
    system_user,
)
from commerce.store.postmaster import (
    DATABASE,
    Postmaster,
    make_private,
    postmaster,
    socket_folder,
)
from commerce.store.tuning import configuration, memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DataDirLock", "EmbeddedError", "EmbeddedPostgres", "lock_data_dir", "running_url"]

MAJOR = "18"
INITDB_TIMEOUT_SECONDS = 120.0
# Crash recovery replays up to max_wal_size; cutting it short would only make it start again.
START_TIMEOUT_SECONDS = 300.0
STOP_TIMEOUT_SECONDS = 60.0
QUERY_TIMEOUT_SECONDS = 30.0
ORPHAN_TIMEOUT_SECONDS = 15.0
ABANDON_TIMEOUT_SECONDS = 10.0
LOOK_SECONDS = 0.1
"""How often a server that is kept alive is looked after."""
PAUSE_SECONDS = 1.0
"""How long after a start that failed (the disk may be full) the next one is tried."""
INCLUDE = "include '../postgres.conf'"

log = structlog.get_logger("commerce.store")


@dataclass(frozen=True)
class DataDirLock:
    """The exclusive right to a data folder; the kernel gives it back when the process dies.

    A forked child that keeps the file open keeps the lock as well.
    """

    descriptor: int

    def release(self) -> None:
        """Gives the folder back before the process ends."""
        os.close(self.descriptor)


def lock_data_dir(data_dir: Path) -> DataDirLock:
    """Takes the data folder for this process, making it if missing; EmbeddedError if taken."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(data_dir / "lock", flags, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise EmbeddedError(f"another server is using the data folder {data_dir}") from None
    return DataDirLock(descriptor)


def running_url(data_dir: Path) -> str | None:
    """The URL of the PostgreSQL that runs on this data folder, or None; takes no lock."""
    try:
        found = postmaster(data_dir.resolve() / "postgres")
    except OSError as error:
        raise _unusable(data_dir, error) from None
    return found.url if found and found.status == "ready" else None


class EmbeddedPostgres:
    """A running PostgreSQL of our own; take the folder with `lock_data_dir` before starting."""

    def __init__(self, data_dir: Path, own_programs: Programs) -> None:
        """Knows the folder and the programs; `start` is the way to a running one."""
        self.data_dir = data_dir
        self.cluster = data_dir / "postgres"
        self.adopted = False
        self._programs = own_programs
        self._process: subprocess.Popen[bytes] | None = None
        self._found: Postmaster | None = None

    @classmethod
    def start(
        cls, data_dir: Path, *, postgres_user: str = "commerce-postgres", durable: bool = True
    ) -> EmbeddedPostgres:
        """Makes the cluster if missing, adopts the server that runs on it or starts one.

        `postgres_user` counts only when we are root. `durable=False` turns fsync off and is for
        tests alone: a crash of the machine then loses the cluster. Raises EmbeddedError.
        """
        folder = data_dir.resolve()
        try:
            user = system_user(postgres_user)
            open_data_dir(folder, user)
            server = cls(folder, programs(user, folder))
            server._prepare(durable=durable)
            server._run()
        except (OSError, subprocess.SubprocessError) as error:
            raise _unusable(folder, error) from None
        return server

    @property
    def url(self) -> str:
        """The URL of the database `commerce` over the Unix socket."""
        return self._running.url

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self._running.pid

    @property
    def _running(self) -> Postmaster:
        if self._found is None:
            raise EmbeddedError(f"PostgreSQL in {self.cluster} has been stopped")
        return self._found

    @property
    def program_folder(self) -> Path:
        """Where pg_dump, psql and their kind lie."""
        return self._programs.folder

    def stop(self) -> None:
        """Ends every session, shuts down and waits until the server is gone."""
        self._halt()
        if self._process is not None:
            self._process.wait(STOP_TIMEOUT_SECONDS)
            self._process = None
        if self._found is not None and self._found.socket_folder.parent != self.data_dir:
            with suppress(OSError):
                self._found.socket_folder.rmdir()
        self._found = None

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Start the server again whenever it has died, as often as that takes; at the end, stop it.

        A thread looks after it, whatever else this process does.
        """
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep_alive, args=(ended,), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join(2 * LOOK_SECONDS)
            while keeper.is_alive():
                # It waits for a server that is starting, which after a crash may take minutes.
                with suppress(EmbeddedError):
                    self._halt()
                keeper.join(LOOK_SECONDS)
            self.stop()

    def _keep_alive(self, ended: threading.Event) -> None:
        seconds = LOOK_SECONDS
        while not ended.wait(seconds):
            seconds = LOOK_SECONDS
            if self._lives():
                continue
            log.warning("postgres_died")
            self._process = None
            try:
                self._run()
            except (EmbeddedError, OSError, subprocess.SubprocessError) as error:
                log.warning("postgres_not_started", reason=one_line(str(error)))
                seconds = PAUSE_SECONDS
            else:
                log.warning("postgres_started", pid=self.pid)

    def _lives(self) -> bool:
        """Whether the server runs: a child of ours is asked of the kernel, another of its files."""
        if self._process is not None:
            return self._process.poll() is None
        return postmaster(self.cluster) is not None

    def _halt(self) -> None:
        if postmaster(self.cluster) is not None:
            self._pg_ctl_stop()

    def _pg_ctl_stop(self) -> None:
        seconds = f"{STOP_TIMEOUT_SECONDS:g}"
        arguments = ["stop", "-D", str(self.cluster), "-m", "fast", "-w", "-t", seconds]
        self._programs.run("pg_ctl", *arguments, timeout_seconds=STOP_TIMEOUT_SECONDS + 10)

    def _prepare(self, *, durable: bool) -> None:
        """Everything on disk that a start needs: cluster, socket folder, settings."""
        if self.cluster.exists():
            self._check_cluster()
        else:
            self._initialise(durable=durable)
        sockets = socket_folder(self.data_dir)
        make_private(sockets, self._programs.user)
        text = configuration(sockets, memory_bytes(), durable=durable, lz4=self._has_lz4())
        fresh = self.data_dir / "postgres.conf.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(self.data_dir / "postgres.conf")
        self._include_settings()

    def _check_cluster(self) -> None:
        uid = self._programs.user.uid if self._programs.user else os.geteuid()
        owner = self.cluster.stat().st_uid
        if owner != uid:
            raise EmbeddedError(
                f"{self.cluster} belongs to the user {_user_name(owner)}, not to "
                f"{_user_name(uid)}: start the server as before or choose another --data-dir"
            )
        version = self.cluster / "PG_VERSION"
        found = version.read_text(encoding="utf-8").strip() if version.exists() else "nothing"
        if found != MAJOR:
            raise EmbeddedError(f"{self.cluster} is no PostgreSQL {MAJOR} cluster: {found}")

    def _initialise(self, *, durable: bool) -> None:
        """Makes the cluster beside its final name: one cut short is never taken for whole."""
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        make_private(fresh, self._programs.user)
        arguments = ["-D", str(fresh), "-U", DATABASE, "-E", "UTF8", "--locale=C"]
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        arguments += ["--data-checksums", "--auth-local=trust", "--auth-host=reject"]
        arguments += ["--no-instructions", *([] if durable else ["--no-sync"])]
        self._programs.run("initdb", *arguments, timeout_seconds=INITDB_TIMEOUT_SECONDS)
        fresh.rename(self.cluster)

    def _include_settings(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self.cluster / "postgresql.conf", flags)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            if INCLUDE not in file.read().splitlines():
                file.write(f"\n# The settings of Commerce Network; lines below win.\n{INCLUDE}\n")
                file.flush()
                os.fsync(file.fileno())

    def _has_lz4(self) -> bool:
        with suppress(EmbeddedError):
            return "--with-lz4" in self._programs.run(
                "pg_config", "--configure", timeout_seconds=QUERY_TIMEOUT_SECONDS
            )
        return False

    def _run(self) -> None:
        """Adopts the server of this cluster that is alive, else starts one."""
        found = self._await_ready(None)
        if found is not None and self._answers(found):
            self.adopted = True
            os.kill(found.pid, signal.SIGHUP)
        else:
            if found is not None:
                # Alive and ours, yet out of reach: its socket was removed from outside.
                self._pg_ctl_stop()
            self._remove_stale_locks()
            found = self._launch()
        try:
            self._create_database(found)
        except BaseException:
            self._abandon()
            raise
        self._found = found

    def _remove_stale_locks(self) -> None:
        """Removes the lock files of a server that is dead.

        PostgreSQL goes by their process id alone, so it would take a zombie, or a stranger with
        a reused id, for a live server and not start.
        """
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (socket_folder(self.data_dir) / name).unlink(missing_ok=True)

    def _launch(self) -> Postmaster:
        """Starts the postmaster, waiting out the last backends of one that was killed."""
        path = self.data_dir / "postgres.log"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open(path, flags, 0o600)
        deadline = time.monotonic() + ORPHAN_TIMEOUT_SECONDS
        try:
            while True:
                begin = os.fstat(log).st_size
                found = self._attempt(log)
                if found is not None:
                    return found
                said = os.pread(log, 1 << 20, begin).decode(errors="replace")
                if "is still in use" not in said or time.monotonic() > deadline:
                    raise EmbeddedError(f"PostgreSQL did not start: {one_line(said)} (see {path})")
                time.sleep(0.1)
        finally:
            os.close(log)

    def _attempt(self, log: int) -> Postmaster | None:
        self._process = self._programs.spawn("postgres", "-D", str(self.cluster), log=log)
        try:
            return self._await_ready(self._process)
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Ends a postmaster we started and cannot use, so that no orphan is left."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(ABANDON_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _await_ready(self, process: subprocess.Popen[bytes] | None) -> Postmaster | None:
        """Waits for `process`, or for whichever server lives here; None if there is none."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            found = postmaster(self.cluster)
            gone = found is None if process is None else process.poll() is not None
            if gone:
                return None
            ours = found is not None and (process is None or found.pid == process.pid)
            if ours and found is not None and found.status == "ready":
                return found
            time.sleep(0.02)
        raise EmbeddedError(f"PostgreSQL is not ready after {START_TIMEOUT_SECONDS:g} s")

    def _answers(self, found: Postmaster) -> bool:
        """Whether the server behind the socket is the one of this cluster."""
        try:
            said = self._psql(found, "SELECT current_setting('data_directory')")
        except EmbeddedError:
            return False
        return said.strip() == str(self.cluster)

    def _create_database(self, found: Postmaster) -> None:
        create = f"SELECT 'CREATE DATABASE {DATABASE}'"
        missing = f"NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}')"
        self._psql(found, f"{create} WHERE {missing} \\gexec")

    def _psql(self, found: Postmaster, text: str) -> str:
        arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", DATABASE]
        arguments += ["-h", str(found.socket_folder), "-d", "postgres"]
        return self._programs.run(
            "psql", *arguments, timeout_seconds=QUERY_TIMEOUT_SECONDS, text=text + "\n"
        )


def open_data_dir(folder: Path, user: SystemUser | None) -> None:
    """Makes the data folder and lets `user` pass through it; nothing above is changed."""
    require_way(user, folder.parent)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        # Passing through is all it gives: what is secret in there has mode 0600 itself.
        folder.chmod(folder.stat().st_mode & 0o7777 | 0o011)
    require_way(user, folder)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _unusable(data_dir: Path, error: Exception) -> EmbeddedError:
    reason = one_line(str(error))
    return EmbeddedError(f"the data folder {data_dir} cannot be used: {reason}")
