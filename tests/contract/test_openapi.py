"""The OpenAPI document: whole, consistent, and true of the answers there are."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.resource.access import SCOPES
from commerce.resource.registry import Endpoint
from tests.contract import schema
from tests.contract.surface import ENDPOINTS, REGISTRY, Rehearsal, named
from tests.stage import BASE_URL, Stage


@pytest.fixture(scope="module")
async def document(stage: Stage) -> dict[str, Any]:
    reply = await stage.send("GET", b"/openapi.json", [])
    assert reply.headers["content-type"] == "application/json"
    document: dict[str, Any] = reply.json
    return document


def described(document: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][f"/v1{endpoint.path}"][endpoint.method.lower()]
    return found


async def test_every_route_of_the_router_is_in_it_and_no_other(document: dict[str, Any]) -> None:
    routes = {(f"/v1{path}", each.method.lower()) for each, path in REGISTRY.endpoints()}
    listed = {(path, method) for path, item in document["paths"].items() for method in item}
    assert listed == routes


async def test_every_reference_leads_somewhere(
    document: dict[str, Any],
) -> None:
    used = set(schema.references(document))
    assert used
    for reference in used:
        assert schema.resolved(document, reference)


async def test_operations_have_ids_of_their_own_scopes_and_words(document: dict[str, Any]) -> None:
    operations = [each for item in document["paths"].values() for each in item.values()]
    ids = [each["operationId"] for each in operations]
    assert len(set(ids)) == len(ids)
    assert {each["x-scope"] for each in operations if "x-scope" in each} <= set(SCOPES)
    assert all(each["summary"].endswith(".") for each in operations)
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": BASE_URL}]


async def test_every_field_of_every_object_has_its_words(document: dict[str, Any]) -> None:
    silent = [
        f"{noun.__name__}.{name}"
        for noun in REGISTRY.nouns
        for name, member in document["components"]["schemas"][noun.__name__]["properties"].items()
        if "description" not in member and "$ref" not in member and name != "object"
    ]
    assert silent == []


async def test_nothing_hidden_is_described(document: dict[str, Any]) -> None:
    for noun in REGISTRY.nouns:
        spec = noun.__noun__
        properties = document["components"]["schemas"][noun.__name__]["properties"]
        assert properties.keys() == {"object", *(name for _, name in spec.shown)}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_real_answer_is_as_described(
    stage: Stage, play: Rehearsal, document: dict[str, Any], endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    operation = described(document, endpoint)
    if endpoint.kind == "verb":
        asked = operation["requestBody"]["content"]["application/json"]["schema"]
        assert list(schema.faults(document, asked, body)) == []
    reply = await stage.ask(route, play.party.key, body)
    answered = operation["responses"][str(reply.status)]["content"]["application/json"]["schema"]
    assert list(schema.faults(document, answered, reply.json)) == []


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_real_refusal_is_as_described(
    stage: Stage, play: Rehearsal, document: dict[str, Any], endpoint: Endpoint
) -> None:
    route, _ = await play.stage_of(endpoint)
    error = described(document, endpoint)["responses"]["default"]
    form = error["content"]["application/json"]["schema"]
    for key in (None, "nonsense"):
        reply = await stage.ask(route, key)
        assert list(schema.faults(document, form, reply.json)) == []
    reply = await stage.ask(f"{route}?zzz=1", play.party.key)
    assert list(schema.faults(document, form, reply.json)) == []


async def test_the_reader_finds_what_is_wrong(document: dict[str, Any]) -> None:
    account = {"$ref": "#/components/schemas/Account"}
    found = list(schema.faults(document, account, {"livemode": "no", "colour": "red"}))
    assert "$.livemode: 'no' is not ['boolean']" in found
    assert "$.colour is not declared" in found
    assert "$.wallet is missing" in found
