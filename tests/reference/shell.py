"""Shell snippets: run one after the other, their answers read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.process import environment

BIN = Path(sys.executable).parent
MARK = "=====next====="
TIDY = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"
"""What a snippet began in the background ends with it, even where a line fails."""
SECONDS_MAX = 120


class Said(NamedTuple):
    """What a line printed."""

    line: str
    text: str

    @property
    def answer(self) -> Any:
        """The JSON that a curl printed, after its head if it was asked for."""
        return json.loads(self.text[self.text.index("{") :])


def run(lines: list[str], folder: Path, **variables: str) -> list[Said]:
    """Run lines in one shell; each must succeed."""
    elsewhere = [each for each in os.environ["PATH"].split(os.pathsep) if Path(each) != BIN]
    script = "\n".join([TIDY, *(f"{line}\necho; echo {MARK}" for line in lines)])
    ran = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        # As a reader has it: `commerce` is in `.venv/bin`, and on no path.
        env=environment({"PATH": os.pathsep.join(elsewhere)} | variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout[-500:]
    return [Said(*pair) for pair in zip(lines, ran.stdout.split(MARK), strict=False)]
