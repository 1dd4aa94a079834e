"""The simulation catches what is wrong: each mutant of engine and ledger by a seed of its own."""

from __future__ import annotations

from functools import cache

import pytest

from tests.simulation.mutant import SEEDS, Patch, the_fee_is_not_taken
from tests.simulation.plot import story
from tests.simulation.shrink import report, shortest
from tests.simulation.world import play


@cache
def findings_of(seed: int) -> list[str]:
    """What is wrong in a world without a mutant."""
    return play(story(seed)).auditor.findings


@pytest.mark.parametrize(
    ("mutant", "seed"), SEEDS.items(), ids=[mutant.__name__ for mutant in SEEDS]
)
def test_a_mutant_is_caught_by_its_seed_which_passes_without_it(mutant: Patch, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        assert play(story(seed)).auditor.findings != []
    assert findings_of(seed) == []


def test_a_failing_story_is_told_as_short_as_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    the_fee_is_not_taken(monkeypatch)
    whole = story(SEEDS[the_fee_is_not_taken])
    world = play(whole)
    short = shortest(whole, world).story
    # Somebody is given money, and sends some of it.
    assert [step.kind for step in short.steps] == ["issue", "transfer"]
    told = report(world)
    assert "transfer  by account" in told
    assert "is wrong" in told
