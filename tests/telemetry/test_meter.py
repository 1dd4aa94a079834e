"""Meters: what processes count on one board, added up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from commerce.meter.board import BYTES, CELLS_MAX, Board, shared_memory
from commerce.meter.meters import Meters
from commerce.telemetry.scrape import Scrape
from tests.telemetry.reading import Shown, read

COUNTING = """
import sys
from commerce.meter.board import Board
from commerce.meter.meters import Meters
meters = Meters(Board(2, 1, int(sys.argv[1])))
meters.counter("one_total", "One.").add(int(sys.argv[2]))
meters.gauge("two", "Two.").set(int(sys.argv[2]))
meters.histograms("three_seconds", "Three.", (0.001, 1))[()].observe(int(sys.argv[2]))
"""


def shown(meters: Meters) -> Shown:
    return read(asyncio.run(Scrape(meters, []).text()))


def test_what_another_process_counts_is_added_and_stays_when_it_is_gone() -> None:
    descriptor = shared_memory(2)
    meters = Meters(Board(2, 0, descriptor))
    one, two = meters.counter("one_total", "One."), meters.gauge("two", "Two.")
    three = meters.histograms("three_seconds", "Three.", (0.001, 1))[()]
    one.add(5)
    two.set(1)
    three.observe(1_000_000)
    for number in (7, 30):
        command = [sys.executable, "-c", COUNTING, str(descriptor), str(number)]
        subprocess.run(command, pass_fds=[descriptor], check=True)
    os.close(descriptor)
    found = shown(meters)
    assert one.value == 5
    assert found.value("one_total") == 5 + 7 + 30
    assert found.value("two") == 1 + 30, "what the first one left in its gauge is forgotten"
    assert found.value("three_seconds_count") == 3
    assert found.value("three_seconds_sum") == pytest.approx(0.001000037)


def test_a_histogram_counts_by_bounds_that_are_the_most_and_adds_up() -> None:
    meters = Meters()
    times = meters.histograms("time_seconds", "Time.", (0.5, 1, 2), place=("here", "there"))
    for milliseconds in (500, 501, 1000, 2000, 2001, 60_000):
        times["here",].observe(milliseconds * 1_000_000)
    found = shown(meters)
    within = {le: found.value("time_seconds_bucket", place="here", le=le) for le in BOUNDS}
    assert within == {"0.5": 1, "1.0": 3, "2.0": 4, "+Inf": 6}
    assert found.value("time_seconds_count", place="here") == 6
    assert found.value("time_seconds_sum", place="here") == pytest.approx(66.002)
    assert found.value("time_seconds_count", place="there") == 0
    assert found.kinds == {"time_seconds": "histogram", "commerce_source_up": "gauge"}


BOUNDS = ("0.5", "1.0", "2.0", "+Inf")


def test_of_a_large_family_only_what_has_counted_is_shown() -> None:
    meters = Meters()
    many = meters.counters("many_total", "Many.", which=[str(n) for n in range(100)])
    few = meters.counters("few_total", "Few.", which=["a", "b"])
    many["42",].add()
    few["a",].add(2)
    found = shown(meters)
    assert [key for key in found.values if key[0] == "many_total"] == [
        ("many_total", frozenset({("which", "42")}))
    ]
    assert len([key for key in found.values if key[0] == "few_total"]) == 2


def test_a_name_is_taken_once_and_more_than_there_is_room_for_is_refused() -> None:
    meters = Meters()
    meters.counter("one_total", "One.")
    with pytest.raises(AssertionError, match="one_total"):
        meters.counter("one_total", "One again.")
    board = Board()
    board.take(CELLS_MAX)
    with pytest.raises(MemoryError, match="numbers"):
        board.take(1)


def test_where_there_is_no_memory_without_a_file_one_is_made_that_has_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = shared_memory(3)
    status = os.fstat(descriptor)
    assert (status.st_size, status.st_nlink) == (3 * CELLS_MAX * BYTES, 0)
    Board(3, 1, descriptor).cells[0] = 4
    Board(3, 2, descriptor).cells[0] = 5
    assert Board(3, 0, descriptor).sums(0, 1) == [9]
    os.close(descriptor)
