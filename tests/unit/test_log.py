"""The log: what becomes of it where it cannot be written."""

import errno
import io

import pytest

from commerce import log
from commerce.log import GatheredLines


class Full(io.BytesIO):
    """A file on a disk without room."""

    full = True

    def write(self, text: object, /) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)  # type: ignore[arg-type]


def test_lines_for_which_there_is_no_room_are_dropped_and_later_ones_written() -> None:
    file = Full()
    lines = GatheredLines(file)
    lines.write(b"dropped\n")
    lines.flush()
    file.full = False
    lines.write(b"written\n")
    lines.flush()
    assert file.getvalue() == b"written\n"


async def test_a_log_that_has_gathered_enough_is_written_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "GATHERED_BYTES_MAX", 8)
    file = io.BytesIO()
    lines = GatheredLines(file)
    lines.write(b"short\n")
    lines.flush()
    assert file.getvalue() == b""
    lines.write(b"long\n")
    lines.flush()
    assert file.getvalue() == b"short\nlong\n"
    lines.write(b"later\n")
    lines.flush()
    lines.write_out()
    assert file.getvalue() == b"short\nlong\nlater\n"
