"""CORS: preflights, and what pages of other origins may read, on every endpoint there is."""

from __future__ import annotations

import pytest

from commerce.http.request import Request
from commerce.kernel.errors import ApiError
from commerce.resource.registry import Endpoint
from commerce.settings import Settings
from commerce.store.session import StoreUnavailable
from tests.contract.surface import ENDPOINTS, Rehearsal, filled, named
from tests.stage import Headers, Reply, Stage, app_over

PAGE = "https://shop.example.com"
ALLOWED = {
    *("authorization", "content-type", "idempotency-key", "x-account-id", "stateset-version"),
    *("if-match", "if-none-match"),
}
EXPOSED = {
    *("Request-Id", "ETag", "Retry-After", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
}
ORIGIN = "access-control-allow-origin"


def listed(reply: Reply, header: str) -> set[str]:
    return set(reply.headers[header].split(", "))


def readable(reply: Reply, origin: str = "*") -> None:
    """See that a page of this origin may read the answer, and nothing is said of credentials."""
    assert reply.headers[ORIGIN] == origin
    assert listed(reply, "access-control-expose-headers") == EXPOSED
    assert "access-control-allow-credentials" not in reply.headers


async def preflight(stage: Stage, path: str, method: str, origin: str = PAGE) -> Reply:
    headers: Headers = [
        (b"origin", origin.encode()),
        (b"access-control-request-method", method.encode()),
        (b"access-control-request-headers", b"authorization,content-type,idempotency-key"),
    ]
    return await stage.send("OPTIONS", path.encode(), headers)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_preflight_is_answered_without_a_key(stage: Stage, endpoint: Endpoint) -> None:
    before = await stage.dump()
    path = f"/v1{filled(endpoint).partition(' ')[2]}"
    reply = await preflight(stage, path, endpoint.method)
    assert (reply.status, reply.body) == (200, b"")
    readable(reply)
    assert endpoint.method in listed(reply, "access-control-allow-methods")
    assert "*" not in reply.headers["access-control-allow-headers"]
    assert listed(reply, "access-control-allow-headers") == ALLOWED
    assert int(reply.headers["access-control-max-age"]) > 0
    assert await stage.dump() == before


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_page_may_read_answers_and_refusals(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    good = await stage.ask(route, play.party.key, body, Origin=PAGE)
    assert good.status in (200, 201), good.body
    readable(good)
    for key, status in ((None, 401), ("x", 401)):
        reply = await stage.ask(route, key, body, Origin=PAGE)
        assert reply.status == status
        readable(reply)
    plain = await stage.ask(route, play.party.key)
    assert not {ORIGIN, "vary", "access-control-expose-headers"} & plain.headers.keys()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("BREW", "/v1/account", 405),
        ("OPTIONS", "/v1/account", 405),
        ("POST", "/healthz", 405),
        ("GET", "/healthz", 200),
        ("GET", "/openapi.json", 200),
    ],
)
async def test_a_page_may_read_that_nothing_is_there(
    stage: Stage, method: str, path: str, status: int
) -> None:
    reply = await stage.send(method, path.encode(), [(b"origin", PAGE.encode())])
    assert reply.status == status
    readable(reply)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError("rate_limit_exceeded", headers={"Retry-After": "1"}), 429),
        (StoreUnavailable("gone"), 503),
        (RuntimeError("broken"), 500),
    ],
)
async def test_a_page_may_read_that_the_server_failed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    async def fail(_: Request) -> Reply:
        raise error

    monkeypatch.setattr(stage.app.http, "_answer", fail)
    reply = await stage.ask("GET /account", None, Origin=PAGE)
    assert reply.status == status
    readable(reply)


async def test_a_preflight_of_a_path_that_is_not_there_lets_the_404_be_read(stage: Stage) -> None:
    reply = await preflight(stage, "/v1/nothing", "DELETE")
    assert reply.status == 200
    readable(reply)


async def test_options_that_are_no_preflight_are_another_method(stage: Stage) -> None:
    for headers in ([], [(b"access-control-request-method", b"GET")]):
        reply = await stage.send("OPTIONS", b"/v1/account", headers)
        assert reply.status == 405
        assert "GET" in listed(reply, "allow")


async def test_where_origins_are_listed_no_other_page_may_read(
    stage: Stage, play: Rehearsal
) -> None:
    origins = f"{PAGE}, http://localhost:3000"
    app = app_over(stage.url, Settings(network="both", cors_origins=origins), stage.clock)
    async with app.running():
        here = Stage(app, stage.url, stage.clock)
        for origin in (PAGE, "http://localhost:3000"):
            reply = await here.ask("GET /account", play.party.key, Origin=origin)
            readable(reply, origin)
            assert reply.headers["vary"] == "Origin"
            readable(await preflight(here, "/v1/account", "GET", origin), origin)
        for stranger in (
            *("https://evil.example", f"{PAGE}.evil.example", f"{PAGE}:8443", "null", "", "*"),
            *("https://example.com", PAGE.replace("https", "http"), f"{PAGE}, {PAGE}", f"{PAGE}/"),
        ):
            answered = await here.ask("GET /account", play.party.key, Origin=stranger)
            asked = await preflight(here, "/v1/account", "GET", stranger)
            for reply in (answered, asked):
                assert ORIGIN not in reply.headers, stranger
                assert reply.headers["vary"] == "Origin"
        assert (await here.ask("GET /account", play.party.key)).headers["vary"] == "Origin"
