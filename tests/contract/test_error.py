"""Errors, headers, methods, versions and unknown parameters, on every endpoint there is."""

from __future__ import annotations

import re

import pytest

from commerce.http.routes import Router
from commerce.kernel.errors import ROWS, ApiError
from commerce.resource.operation import Access
from commerce.resource.registry import TAKEN_AS, Endpoint
from tests.contract import refusal
from tests.contract.surface import ENDPOINTS, REGISTRY, Rehearsal, filled, named
from tests.stage import Reply, Stage

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "BREW")
PATHS = sorted({path for _, path in REGISTRY.endpoints()})
PAGES = ("/healthz", "/readyz", "/openapi.json", "/docs/errors")


async def page(stage: Stage, path: str, method: str = "GET") -> Reply:
    return await stage.send(method, path.encode(), [])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_every_answer_says_its_request_and_version(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    reply = await stage.ask(route, play.party.key, body, StateSet_Version="2026-11-01")
    assert reply.status in (200, 201), reply.body
    assert re.fullmatch(r"req_[0-9a-z]{26}", reply.headers["request-id"])
    assert reply.headers["stateset-version"] == "2026-11-01"
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["object"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_an_unknown_version_is_refused(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    for version in ("2020-01-01", "", "latest", "2026-11-01 ", "é"):
        reply = await stage.ask(filled(endpoint), play.party.key, StateSet_Version=version)
        refusal.is_(reply, 400, "api_version_unknown", "StateSet-Version")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_an_unknown_parameter_is_named(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    before = await stage.dump()
    if endpoint.kind == "verb":
        reply = await stage.ask(route, play.party.key, {**(body or {}), "zzz": 1})
        refusal.is_(reply, 400, "parameter_unknown", "zzz")
    reply = await stage.ask(f"{route}?zzz=1", play.party.key, body)
    refusal.is_(reply, 400, "parameter_unknown", "zzz")
    assert await stage.dump() == before


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_mistyped_parameter_gets_the_nearest_known_one(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    if endpoint.kind == "list":
        reply = await stage.ask(f"{route}?starting_aftr=x", play.party.key)
        assert "Did you mean 'starting_after'?" in reply.error["message"]
    for name in body or {}:
        reply = await stage.ask(route, play.party.key, {f"{name}x": 1})
        refusal.is_(reply, 400, "parameter_unknown", f"{name}x")
        assert f"Did you mean '{name}'?" in reply.error["message"]


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_refused_and_allow_lists_what_there_is(
    stage: Stage, play: Rehearsal, path: str
) -> None:
    methods = {e.method for e, at in REGISTRY.endpoints() if at == path}
    allowed = sorted(methods | {"HEAD"} if "GET" in methods else methods)
    concrete = re.sub(r"{\w+}", "x", path)
    for method in METHODS:
        if method in allowed or TAKEN_AS.get(method) in allowed:
            continue
        reply = await stage.ask(f"{method} {concrete}", play.party.key)
        if method == "HEAD":
            assert (reply.status, reply.body) == (405, b"")
            continue
        refusal.is_(reply, 405, "method_not_allowed")
        assert reply.headers["allow"] == ", ".join(allowed)


def test_put_and_post_are_taken_as_patch_where_there_is_one() -> None:
    patch = Endpoint("PATCH", "/things/{id}", "verb", Access("orders:write"))
    get = Endpoint("GET", "/things/{id}", "retrieve", Access("orders:read"))
    router = Router("/v1", [(patch, patch.path), (get, get.path)])
    assert router.match("PUT", "/v1/things/7") == router.match("PATCH", "/v1/things/7")
    assert router.match("POST", "/v1/things/7") == router.match("PATCH", "/v1/things/7")
    assert router.match("PUT", "/v1/things/7").path == {"id": "7"}
    verb = Endpoint("POST", "/others/{id}", "verb", Access("orders:write"))
    both = Router("/v1", [(patch._replace(path=verb.path), verb.path), (verb, verb.path)])
    assert both.match("POST", "/v1/others/7").endpoint is verb
    with pytest.raises(ApiError) as error:
        router.match("DELETE", "/v1/things/7")
    assert error.value.headers == {"Allow": "GET, HEAD, PATCH"}


def test_an_alias_leads_to_the_same_endpoint() -> None:
    made = Endpoint("POST", "/payments/create", "verb", Access("payments:write"))
    router = Router("/v1", [(made, "/payments/create"), (made, "/payments")])
    assert router.match("POST", "/v1/payments") == router.match("POST", "/v1/payments/create")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v2/account", "/v1/account/", "/v1//account", "/V1/account", ""]
)
async def test_a_path_that_is_not_there_is_missing(
    stage: Stage, play: Rehearsal, path: str
) -> None:
    key = f"Bearer {play.party.key}".encode()
    reply = await stage.send("GET", path.encode(), [(b"authorization", key)])
    refusal.is_(reply, 404, "route_missing")


async def test_every_code_has_its_place_on_the_page_of_errors(stage: Stage) -> None:
    text = (await page(stage, "/docs/errors")).body.decode()
    anchors = re.findall(r'id="(\w+)"', text)
    assert sorted(anchors) == sorted(row.code for row in ROWS)


@pytest.mark.parametrize("path", PAGES)
async def test_pages_need_no_key_and_take_no_other_method(stage: Stage, path: str) -> None:
    reply = await page(stage, path)
    assert reply.status == 200
    assert reply.headers["request-id"].startswith("req_")
    head = await page(stage, path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == reply.headers["content-length"]
    refusal.is_(await page(stage, path, "POST"), 405, "method_not_allowed")
