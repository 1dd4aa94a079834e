"""The OpenAPI document: whole, consistent, and true of the answers there are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from commerce.installation import handbook
from commerce.kernel.errors import ERRORS
from commerce.resource.access import SCOPES
from commerce.resource.registry import Endpoint
from commerce.settings import Settings
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
        assert schema.faults(document, asked, body or {}) == []
    reply = await stage.ask(route, play.party.key, body)
    good = {int(status) for status in operation["responses"] if status.startswith("2")}
    assert reply.status in good
    if good == {200, 201}:
        again = await stage.ask(route, play.party.key, body)
        assert {reply.status, again.status} == good
    else:
        assert len(good) == 1
    answered = operation["responses"][str(reply.status)]
    form = answered["content"]["application/json"]["schema"]
    assert schema.faults(document, form, reply.json) == []
    for name in answered["headers"]:
        header = document["components"]["headers"][name]
        if header.get("required"):
            assert name.lower() in reply.headers


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_real_refusal_is_as_described(
    stage: Stage, play: Rehearsal, document: dict[str, Any], endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    operation = described(document, endpoint)
    lacking = await stage.make_key(play.party, "restricted", ["agents:execute"])
    public = await stage.make_key(play.party, "public")
    key = play.party.key
    replies = [
        await stage.ask(route, None),
        await stage.ask(route, "nonsense"),
        await stage.ask(route, public),
        await stage.ask(f"{route}?zzz=1", key),
        await stage.ask(route, key, StateSet_Version="1999-01-01"),
        await stage.ask(route, key, X_Account_Id="acct_nobody"),
    ]
    if not endpoint.access.any_key:
        replies.append(await stage.ask(route, lacking))
    if endpoint.kind == "verb":
        replies += [
            await stage.ask(route, key, "{"),
            await stage.ask(route, key, {"zzz": 1}),
            await stage.ask(route, key, body, Idempotency_Key="k" * 256),
        ]
    if "{" in endpoint.path:
        missing = re.sub(r"{\w+}", "nothing", endpoint.name)
        replies.append(await stage.ask(missing, key))
    for reply in replies:
        assert reply.status >= 400, reply.body
        answered = operation["responses"][str(reply.status)]
        form = answered["content"]["application/json"]["schema"]
        assert schema.faults(document, form, reply.json) == []


async def test_a_refusal_tells_of_limits_and_of_replays_where_it_can_have_them(
    document: dict[str, Any],
) -> None:
    for endpoint in ENDPOINTS:
        answers = described(document, endpoint)["responses"]
        for status, answer in answers.items():
            if "x-codes" not in answer:
                continue
            named_headers = answer["headers"].keys()
            assert ("X-RateLimit-Limit" in named_headers) == (status != "401")
            kept = [code for code in answer["x-codes"] if ERRORS[code].remembered]
            replayed = endpoint.kind == "verb" and bool(kept)
            assert ("Idempotent-Replayed" in named_headers) == replayed
        assert "Idempotent-Replayed" not in answers["429"]["headers"]


async def test_metadata_is_said_to_be_empty_where_no_request_sets_it(
    document: dict[str, Any],
) -> None:
    said = {
        noun.__name__
        for noun in REGISTRY.nouns
        if "Always empty"
        in document["components"]["schemas"][noun.__name__]["properties"]["metadata"]["description"]
    }
    assert said >= {"ApiKey", "Event", "Transaction"}
    assert not said & {"Account", "Transfer", "Issuance", "Redemption", "Deposit"}


async def test_the_checker_finds_what_is_wrong(document: dict[str, Any]) -> None:
    account = {"$ref": "#/components/schemas/Account"}
    found = " ".join(schema.faults(document, account, {"livemode": "no", "colour": "red"}))
    assert "'no' is not of type 'boolean'" in found
    assert "('colour' was unexpected)" in found
    assert "'wallet' is a required property" in found


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    validate(document)


async def test_an_alias_is_marked_and_names_the_operation_it_is(document: dict[str, Any]) -> None:
    pairs = [(each, path) for each, path in REGISTRY.endpoints() if path != each.path]
    assert pairs
    for endpoint, path in pairs:
        alias = document["paths"][f"/v1{path}"][endpoint.method.lower()]
        documented = described(document, endpoint)
        assert alias["x-alias-of"] == documented["operationId"]
        assert f"{endpoint.method} /v1{path}" in documented["x-aliases"]
        assert alias["responses"].keys() == documented["responses"].keys()


async def test_every_operation_shows_an_answer_that_was_given(document: dict[str, Any]) -> None:
    for endpoint in ENDPOINTS:
        operation = described(document, endpoint)
        shown = [
            answer["content"]["application/json"]
            for status, answer in operation["responses"].items()
            if status.startswith("2") and "example" in answer["content"]["application/json"]
        ]
        assert len(shown) == 1, endpoint.name
        assert schema.faults(document, shown[0]["schema"], shown[0]["example"]) == []
        if endpoint.kind == "verb":
            asked = operation["requestBody"]["content"]["application/json"]
            assert schema.faults(document, asked["schema"], asked["example"]) == []


async def test_no_example_shows_a_key(stage: Stage) -> None:
    reply = await stage.send("GET", b"/openapi.json", [])
    assert b"rk_test_\xe2\x80\xa6" in reply.body
    assert not re.search(rb"[spr]k_(test|live)_[0-9A-Za-z]{10}", reply.body)


async def test_the_document_is_the_same_each_time_it_is_made() -> None:
    settings = Settings(base_url=BASE_URL)
    made = [await handbook(settings).document() for _ in range(2)]
    assert made[0] == made[1]


async def test_a_list_of_ids_of_which_each_was_replaced_is_as_described(
    stage: Stage, play: Rehearsal, document: dict[str, Any]
) -> None:
    page = await stage.get("/orders/list?expand[]=data.payments", play.party.key)
    (endpoint,) = [each for each in ENDPOINTS if each.name == "GET /orders/list"]
    answered = described(document, endpoint)["responses"]["200"]
    form = answered["content"]["application/json"]["schema"]
    assert any(each["payments"] for each in page["data"])
    assert schema.faults(document, form, page) == []
