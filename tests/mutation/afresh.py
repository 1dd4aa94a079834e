"""Mutants of what runs when a module is imported: tests are run in a process of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from ast import unparse
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutation.crowd import SOURCE, Fate
from tests.mutation.mutant import Mutant

TESTS = ("tests/unit/kernel", "tests/ledger", "tests/engine", "tests/contract/test_table.py")
SECONDS_MAX = 300
FAILED = (1, 2, 3, 4)
"""What pytest says where a test fails, or where the mutant cannot even be imported."""


def run(mutants: Iterable[Mutant], jobs: int, told: Callable[[Fate], None]) -> None:
    """Have the tests notice each."""
    with ThreadPoolExecutor(jobs) as pool:
        for fate in pool.map(_try, mutants):
            told(fate)


def _try(mutant: Mutant) -> Fate:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="commerce-mutant-") as folder:
        package = Path(folder) / SOURCE.name
        shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
        package.chmod(0o755)
        (package / mutant.module).write_text(unparse(mutant.made()), encoding="utf-8")
        status = _tested(Path(folder))
    seconds = round(time.monotonic() - began, 2)
    killed_by = "one of all" if status in FAILED else None
    return Fate(mutant.name, mutant.lines[0], killed_by, len(TESTS), seconds)


def _tested(folder: Path) -> int:
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "-m", "not slow"]
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *TESTS],
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS_MAX,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return FAILED[0]
