"""Idempotency keys, on every verb there is."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from commerce.resource.registry import Endpoint
from tests.contract import refusal
from tests.contract.surface import VERBS, Rehearsal, named
from tests.stage import NOW, Stage

DAY = 86_400
TRANSFER = "POST /stablecoin/transfer"
OTHERS = 5
"""How many other verbs a key is tried on; each verb is tried with as many keys of others."""


@pytest.mark.parametrize("verb", VERBS, ids=named)
async def test_a_replay_is_the_first_answer_byte_for_byte(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    route, body = await play.stage_of(verb)
    key = stage.name()
    first = await stage.ask(route, play.party.key, body, Idempotency_Key=key)
    before = await stage.dump()
    assert first.status in (200, 201), first.body
    assert "idempotent-replayed" not in first.headers

    shuffled = dict(reversed((body or {}).items()))
    again = await stage.ask(route, play.party.key, shuffled, Idempotency_Key=key)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["request-id"] != first.headers["request-id"]
    assert await stage.dump() == before

    state = await stage.get(f"/idempotency_keys/{key}", play.party.key)
    assert state == {
        "object": "idempotency_key",
        "key": key,
        "status": "completed",
        "response_status": first.status,
        "object_id": first.json["id"],
        "created": NOW,
    }


@pytest.mark.parametrize("verb", VERBS, ids=named)
async def test_a_key_is_good_for_one_request_only(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    route, body = await play.stage_of(verb)
    key = stage.name()
    await stage.ask(route, play.party.key, body, Idempotency_Key=key)
    before = await stage.dump()
    at = VERBS.index(verb)
    for other in (verb, *(VERBS[(at + step) % len(VERBS)] for step in range(1, OTHERS + 1))):
        other_route, other_body = await play.stage_of(other)
        before = await stage.dump()
        reply = await stage.ask(other_route, play.party.key, other_body, Idempotency_Key=key)
        if (other_route, other_body) != (route, body):
            refusal.is_(reply, 422, "idempotency_key_reused")
        assert await stage.dump() == before


@pytest.mark.parametrize("verb", VERBS, ids=named)
async def test_what_was_refused_unread_leaves_the_key_free(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    route, body = await play.stage_of(verb)
    key = stage.name()
    bad = await stage.ask(route, play.party.key, {"zzz": 1}, Idempotency_Key=key)
    refusal.is_(bad, 400, "parameter_unknown", "zzz")
    state = await stage.ask(f"GET /idempotency_keys/{key}", play.party.key)
    refusal.is_(state, 404, "resource_missing", "key")
    good = await stage.ask(route, play.party.key, body, Idempotency_Key=key)
    assert good.status in (200, 201), good.body


async def test_a_refusal_decided_against_state_is_remembered_although_it_undid_everything(
    stage: Stage,
) -> None:
    poor, friend = await stage.open_account(), await stage.open_account()
    body = {"to": friend.wallet, "amount": "5.00"}
    first = await stage.ask(TRANSFER, poor.key, body, Idempotency_Key="poor")
    refusal.is_(first, 402, "insufficient_funds", "amount")
    await stage.fund(poor.wallet, "100.00")
    again = await stage.ask(TRANSFER, poor.key, body, Idempotency_Key="poor")
    assert (again.status, again.body) == (402, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.error["request_id"] == first.headers["request-id"]
    state = await stage.get("/idempotency_keys/poor", poor.key)
    assert (state["response_status"], state["object_id"]) == (402, None)
    assert (await stage.ask(TRANSFER, poor.key, body, Idempotency_Key="rich")).status == 201


async def test_keys_of_accounts_and_modes_are_apart(stage: Stage, play: Rehearsal) -> None:
    live = await stage.in_mode(play.party.id, livemode=True)
    made = set()
    for party in (play.party, play.other, live):
        body = {"type": "public"}
        reply = await stage.ask("POST /api_keys", party.key, body, Idempotency_Key="shared")
        assert reply.status == 201
        made.add(reply.json["id"])
    assert len(made) == 3
    reply = await stage.ask("GET /idempotency_keys/poor", play.party.key)
    refusal.is_(reply, 404, "resource_missing", "key")


async def test_requests_sent_at_once_have_one_effect(stage: Stage, play: Rehearsal) -> None:
    await play.fund("100.00")
    before = await stage.available(play.other)
    body = {"to": play.other_wallet, "amount": "5.00"}
    sends = [
        stage.ask(TRANSFER, play.party.key, body, Idempotency_Key="at-once") for _ in range(20)
    ]
    replies = await asyncio.gather(*sends)
    assert {(reply.status, reply.body) for reply in replies} == {(201, replies[0].body)}
    assert sum("idempotent-replayed" in reply.headers for reply in replies) == 19
    gained = Decimal(await stage.available(play.other)) - Decimal(before)
    assert gained == 5


@pytest.mark.parametrize("key", ["x", "y" * 255, "a b/c?d%e~!", "%41"])
async def test_any_printable_ascii_key_works_and_can_be_asked_about(
    stage: Stage, play: Rehearsal, key: str
) -> None:
    body = {"type": "public"}
    reply = await stage.ask("POST /api_keys", play.party.key, body, Idempotency_Key=key)
    assert reply.status == 201
    escaped = "".join(f"%{ord(character):02x}" for character in key)
    state = await stage.get(f"/idempotency_keys/{escaped}", play.party.key)
    assert (state["key"], state["object_id"]) == (key, reply.json["id"])


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "tab\there", "\x7f"])
async def test_any_other_key_is_refused(stage: Stage, play: Rehearsal, key: str) -> None:
    before = await stage.dump()
    body = {"type": "public"}
    reply = await stage.ask("POST /api_keys", play.party.key, body, Idempotency_Key=key)
    refusal.is_(reply, 400, "idempotency_key_invalid", "Idempotency-Key")
    assert "'Idempotency-Key' must be" in reply.error["message"]
    body = {"to": play.other_wallet, "amount": "1.00", "idempotency_key": key}
    reply = await stage.ask("POST /stablecoin/transfer", play.party.key, body)
    refusal.is_(reply, 400, "idempotency_key_invalid", "idempotency_key")
    assert "'idempotency_key' must be" in reply.error["message"]
    assert await stage.dump() == before


async def test_another_expansion_is_another_request_and_is_told_so(
    stage: Stage, play: Rehearsal
) -> None:
    await play.fund("100.00")
    body, key = {"to": play.other_wallet, "amount": "1.00"}, stage.name()
    expanding = "POST /stablecoin/transfer?expand[]=transaction"
    first = await stage.ask(expanding, play.party.key, body, Idempotency_Key=key)
    assert first.status == 201
    plain = await stage.ask("POST /stablecoin/transfer", play.party.key, body, Idempotency_Key=key)
    refusal.is_(plain, 422, "idempotency_key_reused")
    assert "`expand[]`" in plain.error["message"]


async def test_a_key_is_forgotten_after_a_day(stage: Stage, play: Rehearsal) -> None:
    body = {"type": "public"}
    first = await stage.ask("POST /api_keys", play.party.key, body, Idempotency_Key="daily")
    stage.clock.advance(DAY)
    again = await stage.ask("POST /api_keys", play.party.key, body, Idempotency_Key="daily")
    assert again.body == first.body
    stage.clock.advance(1)
    reply = await stage.ask("GET /idempotency_keys/daily", play.party.key)
    refusal.is_(reply, 404, "resource_missing", "key")
    later = await stage.ask("POST /api_keys", play.party.key, body, Idempotency_Key="daily")
    assert (later.status, "idempotent-replayed" in later.headers) == (201, False)
    assert later.json["id"] != first.json["id"]
    stage.clock.advance(-DAY - 1)


async def test_what_becomes_of_replays_balances(stage: Stage) -> None:
    await stage.audit()


async def test_a_request_that_ends_while_its_key_is_asked_about_was_seen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = await stage.open_account()

    async def held(*_: object) -> bool:
        body = {"type": "public"}
        made = await stage.ask("POST /api_keys", party.key, body, Idempotency_Key="just now")
        assert made.status == 201
        return False

    monkeypatch.setattr(stage.app.store, "held", held)
    state = await stage.get("/idempotency_keys/just%20now", party.key)
    assert (state["status"], state["response_status"]) == ("completed", 201)
