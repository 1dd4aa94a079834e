"""The file of a backup: a tar of the payload, the master key if asked for, and the manifest."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from commerce.backup.manifest import PAYLOADS, Manifest
from commerce.installation import ServerError
from commerce.kernel.master_key import MasterKey

MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.hmac", "master.key"
SMALL_BYTES_MAX = 1 << 20
CHUNK = 1 << 20
BLOCK = tarfile.BLOCKSIZE
PURPOSE = "backup"
"""The use of the master key that signs manifests."""


class Draft:
    """A backup that is being written; until `finish` its first block is empty, so it is no tar."""

    def __init__(self, file: IO[bytes], created: int) -> None:
        self._file = file
        self._created = created
        self._sha256 = hashlib.sha256()
        self.size = 0
        file.write(bytes(BLOCK))

    def write(self, chunk: bytes) -> None:
        """Add to the payload."""
        self._file.write(chunk)
        self._sha256.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """The checksum of the payload so far."""
        return self._sha256.hexdigest()

    def finish(self, manifest: Manifest, key: MasterKey) -> None:
        """Add what stands behind the payload, and only then the header that makes it a backup."""
        text = manifest.encode()
        self._file.write(bytes(-self.size % BLOCK))
        if manifest.holds_master_key:
            self._add(KEY, key.reveal().encode() + b"\n")
        self._add(MANIFEST, text)
        self._add(SIGNATURE, key.fingerprint(PURPOSE, text).hex().encode() + b"\n")
        self._file.write(bytes(2 * BLOCK))
        self._sync()
        self._file.seek(0)
        self._file.write(self._header(manifest.payload, self.size))
        self._sync()

    def _add(self, name: str, text: bytes) -> None:
        self._file.write(self._header(name, len(text)) + text + bytes(-len(text) % BLOCK))

    def _header(self, name: str, size: int) -> bytes:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = size, self._created, 0o600
        return member.tobuf(tarfile.GNU_FORMAT)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def drafted(path: Path, created: int) -> Iterator[Draft]:
    """A draft that takes the name `path` when it was finished, and else leaves nothing behind.

    Nobody but its owner may read it. Raises `ServerError` where there is something already.
    """
    try:
        _refuse_taken(path)
        descriptor, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=".partial"
        )
        fresh = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield Draft(file, created)
            _refuse_taken(path)
            fresh.rename(path)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise ServerError(f"cannot write {path}: {error.strerror or error}") from None


def _refuse_taken(path: Path) -> None:
    if os.path.lexists(path):
        raise ServerError(f"{path} is there already: choose another name")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Archive:
    """A backup that is read; what it holds is checked by `check_signature`, `check_payload`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        """Read its manifest. Raises `ServerError` for what is no whole backup."""
        self.path = path
        self._file = file
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = tar.getmembers()
        except (tarfile.TarError, EOFError):
            raise ServerError(f"{path} is no whole backup: it was cut short or damaged") from None
        named = {member.name: member for member in members if member.isreg()}
        if not named.keys() >= {MANIFEST, SIGNATURE} or not named.keys() & set(PAYLOADS.values()):
            raise ServerError(f"{path} is no whole backup of Commerce Network")
        self._text = self._small(named[MANIFEST])
        self._signature = self._small(named[SIGNATURE])
        try:
            self.manifest = Manifest.read(self._text)
        except ServerError as error:
            raise ServerError(f"{path} cannot be restored: {error}") from None
        self.key_text = self._small(named[KEY]).decode("latin-1") if KEY in named else None
        payload = named.get(self.manifest.payload)
        if payload is None or payload.size != self.manifest.size:
            raise ServerError(f"{path} is damaged: its payload is not what its manifest says")
        self._offset = payload.offset_data

    def _small(self, member: tarfile.TarInfo) -> bytes:
        if member.size > SMALL_BYTES_MAX:
            raise ServerError(f"{self.path} is damaged: {member.name} is too long")
        self._file.seek(member.offset_data)
        return self._file.read(member.size)

    def check_signature(self, key: MasterKey) -> None:
        """See that who wrote the manifest had this master key. Raises `ServerError`."""
        expected = key.fingerprint(PURPOSE, self._text).hex().encode() + b"\n"
        if not hmac.compare_digest(expected, self._signature):
            raise ServerError(f"{self.path} is damaged: its manifest was changed")

    def check_payload(self) -> None:
        """See that the payload is the one that was written. Raises `ServerError`."""
        found = hashlib.sha256()
        for chunk in self.chunks():
            found.update(chunk)
        if found.hexdigest() != self.manifest.sha256:
            raise ServerError(f"{self.path} is damaged: its checksum (SHA-256) is another one")

    def chunks(self) -> Iterator[bytes]:
        """The payload, from its beginning."""
        self._file.seek(self._offset)
        left = self.manifest.size
        while left:
            chunk = self._file.read(min(CHUNK, left))
            if not chunk:
                raise ServerError(f"{self.path} was cut short while it was read")
            left -= len(chunk)
            yield chunk

    def stream(self) -> io.BufferedReader:
        """The payload as a file, from its beginning."""
        return io.BufferedReader(_Chunked(self.chunks()), CHUNK)


class _Chunked(io.RawIOBase):
    """Chunks, read as a file is."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what io passes
        chunk = self._left or next(self._chunks, b"")
        size = min(len(buffer), len(chunk))
        buffer[:size] = chunk[:size]
        self._left = chunk[size:]
        return size


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """A backup, for as long as it is needed: one open file, so that it stays the same one."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ServerError(f"cannot read {path}: {error.strerror}") from None
    with file:
        yield Archive(path, file)
