"""PostgreSQL's own list of what a physical backup holds, and whether it is all there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from commerce.installation import ServerError
from commerce.store.binary import Programs

NAME = "backup_manifest"
LABOUR_SECONDS_MAX = 24 * 3600.0
UNLISTED = ("pg_wal/", NAME)
"""The log is checked by reading it, and the list is not on itself."""


class Laid(NamedTuple):
    """A file as it was laid down."""

    size: int
    sha256: str


class _File(msgspec.Struct):
    size: int = msgspec.field(name="Size")
    algorithm: str = msgspec.field(name="Checksum-Algorithm")
    checksum: str = msgspec.field(name="Checksum")
    path: str | None = msgspec.field(name="Path", default=None)
    encoded_path: str | None = msgspec.field(name="Encoded-Path", default=None)

    @property
    def name(self) -> str:
        """Its path within the cluster; one that is not UTF-8 is given in hex."""
        if self.encoded_path is None:
            return self.path or ""
        return bytes.fromhex(self.encoded_path).decode(errors="surrogateescape")


class _Range(msgspec.Struct):
    timeline: int = msgspec.field(name="Timeline")
    start: str = msgspec.field(name="Start-LSN")
    end: str = msgspec.field(name="End-LSN")


class _Inventory(msgspec.Struct):
    files: list[_File] = msgspec.field(name="Files")
    ranges: list[_Range] = msgspec.field(name="WAL-Ranges")
    checksum: str = msgspec.field(name="Manifest-Checksum")


def check_inventory(cluster: Path, laid: dict[str, Laid], own: Programs) -> None:
    """See that exactly the files are there that PostgreSQL sent, and the log that makes them whole.

    It does what `pg_verifybackup` does, which not every build of the programs can run. Raises
    `ServerError` and `EmbeddedError`.
    """
    inventory = _read((cluster / NAME).read_bytes())
    said = {each.name: each for each in inventory.files}
    more = {name for name in laid.keys() - said.keys() if not name.startswith(UNLISTED)}
    for name in sorted(more | (said.keys() - laid.keys())):
        there = "is not in it" if name in said else "is not on PostgreSQL's list"
        raise ServerError(f"the backup is damaged: {name} {there}")
    for name, each in said.items():
        if each.algorithm != "SHA256" or Laid(each.size, each.checksum) != laid[name]:
            raise ServerError(f"the backup is damaged: {name} is not as PostgreSQL sent it")
    for part in inventory.ranges:
        _read_log(cluster, part, own)


def _read(text: bytes) -> _Inventory:
    """The list, if it is whole by its own checksum, which is of all its lines but the last."""
    try:
        inventory = msgspec.json.decode(text, type=_Inventory)
    except msgspec.MsgspecError as error:
        raise ServerError(f"the backup is damaged: {NAME}: {error}") from None
    listed = text[: text.rindex(b'"Manifest-Checksum"')]
    if hashlib.sha256(listed).hexdigest() != inventory.checksum:
        raise ServerError(f"the backup is damaged: {NAME} was changed")
    return inventory


def _read_log(cluster: Path, part: _Range, own: Programs) -> None:
    """Read the log from where recovery begins to where the files are consistent."""
    arguments = [f"--path={cluster / 'pg_wal'}", f"--timeline={part.timeline}"]
    arguments += [f"--start={part.start}", f"--end={part.end}", "--quiet"]
    own.run("pg_waldump", *arguments, timeout_seconds=LABOUR_SECONDS_MAX)
