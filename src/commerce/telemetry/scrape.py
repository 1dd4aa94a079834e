"""What `/metrics` shows: what all processes of this server counted, and what the store says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

import structlog
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from commerce.meter.meters import Family, Labels, Meters

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
ASK_SECONDS_MAX = 2.0
"""A source that has not answered by then is left out: a scrape is needed most in trouble."""
ZEROS_SHOWN_MAX = 32
"""A family of more meters shows those that have counted something: most operations are not used."""

log = structlog.get_logger("commerce.telemetry")


class Fact(NamedTuple):
    """A gauge that is looked up when somebody asks, the same whichever process is asked."""

    name: str
    doc: str
    value: float | None
    """None where there is nothing to tell yet."""
    labels: Mapping[str, str] = {}


class Source(NamedTuple):
    """Where facts come from: the store, most of them."""

    name: str
    ask: Callable[[], Awaitable[list[Fact]]]


class Scrape:
    """Everything there is to show, written in Prometheus' text format."""

    def __init__(self, meters: Meters, constants: list[Fact]) -> None:
        self._meters = meters
        self._constants = constants
        self.sources: list[Source] = []

    async def text(self) -> bytes:
        """All metrics as they are now."""
        answers = await asyncio.gather(*(_asked(source) for source in self.sources))
        return generate_latest(_Collected([*self._counted(), *self._said(answers)]))

    def _counted(self) -> Iterator[Metric]:
        board = self._meters.board
        for family in self._meters.families.values():
            metric = _KINDS[family.kind](family.name, family.doc, labels=family.label_names)
            for values, at in family.members:
                cells = board.sums(at, family.width)
                if any(cells) or len(family.members) <= ZEROS_SHOWN_MAX:
                    _add(metric, family, values, cells)
            yield metric

    def _said(self, answers: list[list[Fact] | None]) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "commerce_source_up", "Whether a source answered this scrape.", labels=["source"]
        )
        for source, facts in zip(self.sources, answers, strict=True):
            up.add_metric([source.name], float(facts is not None))
        yield up
        found: dict[str, Metric] = {}
        for fact in chain(self._constants, *(facts or () for facts in answers)):
            metric = found.setdefault(fact.name, Metric(fact.name, fact.doc, "gauge"))
            if fact.value is not None:
                metric.add_sample(fact.name, dict(fact.labels), fact.value)
        yield from found.values()


async def _asked(source: Source) -> list[Fact] | None:
    try:
        async with asyncio.timeout(ASK_SECONDS_MAX):
            return await source.ask()
    except Exception as error:  # noqa: BLE001 - whatever it is, the rest is shown
        log.warning("source_failed", source=source.name, reason=type(error).__name__)
        return None


_KINDS: dict[str, Callable[..., Metric]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _add(metric: Metric, family: Family, values: Labels, cells: list[int]) -> None:
    labels = dict(zip(family.label_names, values, strict=True))
    if family.kind != "histogram":
        metric.add_sample(family.name, labels, cells[0] / family.scale)
        return
    total = 0
    bounds = [*(str(bound / family.scale) for bound in family.bounds), "+Inf"]
    for bound, number in zip(bounds, cells, strict=False):
        total += number
        metric.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, total)
    metric.add_sample(f"{family.name}_count", labels, total)
    metric.add_sample(f"{family.name}_sum", labels, cells[-1] / family.scale)


class _Collected(Collector):
    """What was collected already, as the library wants to be given it."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        """All of it."""
        return self._metrics
