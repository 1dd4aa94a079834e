"""The live postmaster of a cluster, as its files and the process table tell of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from commerce.store.binary import EmbeddedError, require_way

if TYPE_CHECKING:
    from commerce.store.binary import SystemUser

DATABASE = "commerce"
# macOS has the shorter sun_path, 104 bytes with its final NUL; Linux has 108.
SOCKET_PATH_BYTES_MAX = 103
PS = "/bin/ps"


@dataclass(frozen=True)
class Postmaster:
    """A postmaster that is alive; `status` is starting, ready, stopping or empty (too early)."""

    pid: int
    socket_folder: Path
    status: str

    @property
    def url(self) -> str:
        """The URL of the database `commerce` over the Unix socket."""
        return f"postgresql://{DATABASE}@/{DATABASE}?host={quote(str(self.socket_folder))}"


def postmaster(cluster: Path) -> Postmaster | None:
    """The live postmaster of `cluster`; a stale postmaster.pid or a reused id counts as none.

    Raises OSError when the cluster may not be read.
    """
    try:
        text = (cluster / "postmaster.pid").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    # Lines: process id, folder, start time, port, socket folder, address, memory key, status.
    lines = [line.strip() for line in text.splitlines()] + [""] * 8
    if not lines[0].isdigit() or str(cluster) not in _command(int(lines[0])):
        return None
    return Postmaster(int(lines[0]), Path(lines[4]), lines[7])


def _command(pid: int) -> str:
    """The command line of a process, empty when it is gone, dead or hidden."""
    try:
        # Slim containers have no ps, macOS has no /proc.
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (OSError, ValueError):
        return _command_from_ps(pid)


def _command_from_ps(pid: int) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command and a number
            [PS, "-ww", "-p", str(pid), "-o", "args="],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout


def socket_folder(data_dir: Path) -> Path:
    """Where the socket goes: into the data folder, or if its path is too long the temp folder."""
    inside = data_dir / "socket"
    if _fits(inside):
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    outside = Path(tempfile.gettempdir()).resolve() / f"commerce-{digest}"
    if not _fits(outside):
        raise EmbeddedError(f"the path of the data folder {data_dir} is too long for a socket")
    return outside


def _fits(folder: Path) -> bool:
    """Clients read a comma as the end of a host; settings cannot hold control characters."""
    path = os.fsencode(folder / ".s.PGSQL.5432")
    plain = str(folder).isprintable() and not set(str(folder)) & set(',"')
    return plain and len(path) <= SOCKET_PATH_BYTES_MAX


def make_private(folder: Path, user: SystemUser | None) -> None:
    """Makes `folder` readable by its owner only; refuses one that is somebody else's."""
    require_way(user, folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = (user.uid, user.gid) if user else (os.geteuid(), os.getegid())
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedError(f"the folder {folder} cannot be trusted: {error.strerror}") from None
    try:
        if os.fstat(descriptor).st_uid not in {owner[0], os.geteuid()}:
            raise EmbeddedError(f"the folder {folder} belongs to somebody else")
        os.fchown(descriptor, *owner)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)
