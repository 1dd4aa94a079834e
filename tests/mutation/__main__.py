"""Mutants on the command line: each is made, and the tests that reach it are to notice."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from ast import parse
from pathlib import Path

import pytest

from tests.mutation.crowd import SOURCE, Crowd, Fate
from tests.mutation.mutant import mutants

LAYERS = ("kernel", "ledger", "books", "engine")
TESTS = (
    "tests/unit",
    "tests/ledger",
    "tests/engine",
    "tests/store/test_memory.py",
    "tests/store/test_layout.py",
    "tests/simulation/test_simulation.py",
    "tests/areas",
    "tests/races",
    "tests/contract",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("only", nargs="*", default=LAYERS, help="layers or modules: kernel/money")
    parser.add_argument("--sample", type=int, help="try so many of them, chosen by chance")
    parser.add_argument("--seed", type=int, default=0, help="the chance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=20.0, help="of tests with a database each")
    parser.add_argument("--tests", nargs="*", default=TESTS)
    parser.add_argument("--out", type=Path, default=Path("/tmp/mutants.jsonl"))
    given = parser.parse_args()
    found = [
        mutant
        for layer in LAYERS
        for path in sorted((SOURCE / layer).glob("*.py"))
        if any(f"{layer}/{path.stem}".startswith(each) for each in given.only)
        for mutant in mutants(f"{layer}/{path.name}", parse(path.read_text()))
    ]
    if given.sample is not None:
        found = random.Random(given.seed).sample(found, min(given.sample, len(found)))
    out = given.out.open("a")

    def told(fate: Fate) -> None:
        out.write(json.dumps(fate._asdict()) + "\n")
        out.flush()
        if fate.killed_by is None:
            print(fate, flush=True)

    crowd = Crowd(found, given.jobs, given.seconds, told)
    pytest.main(
        ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:cov", "-m", "not slow", *given.tests],
        plugins=[crowd],
    )
    alive = [f for f in crowd.fates if f.killed_by is None]
    print(len(crowd.fates), "tried of", len(found), len(alive), "survived")
    return 0


if __name__ == "__main__":
    sys.exit(main())
