"""Keys and scopes, on every endpoint there is."""

from __future__ import annotations

import pytest

from commerce.areas.identity import api_key
from commerce.resource.access import SCOPES
from commerce.resource.registry import Endpoint
from commerce.settings import Settings
from tests.contract import refusal
from tests.contract.surface import ENDPOINTS, Rehearsal, filled, named
from tests.stage import NOW, Stage, app_over

WRITES = {scope for scope in SCOPES if scope.endswith(":write")}
SCOPED = [endpoint for endpoint in ENDPOINTS if not endpoint.access.any_key]
IMPLIED = [
    each
    for each in SCOPED
    if each.access.scope not in WRITES and each.access.scope.replace(":read", ":write") in WRITES
]
"""Endpoints that a scope to write opens, though they only read."""
EXAMPLES = ["stablecoin:read", "stablecoin:transfer"]
"""What the examples that make keys hand on."""
PAYS_WITHIN = {"POST /orders/create": "payment", "POST /orders/{id}/pay": "payment_method"}
"""What makes a payment within, in its example, for which a key needs the scope of payments too,
and the parameter that asks for that."""
MAKES_TOKENS = "POST /tokens"


@pytest.fixture(scope="module")
async def dead(stage: Stage, play: Rehearsal) -> dict[str, str]:
    """Keys that open nothing any more, by the code that says why."""
    revoked = await play.call("POST /api_keys", type="secret")
    await play.call("DELETE /api_keys/{id}", id=revoked["id"])
    expired = await play.call("POST /api_keys", type="secret", expires_at=NOW + 1)
    stage.clock.advance(1)
    unknown = api_key._secret("secret", b"\x07" * 20, livemode=False)
    return {
        "api_key_revoked": revoked["secret"],
        "api_key_expired": expired["secret"],
        "api_key_invalid": unknown,
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_without_a_good_key_nothing_answers(
    stage: Stage, play: Rehearsal, dead: dict[str, str], endpoint: Endpoint
) -> None:
    route = filled(endpoint)
    refusal.is_(await stage.ask(route, None), 401, "api_key_missing")
    good = play.party.key
    for wrong in (
        *("", "Bearer", "Bearer ", f"Basic {good}", good, f"Token {good}"),
        *(f"Bearer {good[:-1]}", f"Bearer {good}x", f"Bearer {good} {good}", "Bearer é€"),
        f"Bearer {good.swapcase()}",
    ):
        reply = await stage.ask(route, None, Authorization=wrong)
        refusal.is_(reply, 401, "api_key_invalid")
    for code, secret in dead.items():
        reply = await stage.ask(route, secret)
        refusal.is_(reply, 401, code)
        assert reply.headers["www-authenticate"] == "Bearer"
        assert secret not in reply.body.decode()


async def test_the_scheme_is_read_in_any_case(stage: Stage, play: Rehearsal) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        reply = await stage.ask("GET /account", None, Authorization=f"{scheme} {play.party.key}")
        assert reply.status == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_public_key_alone_opens_no_object(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    public = await stage.make_key(play.party, "public")
    answer = await stage.ask(filled(endpoint), public)
    if endpoint.name == MAKES_TOKENS:
        refusal.is_(answer, 400, "parameter_missing", "card")
    else:
        refusal.is_(answer, 403, "key_type_not_allowed")


def test_what_a_public_key_may_call_at_all_is_what_the_contract_names() -> None:
    public = {endpoint.name for endpoint in ENDPOINTS if endpoint.access.public}
    assert public == {"GET /payments/{id}", "POST /payments/{id}/confirm", MAKES_TOKENS}


def beside(scope: str) -> list[str]:
    """Every scope but this one and what implies it."""
    group, _, verb = scope.partition(":")
    implying = {scope, f"{group}:write"} if verb == "read" else {scope}
    return [each for each in SCOPES if each not in implying]


@pytest.mark.parametrize("endpoint", SCOPED, ids=named)
async def test_a_restricted_key_needs_the_scope_and_is_told_which(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    scope = endpoint.access.scope
    assert scope in SCOPES
    others = await stage.make_key(play.party, "restricted", beside(scope))
    reply = await stage.ask(filled(endpoint), others)
    refusal.is_(reply, 403, "insufficient_permissions")
    assert f"'{scope}'" in reply.error["message"]

    route, body = await play.stage_of(endpoint)
    own = await stage.make_key(play.party, "restricted", [scope, *EXAMPLES])
    if endpoint.name in PAYS_WITHIN:
        reply = await stage.ask(route, own, body)
        refusal.is_(reply, 403, "insufficient_permissions", PAYS_WITHIN[endpoint.name])
        own = await stage.make_key(play.party, "restricted", [scope, "payments:write"])
    reply = await stage.ask(route, own, body)
    assert reply.status in (200, 201), reply.body


@pytest.mark.parametrize("endpoint", IMPLIED, ids=named)
async def test_write_implies_read(stage: Stage, play: Rehearsal, endpoint: Endpoint) -> None:
    group = endpoint.access.scope.partition(":")[0]
    route, _ = await play.stage_of(endpoint)
    writer = await stage.make_key(play.party, "restricted", [f"{group}:write"])
    assert (await stage.ask(route, writer)).status == 200


async def test_what_any_key_may_call_needs_no_scope(stage: Stage, play: Rehearsal) -> None:
    unscoped = [endpoint for endpoint in ENDPOINTS if endpoint.access.any_key]
    assert [endpoint.name for endpoint in unscoped] == ["GET /idempotency_keys/{key}"]
    key = await stage.make_key(play.party, "restricted", ["products:read"])
    route, _ = await play.stage_of(unscoped[0])
    assert (await stage.ask(route, key)).status == 200


@pytest.mark.parametrize(
    ("network", "modes"),
    [("testnet", [False]), ("production", [True]), ("both", [False, True])],
)
async def test_a_network_takes_the_keys_of_its_mode_only(
    stage: Stage, play: Rehearsal, network: str, modes: list[bool]
) -> None:
    live = await stage.in_mode(play.party.id, livemode=True)
    settings = Settings(network=network)  # type: ignore[arg-type]
    app = app_over(stage.url, settings, stage.clock)
    async with app.running():
        for party in (play.party, live):
            reply = await Stage(app, stage.url, stage.clock).ask("GET /account", party.key)
            if party.livemode in modes:
                assert reply.json["livemode"] is party.livemode
            else:
                refusal.is_(reply, 401, "livemode_mismatch")
