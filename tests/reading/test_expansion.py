"""Expansion: of every noun, on every endpoint that returns it, at one query a level."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from commerce.ledger.block import MARKED
from commerce.resource.expansion import Expander
from commerce.resource.registry import Endpoint
from commerce.store.session import Store
from commerce.store.table import Index, Key, Row
from tests.contract import refusal
from tests.contract.surface import ENDPOINTS, REGISTRY, VERBS, Rehearsal, collection, named
from tests.stage import Stage

EXPANDER = Expander(REGISTRY.nouns)
TRANSFER = "POST /stablecoin/transfer"


def returned(endpoint: Endpoint) -> Any:
    return endpoint.noun or (endpoint.operation and endpoint.operation.returns)


def paths_of(endpoint: Endpoint) -> list[str]:
    return EXPANDER.paths(returned(endpoint), listed=endpoint.kind == "list")


EXPANDING = [endpoint for endpoint in ENDPOINTS if paths_of(endpoint)]
READS = [endpoint for endpoint in EXPANDING if endpoint.kind in ("retrieve", "list")]


def at(thing: Any, path: Sequence[str]) -> list[Any]:
    """What stands at a path: once an object, or once an item of a list; nothing beyond null."""
    if isinstance(thing, list):
        return [found for item in thing for found in at(item, path)]
    if not path:
        return [thing]
    return [] if thing is None else at(thing[path[0]], path[1:])


def asked(paths: Sequence[str]) -> str:
    return "&".join(f"expand[]={path}" for path in paths)


@asynccontextmanager
async def counted(store: Store) -> AsyncIterator[list[str]]:
    """The queries of rows by their keys, by index, that the readers send meanwhile."""
    queries: list[str] = []
    find = store.find

    async def noted(index: Index, keys: Sequence[Key]) -> list[Row]:
        queries.append(index.name)
        return await find(index, keys)

    store.find = noted  # type: ignore[method-assign]
    try:
        yield queries
    finally:
        store.find = find  # type: ignore[method-assign]


async def whole(stage: Stage, play: Rehearsal, thing: dict[str, Any]) -> Any:
    """An object as its own page shows it."""
    noun = next(noun for noun in REGISTRY.nouns if noun.__noun__.name == thing["object"])
    return await stage.get(f"/{noun.__noun__.path}/{thing['id']}", play.party.key)


async def varied(stage: Stage, play: Rehearsal) -> None:
    """Add what no example makes: objects that have something at each of their paths."""
    await play.perform(next(each for each in VERBS if each.name == TRANSFER))
    customer = await play.call("POST /customers")
    terms = {"amount": "10.00", "currency": "ssusd", "customer": customer["id"]}
    external = {"type": "ssusd", "payer": "external"}
    asked_for = await play.call("POST /payments/create", payment_method=external, **terms)
    keep = "POST /customers/{id}/payment_methods"
    saved = await play.call(keep, id=customer["id"], payment_method="pm_card_visa")
    by_card = {"amount": "10.00", "currency": "usd", "payment_method": saved["id"]}
    await play.call("POST /payments/create", **by_card)
    await stage.fund(play.other_wallet, "100.00")
    confirm = f"POST /payments/{asked_for['id']}/confirm"
    secret = asked_for["client_secret"]
    await stage.done(confirm, play.other.key, client_secret=secret)
    await play.call("POST /payments/refund", payment=asked_for["id"], amount="4.00")
    parts = [{"recipient": to, "amount": "5.00"} for to in (play.wallet, play.other_wallet)]
    await play.call("POST /payments/create", splits=parts, **terms)
    items, payment = [{"name": "Hat", "unit_price": "10.00"}], {"payment_method": {"type": "ssusd"}}
    made = await play.call("POST /orders/create", items=items, payment=payment)
    await play.call("POST /payments/refund", payment=made["payments"][0], amount="4.00")
    by_card["payment_method"] = "pm_card_createDispute"
    await play.call("POST /payments/create", **by_card)


def unsealed(thing: Any) -> Any:
    """An object as a verb shows it, which looks for no blocks: without the height of its."""
    if not isinstance(thing, dict):
        return thing
    plain = {name: unsealed(each) for name, each in thing.items()}
    return {**plain, "block_height": None} if "block_height" in plain else plain


async def page_with(stage: Stage, play: Rehearsal, endpoint: Endpoint, path: str) -> str:
    """A page of an endpoint on which something stands at a path."""
    names = path.removeprefix("data.").split(".")
    page = await stage.get(f"{collection(endpoint)}?limit=100", play.party.key)
    found = [each for each in page["data"] if any(at(each, names))]
    assert found, f"nothing has {path}"
    if endpoint.kind == "list":
        return f"{endpoint.path}?limit=100&"
    return f"{endpoint.path.replace('{id}', found[0]['id'])}?"


def test_there_is_something_to_expand() -> None:
    assert {endpoint.kind for endpoint in EXPANDING} == {"verb", "view", "retrieve", "list"}


@pytest.mark.parametrize("endpoint", READS, ids=named)
async def test_every_path_of_a_noun_replaces_its_id_by_the_object(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    await varied(stage, play)
    for path in paths_of(endpoint):
        target = await page_with(stage, play, endpoint, path)
        plain = await stage.get(target[:-1], play.party.key)
        expanded = await stage.get(f"{target}{asked([path])}", play.party.key)
        names = path.split(".")
        before, after = at(plain, names), at(expanded, names)
        assert len(before) == len(after) > 0
        assert any(isinstance(thing, dict) and "object" in thing for thing in after)
        for old, new in zip(before, after, strict=True):
            id_ = old["id"] if isinstance(old, dict) else old
            if isinstance(new, dict) and "object" in new:
                assert new["id"] == id_
                assert new == await whole(stage, play, new)
                assert not isinstance(old, dict) or old.items() <= new.items()
            else:
                assert new == old


@pytest.mark.parametrize("endpoint", READS, ids=named)
async def test_a_level_is_one_query_however_many_objects_there_are(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    for _ in range(3):
        await varied(stage, play)
    for path in paths_of(endpoint):
        target = await page_with(stage, play, endpoint, path)
        async with counted(stage.app.store) as own:
            await stage.get(target[:-1], play.party.key)
        async with counted(stage.app.store) as queries:
            await stage.get(f"{target}{asked([path])}", play.party.key)
        tables = queries[len(own) :]
        assert queries[: len(own)] == own
        things = [table for table in tables if table != MARKED.name]
        assert things
        assert len(set(things)) == len(things), "a table was asked twice for one level"
        assert len(tables) - len(things) <= len(things), "heights are asked for once a noun"


@pytest.mark.parametrize("verb", [each for each in VERBS if paths_of(each)], ids=named)
async def test_an_answer_to_a_write_is_expanded_and_remembered_as_it_was(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    route, body = await play.stage_of(verb)
    paths = paths_of(verb)
    key = stage.name()
    first = await stage.ask(f"{route}?{asked(paths)}", play.party.key, body, Idempotency_Key=key)
    assert first.status in (200, 201), first.body
    plain = await whole(stage, play, first.json)
    for path in paths:
        names = path.split(".")
        things = at(first.json, names)
        # A transfer that was cancelled has no transaction, and neither page shows one.
        assert [thing is None for thing in things] == [each is None for each in at(plain, names)]
        for thing in filter(None, things):
            assert isinstance(thing, dict)
            assert unsealed(thing) == unsealed(await whole(stage, play, thing))
    assert plain.keys() == first.json.keys()

    shuffled = "&".join(f"expand[{at_}]={path}" for at_, path in enumerate(reversed(paths)))
    again = await stage.ask(f"{route}?{shuffled}", play.party.key, body, Idempotency_Key=key)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    other = await stage.ask(route, play.party.key, body, Idempotency_Key=key)
    refusal.is_(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_what_cannot_be_expanded_is_refused_before_anything_is_done(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, body = await play.stage_of(endpoint)
    good = paths_of(endpoint)
    before = await stage.dump()
    listed = endpoint.kind == "list"
    for path in (
        *("", ".", "data", "data.", "zzz", "id", "object", "metadata", "a.b.c.d.e", "x" * 9999),
        *("data.data", "__class__", "data.id", "%F0%9F%92%B8", "' OR 1=1--", "transaction.id"),
        *(path.removeprefix("data.") if listed else f"data.{path}" for path in good),
        *(f"{path}.id" for path in good),
    ):
        reply = await stage.ask(f"{route}?expand[]={path}", play.party.key, body)
        refusal.is_(reply, 400, "parameter_invalid", "expand[0]")
    for path in good:
        reply = await stage.ask(f"{route}?expand[]={path}&expand[]=zzz", play.party.key, body)
        refusal.is_(reply, 400, "parameter_invalid", "expand[1]")
        assert path in reply.error["message"] or listed
    many = asked(["zzz"] * 21)
    reply = await stage.ask(f"{route}?{many}", play.party.key, body)
    refusal.is_(reply, 400, "parameter_invalid", "expand[20]")
    for name in ("expand", "expand[x]", "expand[", "expnd[]", "expand[0][0]"):
        reply = await stage.ask(f"{route}?{name}=x", play.party.key, body)
        refusal.is_(reply, 400, "parameter_unknown", name)
    assert await stage.dump() == before


async def test_a_restricted_key_needs_the_scope_of_what_it_expands(
    stage: Stage, play: Rehearsal
) -> None:
    await play.fund("100.00")
    lone = await stage.make_key(play.party, "restricted", ["stablecoin:transfer"])
    body = {"to": play.other_wallet, "amount": "1.00"}
    before = await stage.dump()
    reply = await stage.ask(f"{TRANSFER}?expand[]=transaction", lone, body)
    refusal.is_(reply, 403, "insufficient_permissions")
    assert "stablecoin:read" in reply.error["message"]
    assert await stage.dump() == before
    both = await stage.make_key(
        play.party, "restricted", ["stablecoin:transfer", "stablecoin:read"]
    )
    done = await stage.ask(f"{TRANSFER}?expand[]=transaction", both, body)
    assert done.json["transaction"]["object"] == "stablecoin_transaction"


async def test_paths_lead_on_through_what_was_expanded(stage: Stage, play: Rehearsal) -> None:
    await play.fund("100.00")
    issued = await play.perform(next(e for e in VERBS if e.path == "/stablecoin/issue"))
    path = f"/stablecoin/issuances/{issued['id']}"
    deep = await stage.get(
        f"{path}?expand[]=transaction.source.source.deposit&expand[]=source.deposit",
        play.party.key,
    )
    inner = deep["transaction"]["source"]
    assert inner["id"] == issued["id"]
    assert inner["source"]["deposit"] == deep["source"]["deposit"]
    assert inner["source"]["deposit"]["object"] == "stablecoin_reserve_deposit"
    assert inner["transaction"] == issued["transaction"]
    too_deep = f"GET {path}?expand[]=transaction.source.transaction.source.transaction"
    reply = await stage.ask(too_deep, play.party.key)
    refusal.is_(reply, 400, "parameter_invalid", "expand[0]")


async def test_paths_that_multiply_are_refused_before_the_answer_is_too_large(
    stage: Stage, play: Rehearsal
) -> None:
    await play.fund("100.00")
    large = {f"key{number}": "\N{CONVENIENCE STORE}" * 500 for number in range(50)}
    terms = {"amount": "10.00", "currency": "ssusd", "metadata": large}
    made = await play.call("POST /payments/create", **terms)
    body = {"payment": made["id"], "amount": "0.01"}
    for _ in range(45):
        await stage.done("POST /payments/refund", play.party.key, **body)
    path = f"/payments/{made['id']}"
    few = await stage.get(f"/refunds?limit=20&{asked(['data.payment'])}", play.party.key)
    assert few["data"][19]["payment"]["metadata"] == large
    before = await stage.dump()
    for route, sent in (
        (f"GET {path}?{asked(['refunds.payment'])}", None),
        (f"GET {path}?{asked(['refunds.payment.refunds.payment'])}", None),
        (f"GET /refunds?limit=100&{asked(['data.payment'])}", None),
        (f"POST /payments/refund?{asked(['payment.refunds.payment'])}", body),
    ):
        reply = await stage.ask(route, play.party.key, sent)
        refusal.is_(reply, 400, "parameter_invalid", "expand[]")
    assert await stage.dump() == before


async def test_an_id_that_leads_to_nothing_of_the_callers_stays_an_id(
    stage: Stage, play: Rehearsal
) -> None:
    receiver = await stage.open_account()
    await play.fund("100.00")
    await stage.done(TRANSFER, play.party.key, to=receiver.wallet, amount="1.00")
    path = "/stablecoin/balance?expand[]=first_transaction&expand[]=last_transaction"
    plain = await stage.get("/stablecoin/balance", receiver.key)
    assert plain["first_transaction"].startswith("txn_")
    assert await stage.get(path, receiver.key) == plain


async def test_a_verb_that_is_retried_loads_each_level_once(stage: Stage, play: Rehearsal) -> None:
    tally = stage.app.engine.tally
    await play.fund("100.00")
    body = {"to": play.other_wallet, "amount": "1.00"}
    await stage.done(TRANSFER, play.party.key, **body)
    rounds = tally.rounds
    done = await stage.ask(f"{TRANSFER}?expand[]=transaction.source", play.party.key, body)
    assert done.json["transaction"]["source"]["id"] == done.json["id"]
    assert tally.rounds == rounds, "what a verb makes itself is there without a query"
