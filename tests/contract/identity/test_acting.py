"""Acting on behalf of a connected account, on every endpoint there is."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.resource.access import SCOPES
from commerce.resource.registry import Endpoint
from tests.contract import refusal
from tests.contract.identity.acting import Family, connect, family, owned
from tests.contract.surface import ENDPOINTS, VERBS, filled, named
from tests.stage import Stage

READS = [endpoint for endpoint in ENDPOINTS if endpoint.kind != "verb"]
NOBODY = f"acct_{'0' * 26}"
TRANSFER = "POST /stablecoin/transfer"


@pytest.fixture(scope="module")
async def kin(stage: Stage) -> Family:
    return await family(stage)


@pytest.fixture(scope="module")
async def strangers(stage: Stage, kin: Family) -> list[str]:
    """Accounts that are not connected to the parent, though some are not far from it."""
    other = await stage.open_account()
    foreign = await connect(stage, other)
    grandchild = await connect(stage, kin.child)
    return [other.id, foreign.id, grandchild.id, NOBODY]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_an_account_that_is_not_connected_is_refused(
    stage: Stage, kin: Family, strangers: list[str], endpoint: Endpoint
) -> None:
    before = await stage.dump()
    for id_ in strangers:
        reply = await stage.ask(filled(endpoint), kin.parent.key, X_Account_Id=id_)
        refusal.is_(reply, 403, "account_invalid", "X-Account-Id")
    reply = await stage.ask(filled(endpoint), kin.child.key, X_Account_Id=kin.parent.id)
    refusal.is_(reply, 403, "account_invalid", "X-Account-Id")
    public = await stage.make_key(kin.parent, "public")
    before = await stage.dump()
    for id_ in (kin.child.id, kin.parent.id):
        reply = await stage.ask(filled(endpoint), public, X_Account_Id=id_)
        refusal.is_(reply, 403, "key_type_not_allowed")
    assert await stage.dump() == before


@pytest.mark.parametrize("verb", VERBS, ids=named)
async def test_what_a_verb_does_lands_in_the_account_acted_on_and_needs_no_extra_round(
    stage: Stage, kin: Family, verb: Endpoint
) -> None:
    route, body = await kin.play.stage_of(verb)
    name, tally = stage.name(), stage.app.engine.tally
    parents, childs = await owned(stage, kin.parent.id), await owned(stage, kin.child.id)
    before = (tally.rounds, tally.restarts, tally.conflicts, tally.singles)
    reply = await kin.play.stage.ask(route, kin.parent.key, body, Idempotency_Key=name)
    assert (tally.rounds, tally.restarts, tally.conflicts, tally.singles) == before
    assert reply.status in (200, 201), reply.body
    assert await owned(stage, kin.parent.id) == parents
    after = await owned(stage, kin.child.id)
    assert after["event"] > childs["event"]
    assert after["answer"] == childs["answer"] + 1

    # The key is the acted-on account's, whoever names it, and no one else's.
    path = f"GET /idempotency_keys/{name}"
    seen = await kin.play.stage.ask(path, kin.parent.key)
    assert seen.json["object_id"] == reply.json["id"]
    assert (await stage.ask(path, kin.child.key)).json == seen.json
    refusal.is_(await stage.ask(path, kin.parent.key), 404, "resource_missing", "key")
    again = await kin.play.stage.ask(route, kin.parent.key, body, Idempotency_Key=name)
    assert (again.body, again.headers["idempotent-replayed"]) == (reply.body, "true")


@pytest.mark.parametrize("endpoint", READS, ids=named)
async def test_what_is_read_is_what_the_account_itself_reads(
    stage: Stage, kin: Family, endpoint: Endpoint
) -> None:
    if "redemptions" in endpoint.path:
        await kin.play.perform(next(v for v in VERBS if v.path == "/stablecoin/redeem"))
    route, _ = await kin.play.stage_of(endpoint)
    acting = await kin.play.stage.ask(route, kin.parent.key)
    assert acting.status == 200, acting.body
    assert acting.json == (await stage.ask(route, kin.child.key)).json
    if endpoint.kind in ("retrieve", "list") and endpoint.path != "/accounts/{id}":
        own = await stage.ask(route, kin.parent.key)
        assert own.status == 404 or own.json != acting.json


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_ones_own_id_is_as_good_as_none(
    stage: Stage, kin: Family, endpoint: Endpoint
) -> None:
    route, body = await kin.play.stage_of(endpoint)
    reply = await stage.ask(route, kin.child.key, body, X_Account_Id=kin.child.id)
    assert reply.status in (200, 201), reply.body


@pytest.mark.parametrize(
    "id_",
    [
        *("", " ", "acct_", "acct", NOBODY.upper(), f"{NOBODY} ", f"{NOBODY}\t", f" {NOBODY}"),
        *(f"{NOBODY},{NOBODY}", "acct_x' OR '1'='1", "acct_\x00", "é", "*", "null", "%00", "../"),
        *("a" * 60_000, f"acct_test_{'0' * 26}", f"acct_{'0' * 25}", f"acct_{'0' * 27}"),
    ],
)
async def test_what_is_no_id_of_an_account_is_refused_and_costs_no_query(
    stage: Stage, kin: Family, id_: str
) -> None:
    for route, body in (("GET /account", None), (TRANSFER, {"to": "x", "amount": "1"})):
        reply = await stage.ask(route, kin.parent.key, body, X_Account_Id=id_)
        refusal.is_(reply, 403, "account_invalid", "X-Account-Id")


async def test_a_restricted_key_acts_with_its_scopes_and_no_others(
    stage: Stage, kin: Family
) -> None:
    reader = await stage.make_key(kin.parent, "restricted", ["stablecoin:read"])
    named_ = {"X_Account_Id": kin.child.id}
    reply = await stage.ask("GET /stablecoin/balance", reader, **named_)
    assert reply.json["address"] == kin.child.wallet
    body = {"to": kin.parent.wallet, "amount": "1.00"}
    refusal.is_(await stage.ask(TRANSFER, reader, body, **named_), 403, "insufficient_permissions")


async def test_a_restricted_key_hands_on_no_more_in_a_connected_account_than_it_has(
    stage: Stage, kin: Family
) -> None:
    keys = await stage.make_key(kin.parent, "restricted", ["keys:write", "stablecoin:read"])
    named_ = {"X_Account_Id": kin.child.id}
    for wide in ({"type": "secret"}, {"type": "restricted", "scopes": list(SCOPES)}):
        reply = await stage.ask("POST /api_keys", keys, wide, **named_)
        refusal.is_(reply, 403, "insufficient_permissions")
    narrow: dict[str, Any] = {"type": "restricted", "scopes": ["stablecoin:read"]}
    made = await stage.ask("POST /api_keys", keys, narrow, **named_)
    assert made.status == 201
    balance = await stage.get("/stablecoin/balance", made.json["secret"])
    assert balance["address"] == kin.child.wallet
    assert made.json["id"] not in str(await stage.get("/api_keys?limit=100", kin.parent.key))


async def test_a_revoked_key_acts_for_nobody_also_where_it_is_remembered(
    stage: Stage, kin: Family
) -> None:
    made = await stage.done("POST /api_keys", kin.parent.key, type="secret")
    named_ = {"X_Account_Id": kin.child.id}
    assert (await stage.ask("GET /account", made["secret"], **named_)).status == 200
    # Revoked behind the back of what this process remembers: the loaded row says so.
    update = "UPDATE api_key SET revoked_at = 1, status = 'revoked' WHERE id = $1"
    await stage.rows(update, made["id"])
    body = {"to": kin.parent.wallet, "amount": "1.00"}
    reply = await stage.ask(TRANSFER, made["secret"], body, **named_)
    refusal.is_(reply, 401, "api_key_revoked")


async def test_a_connection_holds_in_both_modes(stage: Stage, kin: Family) -> None:
    live = await stage.in_mode(kin.parent.id, livemode=True)
    reply = await stage.ask("GET /account", live.key, X_Account_Id=kin.child.id)
    assert (reply.json["id"], reply.json["livemode"]) == (kin.child.id, True)
    assert reply.json["parent"] == kin.parent.id
    made = await stage.done("POST /accounts", live.key)
    reply = await stage.ask("GET /account", kin.parent.key, X_Account_Id=made["id"])
    assert (reply.json["id"], reply.json["livemode"]) == (made["id"], False)


async def test_the_log_names_the_account_acted_on(
    stage: Stage, kin: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(stage.app.http, "_log_request", lambda **line: lines.append(line))
    key = kin.parent.key
    for id_ in (kin.child.id, kin.parent.id, NOBODY):
        await stage.ask("GET /account", key, X_Account_Id=id_)
    assert [line["account"] for line in lines] == [kin.child.id, kin.parent.id, kin.parent.id]


async def test_money_moved_on_behalf_is_the_childs(stage: Stage, kin: Family) -> None:
    payee = await stage.open_account()
    body = {"from": kin.child.wallet, "to": payee.wallet, "amount": "5.00"}
    refusal.is_(await stage.ask(TRANSFER, kin.parent.key, body), 403, "address_not_owned", "from")
    made = await kin.play.stage.ask(TRANSFER, kin.parent.key, body)
    assert made.json["from"] == kin.child.wallet
    assert await stage.available(payee) == "5.00"
    await stage.audit()
