"""Simulations on the command line: one seed and its story, or very many seeds on every core."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time

from tests.simulation.plot import story
from tests.simulation.shrink import report
from tests.simulation.world import play

SEEDS_AT_ONCE = 20


def main() -> int:
    """Play what is asked for; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0, help="the seed, or the first one")
    parser.add_argument("--count", type=int, help="play so many seeds and tell of failures only")
    given = parser.parse_args()
    if given.count is None:
        return _one(given.seed)
    return _many(range(given.seed, given.seed + given.count))


def _one(seed: int) -> int:
    """Tell the whole story of a seed."""
    world = play(story(seed))
    print(world.story)
    print("\nwhich happens so:", *world.told, sep="\n")
    if world.auditor.findings:
        print("\nIt fails. The shortest story that does:\n", report(world), sep="\n")
        return 1
    print(f"\n{world.operations} operations, {world.auditor.facts.seq} commits: all is right")
    return 0


def _many(seeds: range) -> int:
    """Play many seeds on all cores."""
    started, operations, played = time.monotonic(), 0, 0
    failed: list[int] = []
    chunks = [seeds[at : at + SEEDS_AT_ONCE] for at in range(0, len(seeds), SEEDS_AT_ONCE)]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for chunk, done, wrong in pool.imap_unordered(_play, chunks):
            operations, played = operations + done, played + len(chunk)
            failed += wrong
            seconds = time.monotonic() - started
            print(
                f"\r{played} of {len(seeds)} seeds, {operations} operations,"
                f" {operations / seconds:.0f} a second, {len(failed)} failed",
                end="",
                flush=True,
            )
            for seed in wrong:
                print(f"\nseed {seed} fails: make sim SEED={seed}", flush=True)
    print()
    if failed:
        print(report(play(story(min(failed)))))
    return 1 if failed else 0


def _play(seeds: range) -> tuple[range, int, list[int]]:
    worlds = ((seed, play(story(seed))) for seed in seeds)
    found = [(seed, world.operations, bool(world.auditor.findings)) for seed, world in worlds]
    return seeds, sum(done for _, done, _ in found), [seed for seed, _, wrong in found if wrong]


if __name__ == "__main__":
    sys.exit(main())
