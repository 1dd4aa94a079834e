"""The last verify: noted in the data folder, since it may run beside the server."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from commerce.telemetry.scrape import Fact

FILE = "verified.json"


class Verified(msgspec.Struct, frozen=True):
    """What a verify found, and when."""

    finished: int
    """Unix seconds."""
    findings: int
    entries: int


def note(data_dir: Path, findings: int, entries: int) -> None:
    """Note a verify that has ended; where the folder is somebody else's, it stays unknown."""
    fresh = data_dir / f".{FILE}.{os.getpid()}"
    text = msgspec.json.encode(Verified(int(time.time()), findings, entries))
    with suppress(OSError):
        fresh.write_bytes(text)
        fresh.replace(data_dir / FILE)


def read(data_dir: Path) -> Verified | None:
    """The last one that was noted. Raises OSError and `msgspec.MsgspecError`."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return msgspec.json.decode((data_dir / FILE).read_bytes(), type=Verified)
    return None


async def last(data_dir: Path) -> list[Fact]:
    """The last one as facts. Raises OSError and `msgspec.MsgspecError`."""
    found = read(data_dir)
    values: tuple[int | None, ...] = (None, None, None)
    if found is not None:
        values = (found.finished, int(found.findings == 0), found.entries)
    facts = zip(("timestamp_seconds", "ok", "entries"), _DOCS, values, strict=True)
    return [Fact(f"commerce_verify_last_{name}", doc, value) for name, doc, value in facts]


_DOCS = (
    "When the last verify with this data folder ended, Unix time.",
    "Whether every invariant held in it.",
    "The ledger entries that it looked at.",
)
