"""Where a restore into a data folder works, until all of it is checked and takes its place."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from commerce.backup.archive import KEY, Archive, sync_folder
from commerce.backup.inventory import LABOUR_SECONDS_MAX, Laid, check_inventory
from commerce.backup.program import CHUNK
from commerce.installation import ServerError
from commerce.settings import Settings
from commerce.store.binary import Programs, SystemUser, programs, system_user
from commerce.store.embedded import EmbeddedPostgres, lock_data_dir, open_data_dir
from commerce.store.postmaster import make_private

STAGING = "restoring"
HARMLESS = {KEY, "lock", "lost+found", STAGING}
"""What an empty data folder may hold: the master key, put there for the restore; what a file
system puts there; what a restore that was killed has left."""


def check_free(data_dir: Path) -> None:
    """Refuse a data folder that is used, or was. Raises `ServerError`, `EmbeddedError`."""
    if (data_dir / "lock").exists():
        lock_data_dir(data_dir).release()
    _check_empty(data_dir)


def _check_empty(data_dir: Path) -> None:
    try:
        found = sorted(entry.name for entry in data_dir.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise ServerError(f"the data folder {data_dir} cannot be used: {error.strerror}") from None
    used = [name for name in found if name not in HARMLESS]
    if used:
        raise ServerError(
            f"the data folder {data_dir} is not empty, it holds {used[0]}: restore into a new one"
        )


class Staging:
    """A data folder within the data folder: a killed restore leaves nothing that could be served.

    The cluster takes its place by one rename, when it is whole and checked.
    """

    def __init__(self, data_dir: Path, user: SystemUser | None) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / STAGING
        self.user = user

    @property
    def cluster(self) -> Path:
        """Where PostgreSQL's files are until they take their place."""
        return self.folder / "postgres"

    def programs(self) -> Programs:
        """The programs of the embedded PostgreSQL."""
        return programs(self.user, self.folder)

    def unpack(self, archive: Archive) -> None:
        """Lay down the files of a physical backup, and see that all are there, as they were."""
        make_private(self.cluster, self.user)
        laid: dict[str, Laid] = {}
        try:
            with tarfile.open(fileobj=archive.stream(), mode="r|gz", bufsize=CHUNK) as files:
                for member in files:
                    self._lay_down(files, member, laid)
        except (tarfile.TarError, EOFError) as error:
            raise ServerError(f"{archive.path} cannot be unpacked: {error}") from None
        own = self.programs()
        check_inventory(self.cluster, laid, own)
        arguments = ["--sync-only", "-D", str(self.cluster)]
        own.run("initdb", *arguments, timeout_seconds=LABOUR_SECONDS_MAX)

    def _lay_down(
        self, files: tarfile.TarFile, member: tarfile.TarInfo, laid: dict[str, Laid]
    ) -> None:
        """Files and folders below the cluster are all there may be, readable by its owner only."""
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or not (member.isreg() or member.isdir()):
            raise tarfile.TarError(f"a cluster of ours has no {member.name}")
        path = self.cluster / name
        if member.isdir():
            path.mkdir(mode=0o700, exist_ok=True)
        else:
            laid[str(name)] = _write(files, member, path)
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)

    @contextmanager
    def running(self, settings: Settings) -> Iterator[EmbeddedPostgres]:
        """The PostgreSQL on what was laid down, or on a new cluster; it recovers as it starts."""
        postgres = EmbeddedPostgres.start(self.folder, postgres_user=settings.postgres_user)
        try:
            yield postgres
        finally:
            postgres.stop()

    def install(self) -> None:
        """Put the cluster in its place; the programs first, if the folder has its own copy."""
        for name in ("postgres-18", "postgres"):
            if (self.folder / name).exists():
                (self.folder / name).rename(self.data_dir / name)
        sync_folder(self.data_dir)

    def clear(self) -> None:
        """End and remove what is left of a restore, this one's or one's that was killed."""
        if not self.folder.exists():
            return
        if self.cluster.exists():
            EmbeddedPostgres(self.folder, self.programs()).stop()
        shutil.rmtree(self.folder)


def _write(files: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> Laid:
    source = files.extractfile(member)
    assert source is not None
    sha256, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return Laid(size, sha256.hexdigest())


@contextmanager
def staged(settings: Settings) -> Iterator[Staging]:
    """The place to work in, in a data folder that is empty and ours as long as it takes.

    Raises `ServerError` and `EmbeddedError` where it is not.
    """
    data_dir = settings.data_dir.resolve()
    lock = lock_data_dir(data_dir)
    try:
        _check_empty(data_dir)
        user = system_user(settings.postgres_user)
        open_data_dir(data_dir, user)
        staging = Staging(data_dir, user)
        staging.clear()
        open_data_dir(staging.folder, user)
        try:
            yield staging
        finally:
            staging.clear()
    except OSError as error:
        reason = error.strerror or error
        raise ServerError(f"the data folder {data_dir} cannot be used: {reason}") from None
    finally:
        lock.release()
