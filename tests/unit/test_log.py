"""The log: what becomes of it where it cannot be written."""

import errno
import io

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
