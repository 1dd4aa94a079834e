"""The board: a row of numbers for each process of a server, in memory that they share."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path

CELLS_MAX = 1 << 16
"""Numbers of one process. Memory that no number was written to costs nothing."""
BYTES = 8


def shared_memory(rows: int) -> int:
    """The descriptor of memory for so many processes, all numbers 0.

    Where it can be it is no file on a disk: writing to one waits now and then until it is saved.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("commerce-board")
    else:
        descriptor, path = tempfile.mkstemp(prefix="commerce-board-")
        Path(path).unlink()
    os.ftruncate(descriptor, rows * CELLS_MAX * BYTES)
    return descriptor


class Board:
    """The numbers of all processes; each writes its own row, and whoever is asked adds them up.

    A row belongs to the place of a process: the one that takes a dead one's place counts on, so
    that no sum ever falls.
    """

    def __init__(self, rows: int = 1, row: int = 0, descriptor: int = -1) -> None:
        """Take one row of the memory behind a descriptor; without one, of memory of our own."""
        memory = memoryview(mmap.mmap(descriptor, rows * CELLS_MAX * BYTES)).cast("q")
        self._rows = [memory[at * CELLS_MAX : (at + 1) * CELLS_MAX] for at in range(rows)]
        self.cells = self._rows[row]
        self._taken = 0

    def take(self, number: int) -> int:
        """The place of so many cells that nobody else has, the same in every process.

        All of them must take the same numbers in the same order. Raises MemoryError.
        """
        at = self._taken
        self._taken += number
        if self._taken > CELLS_MAX:
            raise MemoryError(f"more than {CELLS_MAX} numbers are counted")
        return at

    def sums(self, at: int, number: int) -> list[int]:
        """Cells of all processes, added up."""
        rows = [row[at : at + number].tolist() for row in self._rows]
        return rows[0] if len(rows) == 1 else [sum(column) for column in zip(*rows, strict=True)]
