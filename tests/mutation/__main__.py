"""Mutants on the command line: each is made, and the tests that reach it are to notice."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tomllib
from pathlib import Path

import pytest

from tests.mutation import afresh
from tests.mutation.crowd import SOURCE, Crowd, Fate
from tests.mutation.mutant import of_layers

LAYERS = ("kernel", "ledger", "books", "engine")
TESTS = (
    "tests/unit",
    "tests/ledger",
    "tests/engine",
    "tests/store/test_memory.py",
    "tests/simulation/test_simulation.py",
    "tests/areas",
    "tests/reading",
    "tests/races",
    "tests/contract",
)
SURVIVORS = Path(__file__).with_name("survivors.toml")
OPTIONS = ("-q", "-s", "-p", "no:cacheprovider", "-p", "no:cov", "-m", "not slow")


def main() -> int:
    """Try what is asked for; 1 where a mutant survives of which nobody has said why it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("only", nargs="*", default=LAYERS, help="such as kernel, or engine/batch")
    parser.add_argument("--sample", type=int, help="try so many of them, chosen by chance")
    parser.add_argument("--seed", type=int, default=0, help="the chance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=15.0, help="of tests, without a database")
    parser.add_argument("--imported", action="store_true", help="those of what runs at import")
    parser.add_argument("--again", type=Path, help="only those that survived in such a file")
    parser.add_argument("--tests", nargs="*", default=TESTS)
    parser.add_argument("--out", type=Path, help="a file for what became of each, as JSON")
    given = parser.parse_args()
    found = [
        each for each in of_layers(LAYERS, SOURCE) if each.module.startswith(tuple(given.only))
    ]
    if given.again is not None:
        fates = map(json.loads, given.again.read_text("utf-8").splitlines())
        left = {fate["mutant"] for fate in fates if fate["killed_by"] is None}
        found = [mutant for mutant in found if mutant.name in left]
    found = [mutant for mutant in found if (mutant.function is None) is given.imported]
    if given.sample is not None:
        found = random.Random(given.seed).sample(found, min(given.sample, len(found)))
    tally = Tally(given.out)
    if not given.imported:
        crowd = Crowd(found, given.jobs, given.seconds, tally.told)
        pytest.main([*OPTIONS, *given.tests], plugins=[crowd])
        # A function that no test reaches may have been called when it was imported.
        found = [mutant for mutant in found if mutant.name in tally.unreached]
    afresh.run(found, given.jobs, tally.told)
    return tally.end()


def explained() -> dict[str, str]:
    """Why each mutant may survive that does, by its name."""
    rows = tomllib.loads(SURVIVORS.read_text("utf-8"))["survivor"]
    return {f"{row['where']}: {row['wrong']}": row["why"] for row in rows}


class Tally:
    """What became of the mutants so far."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._explained = explained()
        self._fates: dict[str, Fate] = {}
        self.unreached: set[str] = set()

    def told(self, fate: Fate) -> None:
        """Take down a fate; a mutant that survives and that nobody has explained is shown."""
        if fate.tests == 0 and fate.killed_by is None:
            self.unreached.add(fate.mutant)
            return
        self._fates[fate.mutant] = fate
        if self._out is not None:
            with self._out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(fate._asdict()) + "\n")
        if fate.killed_by is None and fate.mutant not in self._explained:
            print(f"survived: {fate.mutant} (line {fate.line})", flush=True)

    def end(self) -> int:
        """Say it in one line; 1 where there are survivors that nobody has explained."""
        alive = [name for name, fate in self._fates.items() if fate.killed_by is None]
        unknown = [name for name in alive if name not in self._explained]
        killed, known = len(self._fates) - len(alive), len(alive) - len(unknown)
        print(f"{killed} killed, {known} survived as explained, {len(unknown)} survived")
        return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
