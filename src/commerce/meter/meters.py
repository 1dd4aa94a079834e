"""Meters: counters, gauges and histograms on a board, each with a name, a meaning and labels.

They cost a tenth of the Prometheus client's own, which is left what it is best at: the format.
Labels have few values, all known from the start, so a name of a client's never becomes one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal, NamedTuple, TypeVar

from commerce.meter.board import Board

NANOSECONDS = 1_000_000_000

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]
Meter = TypeVar("Meter")


class Counter:
    """A number that grows."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: memoryview[int], at: int) -> None:
        self._cells = cells
        self._at = at

    def add(self, number: int = 1) -> None:
        """Count so many more."""
        self._cells[self._at] += number

    @property
    def value(self) -> int:
        """What this process has counted."""
        return self._cells[self._at]


class Gauge(Counter):
    """A number that grows and falls; what processes have is added up."""

    __slots__ = ()

    def set(self, number: int) -> None:
        """Say what it is now."""
        self._cells[self._at] = number


class Histogram:
    """How often something was how much, by bounds, and the sum of it all."""

    __slots__ = ("_at", "_bounds", "_cells", "_sum")

    def __init__(self, cells: memoryview[int], at: int, bounds: Sequence[int]) -> None:
        self._cells = cells
        self._at = at
        self._bounds = bounds
        self._sum = at + len(bounds) + 1

    def observe(self, number: int) -> None:
        """Count one more that was so much: nanoseconds where it is a time."""
        self._cells[self._at + bisect_left(self._bounds, number)] += 1
        self._cells[self._sum] += number


class Family(NamedTuple):
    """All meters of one name."""

    name: str
    kind: Kind
    doc: str
    label_names: Labels
    bounds: tuple[int, ...]
    """The bounds of a histogram, each the most that is counted there."""
    scale: int
    """Cells hold so many times what is shown: times are kept in nanoseconds, shown in seconds."""
    members: list[tuple[Labels, int]]
    """The values of the labels of each meter, and the place of its cells."""

    @property
    def width(self) -> int:
        """How many cells a meter has."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


class Meters:
    """All that a process counts."""

    def __init__(self, board: Board | None = None) -> None:
        self.board = board or Board()
        self.families: dict[str, Family] = {}

    def counter(self, name: str, doc: str) -> Counter:
        """A counter without labels."""
        return self.counters(name, doc)[()]

    def counters(self, name: str, doc: str, **labels: Sequence[str]) -> dict[Labels, Counter]:
        """Counters by the values of their labels."""
        family = self._family(Family(name, "counter", doc, tuple(labels), (), 1, []), labels)
        return self._made(family, Counter)

    def gauge(self, name: str, doc: str) -> Gauge:
        """A gauge. What a process that has died left in it is forgotten."""
        family = self._family(Family(name, "gauge", doc, (), (), 1, []), {})
        gauge = self._made(family, Gauge)[()]
        gauge.set(0)
        return gauge

    def histograms(
        self,
        name: str,
        doc: str,
        bounds: Sequence[float],
        scale: int = NANOSECONDS,
        **labels: Sequence[str],
    ) -> dict[Labels, Histogram]:
        """Histograms by the values of their labels; of times, unless the scale is another."""
        kept = tuple(round(bound * scale) for bound in bounds)
        family = Family(name, "histogram", doc, tuple(labels), kept, scale, [])
        self._family(family, labels)
        return self._made(family, lambda cells, at: Histogram(cells, at, kept))

    def _family(self, family: Family, labels: dict[str, Sequence[str]]) -> Family:
        assert family.name not in self.families, f"{family.name} is there already"
        self.families[family.name] = family
        for values in product(*labels.values()):
            family.members.append((values, self.board.take(family.width)))
        return family

    def _made(
        self, family: Family, make: Callable[[memoryview[int], int], Meter]
    ) -> dict[Labels, Meter]:
        return {values: make(self.board.cells, at) for values, at in family.members}
