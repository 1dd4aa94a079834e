"""Metrics as Prometheus reads them."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Shown(NamedTuple):
    """What `/metrics` showed."""

    values: dict[tuple[str, Labels], float]
    kinds: dict[str, str]
    """The kind of each family, by the name under which it is queried."""

    def value(self, name: str, **labels: str) -> float:
        """One sample; 0 where it is not shown, as a query would have it."""
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def sum(self, name: str) -> float:
        """All samples of a name, added up."""
        return sum(value for (found, _), value in self.values.items() if found == name)

    def label_names(self, name: str) -> set[str]:
        """The labels that samples of a name have."""
        return {key for (found, labels) in self.values if found == name for key, _ in labels}


def read(text: bytes) -> Shown:
    """Parse the text format; a sample that stands twice is an error."""
    values: dict[tuple[str, Labels], float] = {}
    kinds: dict[str, str] = {}
    for family in text_string_to_metric_families(text.decode()):
        total = "_total" if family.type == "counter" else ""
        kinds[family.name + total] = family.type
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in values, key
            values[key] = sample.value
    return Shown(values, kinds)
