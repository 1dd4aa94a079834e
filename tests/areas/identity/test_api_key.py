"""API keys over HTTP: made, shown once, rolled, revoked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from commerce.areas.identity import api_key
from tests.ladder import Rung, climb, refused
from tests.stage import NOW, Party, Stage

ROUTE = "POST /api_keys"


@pytest.fixture(scope="module")
async def owner(stage: Stage) -> Party:
    return await stage.open_account()


async def works(stage: Stage, secret: str) -> bool:
    """Whether a key opens anything."""
    reply = await stage.ask("GET /account", secret)
    assert reply.status in (200, 401), reply.body
    return reply.status == 200


async def test_guards_of_create_stand_in_order_and_leave_nothing_behind(
    stage: Stage, owner: Party
) -> None:
    await climb(
        stage,
        ROUTE,
        owner.key,
        Rung({"kind": "secret"}, 400, "parameter_unknown", "kind"),
        Rung({"kind": ...}, 400, "parameter_missing", "type"),
        Rung({"type": "master", "name": "x" * 201}, 400, "parameter_invalid", "type"),
        Rung({"type": "restricted", "scopes": ["all"]}, 400, "parameter_invalid", "name"),
        Rung({"name": ..., "expires_at": "soon"}, 400, "parameter_invalid", "scopes[0]"),
        Rung({"scopes": []}, 400, "parameter_invalid", "expires_at"),
        Rung({"expires_at": NOW}, 400, "parameter_missing", "scopes", "needs scopes"),
        Rung(
            {"type": "secret", "scopes": ["events:read"]},
            *(400, "parameter_invalid", "scopes", "Only a restricted key"),
        ),
        Rung({"scopes": []}, 400, "parameter_invalid", "expires_at", "in the future"),
    )


async def test_create_shows_the_secret_once_and_keeps_its_hash(stage: Stage, owner: Party) -> None:
    scopes = ["stablecoin:transfer", "events:read", "events:read"]
    expires = "2026-12-24T12:00:00+01:00"
    body = {"type": "restricted", "name": "Till", "scopes": scopes, "expires_at": expires}
    reply = await stage.ask(ROUTE, owner.key, body)
    assert reply.status == 201
    key = reply.json
    secret = key["secret"]
    assert re.fullmatch(r"rk_test_[0-9A-Za-z]{33}", secret)
    assert key == {
        "id": key["id"],
        "object": "api_key",
        "livemode": False,
        "created": NOW,
        "metadata": {},
        "type": "restricted",
        "name": "Till",
        "scopes": ["events:read", "stablecoin:transfer"],
        "redacted": f"{secret[:8]}…{secret[-4:]}",
        "status": "active",
        "expires_at": 1_798_110_000,
        "revoked_at": None,
        "replaced_by": None,
        "limits": None,
        "recipients": None,
        "secret": secret,
    }
    hidden = {**key, "secret": None}
    assert await stage.get(f"/api_keys/{key['id']}", owner.key) == hidden
    assert hidden in (await stage.get("/api_keys", owner.key))["data"]
    (event,) = await stage.events(owner, key["id"])
    assert (event["type"], event["sequence"]) == ("api_key.created", 1)
    assert event["data"] == {"object": hidden, "previous_attributes": None}
    (row,) = await stage.rows("SELECT hash FROM api_key WHERE id = $1", key["id"])
    assert row["hash"] == api_key.hash_of(secret)


async def test_no_secret_stands_in_the_database_even_where_an_answer_is_remembered(
    stage: Stage, owner: Party
) -> None:
    body = {"type": "secret"}
    first = await stage.ask(ROUTE, owner.key, body, Idempotency_Key="secret")
    again = await stage.ask(ROUTE, owner.key, body, Idempotency_Key="secret")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    secret = first.json["secret"]
    for table in stage.app.registry.tables:
        for row in await stage.rows(f"SELECT t::text AS row FROM {table} t"):
            assert secret not in row["row"]
            assert secret.encode().hex() not in row["row"]


@pytest.mark.parametrize("type_", ["secret", "public", "restricted"])
async def test_a_key_has_its_types_prefix_and_a_checksum(
    stage: Stage, owner: Party, type_: str
) -> None:
    live = await stage.in_mode(owner.id, livemode=True)
    body: dict[str, Any] = {"type": type_}
    body |= {"scopes": ["events:read"]} if type_ == "restricted" else {}
    for party, mode in ((owner, "test"), (live, "live")):
        secret = (await stage.done(ROUTE, party.key, **body))["secret"]
        assert secret.startswith(f"{type_[0]}k_{mode}_")
        assert api_key.well_formed(secret)
        wrong = "A" if secret[20] != "A" else "B"
        assert not api_key.well_formed(secret[:20] + wrong + secret[21:])


async def test_a_restricted_key_hands_on_no_more_than_it_has(stage: Stage, owner: Party) -> None:
    narrow = await stage.make_key(owner, "restricted", ["keys:write", "orders:write"])
    for body, says in (
        ({"type": "secret"}, "secret keys"),
        ({"type": "public"}, "public keys"),
        ({"type": "restricted", "scopes": ["keys:write", "events:read"]}, "events:read"),
    ):
        await refused(stage, ROUTE, narrow, body, 403, "insufficient_permissions", says)
    scopes = ["keys:read", "orders:read", "orders:write"]
    made = await stage.done(ROUTE, narrow, type="restricted", scopes=scopes)
    assert made["scopes"] == scopes
    target = (await stage.done(ROUTE, owner.key, type="secret"))["id"]
    says = "secret keys"
    roll = f"{ROUTE}/{target}/roll"
    await refused(stage, roll, narrow, {}, 403, "insufficient_permissions", says)


async def test_roll_replaces_a_key_at_once_or_after_a_grace(stage: Stage, owner: Party) -> None:
    for grace in (0, 3600):
        old = await stage.done(ROUTE, owner.key, type="secret", name="Till")
        reply = await stage.ask(f"{ROUTE}/{old['id']}/roll", owner.key, {"expires_in": grace})
        assert reply.status == 201
        new = reply.json
        fresh = {name: new[name] for name in ("id", "secret", "redacted")}
        assert new == {**old, **fresh}
        assert not {old["id"], old["secret"]} & {new["id"], new["secret"]}
        assert await works(stage, new["secret"])
        assert await works(stage, old["secret"]) is (grace > 0)
        kept = await stage.get(f"/api_keys/{old['id']}", owner.key)
        if grace:
            assert (kept["status"], kept["expires_at"]) == ("active", NOW + grace)
            stage.clock.advance(grace)
            assert not await works(stage, old["secret"])
            stage.clock.advance(-grace)
        else:
            assert (kept["status"], kept["revoked_at"]) == ("revoked", NOW)
        assert kept["replaced_by"] == new["id"]
        _, event = await stage.events(owner, old["id"])
        assert event["type"] == ("api_key.updated" if grace else "api_key.revoked")


async def test_guards_of_roll_stand_in_order(stage: Stage, owner: Party) -> None:
    key = await stage.done(ROUTE, owner.key, type="secret")
    nothing = f"{ROUTE}/key_test_{'0' * 26}/roll"
    await refused(stage, nothing, owner.key, {"grace": 1}, 400, "parameter_unknown")
    for wrong in (-1, 30 * 86_400 + 1, "1", 1.5, None):
        body = {"expires_in": wrong}
        await refused(stage, nothing, owner.key, body, 400, "parameter_invalid", "expires_in")
    await refused(stage, nothing, owner.key, {}, 404, "resource_missing")
    await stage.ask(f"DELETE /api_keys/{key['id']}", owner.key)
    roll = f"{ROUTE}/{key['id']}/roll"
    await refused(stage, roll, owner.key, {}, 400, "state_invalid", "'revoked'")


async def test_revoke_ends_a_key_and_twice_is_as_good_as_once(stage: Stage, owner: Party) -> None:
    key = await stage.done(ROUTE, owner.key, type="secret")
    assert await works(stage, key["secret"])
    route = f"DELETE /api_keys/{key['id']}"
    reply = await stage.ask(route, owner.key)
    revoked = {**key, "secret": None, "status": "revoked", "revoked_at": NOW}
    assert (reply.status, reply.json) == (200, revoked)
    refusal = await stage.ask("GET /account", key["secret"])
    assert (refusal.status, refusal.error["code"]) == (401, "api_key_revoked")
    before = await stage.dump()
    again = await stage.ask(route, owner.key)
    assert (again.status, again.json) == (200, revoked)
    assert await stage.dump() == before
    _, event = await stage.events(owner, key["id"])
    assert (event["type"], event["sequence"]) == ("api_key.revoked", 2)
    changed = {"status": "active", "revoked_at": None}
    assert event["data"] == {"object": revoked, "previous_attributes": changed}
    missing = f"DELETE /api_keys/key_test_{'0' * 26}"
    await refused(stage, missing, owner.key, {}, 404, "resource_missing")


async def test_a_key_may_revoke_itself(stage: Stage, owner: Party) -> None:
    key = await stage.done(ROUTE, owner.key, type="secret")
    reply = await stage.ask(f"DELETE /api_keys/{key['id']}", key["secret"])
    assert reply.json["status"] == "revoked"
    assert not await works(stage, key["secret"])
