"""Accounts and modes see nothing of each other, and ids of another kind open nothing."""

from __future__ import annotations

import pytest

from commerce.areas.identity.account import Account
from commerce.resource.registry import Endpoint
from tests.contract import refusal
from tests.contract.surface import (
    ENDPOINTS,
    FIXTURES,
    LISTS,
    RETRIEVES,
    Rehearsal,
    named,
    rehearsal,
)
from tests.stage import Stage

ID_LENGTH_MIN = 26
NAMING = [endpoint for endpoint in ENDPOINTS if "{id}" in endpoint.path]


def in_both_modes(endpoint: Endpoint) -> bool:
    """An account spans both modes under one id; every other object is in one of them."""
    operation = endpoint.operation
    return Account in (endpoint.noun, operation and operation.returns)


@pytest.mark.parametrize("endpoint", NAMING, ids=named)
async def test_the_object_of_another_account_is_missing(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    before = await stage.dump()
    reply = await stage.ask(route, play.other.key, body)
    refusal.is_(reply, 404, "resource_missing", "id")
    assert "mode" not in reply.error["message"]
    assert await stage.dump() == before


@pytest.mark.parametrize(
    "endpoint", [each for each in RETRIEVES if not in_both_modes(each)], ids=named
)
async def test_a_test_object_is_missing_in_live_mode_and_the_message_says_so(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    live = await stage.in_mode(play.party.id, livemode=True)
    route, _ = await play.stage_of(endpoint)
    reply = await stage.ask(route, live.key)
    refusal.is_(reply, 404, "resource_missing", "id")
    says = "It exists in test mode, but a live mode key was used."
    assert says in reply.error["message"]


@pytest.mark.parametrize(
    "endpoint",
    [each for each in NAMING if each.kind == "verb" and not in_both_modes(each)],
    ids=named,
)
async def test_a_verb_does_not_reach_a_live_object_from_test_mode(
    stage: Stage, endpoint: Endpoint
) -> None:
    live = await rehearsal(stage, livemode=True)
    test = await stage.in_mode(live.party.id, livemode=False)
    route, body = await live.stage_of(endpoint)
    before = await stage.dump()
    reply = await stage.ask(route, test.key, body)
    refusal.is_(reply, 404, "resource_missing", "id")
    says = "It exists in live mode, but a test mode key was used."
    assert says in reply.error["message"]
    assert await stage.dump() == before


@pytest.mark.parametrize("endpoint", NAMING, ids=named)
async def test_an_id_of_another_kind_is_missing(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    id_ = next(part for part in route.split("/") if len(part) > ID_LENGTH_MIN)
    prefix = id_.partition("_")[0]
    others = []
    for kind in LISTS:
        for thing in (await stage.get(kind.path, play.party.key))["data"]:
            others += [thing["id"]] * (not thing["id"].startswith(f"{prefix}_"))
    before = await stage.dump()
    for id_ in {id_.partition("_")[0]: id_ for id_ in others}.values():
        route = endpoint.name.replace("{id}", id_)
        refusal.is_(await stage.ask(route, play.party.key, body), 404, "resource_missing", "id")
    assert await stage.dump() == before


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_a_list_holds_the_callers_own_objects_in_its_mode_only(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    async def ids(key: str) -> set[str]:
        page = await stage.get(f"{endpoint.path}?limit=100", key)
        return {thing["id"] for thing in page["data"]}

    live = await stage.in_mode(play.party.id, livemode=True)
    own = await ids(play.party.key)
    assert own
    shared = {
        transaction["id"]
        for transaction in (await stage.get(f"{endpoint.path}?limit=100", play.other.key))["data"]
        if transaction.get("to") == play.other.wallet
    }
    assert own & await ids(play.other.key) <= shared | FIXTURES
    assert not shared or "transactions" in endpoint.path or "history" in endpoint.path
    of_live_mode = await ids(live.key)
    assert own == of_live_mode if in_both_modes(endpoint) else own.isdisjoint(of_live_mode)
    for thing in (await stage.get(endpoint.path, play.party.key))["data"]:
        assert thing["livemode"] is False
