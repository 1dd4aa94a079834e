"""Examples: every verb owes one, and none costs the engine a second look."""

from __future__ import annotations

import pytest

from commerce.resource.registry import Endpoint
from tests.contract.surface import LISTS, VERBS, Rehearsal, named, rehearsal
from tests.stage import Stage


@pytest.mark.parametrize("verb", VERBS, ids=named)
def test_every_verb_owes_an_example(verb: Endpoint) -> None:
    assert verb.operation is not None
    assert verb.operation.example is not None


@pytest.mark.parametrize("accounts", ["known", "new"])
@pytest.mark.parametrize("verb", VERBS, ids=named)
async def test_no_example_needs_an_extra_round(
    stage: Stage, play: Rehearsal, verb: Endpoint, accounts: str
) -> None:
    """A miss is the safety net: `needs` names all that a verb touches, also on first sight."""
    actor = play if accounts == "known" else await rehearsal(stage)
    route, body = await actor.stage_of(verb)
    tally = stage.app.engine.tally
    before = (tally.rounds, tally.restarts, tally.conflicts, tally.singles)
    await stage.done(route, actor.party.key, **body or {})
    after = (tally.rounds, tally.restarts, tally.conflicts, tally.singles)
    assert after == before


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_the_examples_leave_no_list_empty(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    page = await stage.get(endpoint.path, play.party.key)
    assert page["data"]
    await stage.audit()
