"""Faults, armed from a test in the processes of a server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.process import wait_until

ROOT = Path(__file__).parents[2]
LONG = "FAULTS_LONG" in os.environ
"""Whether there is time for all there is: `make faults`."""


class Faults:
    """The folder in which faults are armed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = [str(Path(__file__).parent / "inject"), str(ROOT)]
        if "PYTHONPATH" in os.environ:
            paths.append(os.environ["PYTHONPATH"])
        self.environment = {"FAULTS": str(folder), "PYTHONPATH": os.pathsep.join(paths)}
        """What a server is started with that is to suffer them."""

    def arm(self, point: str, passes: int = 0) -> None:
        """Have whichever process next reaches this point die there, after it has passed it."""
        self._write(point, passes)

    def is_armed(self, point: str) -> bool:
        """Whether nobody has died of it yet."""
        return (self.folder / point).exists()

    async def strike(self, point: str) -> None:
        """Arm, and wait until somebody has died of it."""
        self.arm(point)
        await asyncio.to_thread(wait_until, lambda: not self.is_armed(point))

    def set_clock(self, seconds: int) -> None:
        """Have the processes that were started since the first time read a time this far off."""
        self._write("clock", seconds)

    def _write(self, name: str, number: int) -> None:
        fresh = self.folder / f"{name}.new"
        fresh.write_text(str(number))
        fresh.replace(self.folder / name)
