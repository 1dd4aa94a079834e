"""The dashboard for Grafana: what it queries is there, and what is there can be found."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from commerce.web.reference import guides
from tests.stage import Stage
from tests.telemetry.reading import Shown, read
from tests.tidy import tree

FILE = tree.ROOT / "docs" / "grafana" / "commerce.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
NAME = re.compile(r"\bcommerce_[a-z_]+")
BY = re.compile(r"\b(?:by|without|ignoring) \(([^)]*)\)")
SELECTOR = re.compile(r"(commerce_[a-z_]+)\{([^}]*)\}")
SCRAPED = {"job", "instance", "le"}
"""Labels that Prometheus adds."""


@pytest.fixture
async def shown(stage: Stage) -> Shown:
    return read((await stage.send("GET", b"/metrics", [])).body)


def family(name: str, shown: Shown) -> str:
    """The family of a sample: of a histogram's, the histogram."""
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return base if shown.kinds.get(base) == "histogram" else name


async def families(stage: Stage, shown: Shown) -> dict[str, set[str]]:
    """The labels of every family, of those included that have counted nothing yet."""
    counted = stage.app.scrape._meters.families
    labels = {name: set(family.label_names) for name, family in counted.items()}
    return {name: labels.get(name, shown.label_names(name)) for name in shown.kinds}


async def test_every_metric_and_label_that_is_queried_is_there(stage: Stage, shown: Shown) -> None:
    known = await families(stage, shown) | STORE
    assert len(QUERIES) > 30
    for query in QUERIES:
        names = {family(name, shown) for name in NAME.findall(query)}
        assert names, query
        assert names <= known.keys(), query
        labels = {label.strip() for group in BY.findall(query) for label in group.split(",")}
        allowed = SCRAPED.union(*(known[name] for name in names))
        assert labels <= allowed, query
        for name, selector in SELECTOR.findall(query):
            given = {each.partition("=")[0].strip(" !~") for each in selector.split(",")}
            assert given <= SCRAPED | known[family(name, shown)], query


STORE: dict[str, set[str]] = {
    name: set()
    for name in ("commerce_pool_size", "commerce_pool_queries", "commerce_pool_waits_total")
}
"""What the stage's store counts by itself; on a server it is shown with the rest."""


async def test_counters_are_queried_by_their_rate_and_every_query_closes_its_brackets(
    shown: Shown,
) -> None:
    for query in QUERIES:
        for opening, closing in ("()", "{}", "[]"):
            assert query.count(opening) == query.count(closing), query
        for name in NAME.findall(query):
            growing = shown.kinds.get(family(name, shown)) in ("counter", "histogram")
            if growing:
                assert re.search(rf"(rate|increase)\({name}[{{\[]", query), query


def test_panels_have_titles_queries_and_a_place_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        place = panel["gridPos"]
        assert panel["title"]
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["type"] in ("timeseries", "stat")
            assert panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["datasource"]["uid"] == "${datasource}"
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"datasource", "job"}


async def test_every_metric_is_on_the_dashboard_and_in_the_guide(
    stage: Stage, shown: Shown
) -> None:
    known = (await families(stage, shown) | STORE).keys()
    queried = {family(name, shown) for query in QUERIES for name in NAME.findall(query)}
    assert known - queried == set()
    listed = set(re.findall(r"^\| `(commerce_[a-z_]+)`", guides()["watch-a-server"], re.MULTILINE))
    assert listed == known


def test_the_guide_names_the_file_that_is_there() -> None:
    assert str(Path("docs/grafana/commerce.json")) in guides()["watch-a-server"]
