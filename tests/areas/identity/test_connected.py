"""Connected accounts: opened, listed, changed, and told of."""

from __future__ import annotations

import asyncpg
import pytest

from commerce.areas.identity import account
from tests.ladder import Rung, climb, refused
from tests.stage import NOW, Party, Stage

ROUTE = "POST /accounts"


@pytest.fixture(scope="module")
async def parent(stage: Stage) -> Party:
    return await stage.open_account()


async def test_guards_of_create_stand_in_order_and_leave_nothing_behind(
    stage: Stage, parent: Party
) -> None:
    await climb(
        stage,
        ROUTE,
        parent.key,
        Rung({"plan": "enterprise", "name": 1}, 400, "parameter_unknown", "plan"),
        Rung({"plan": ..., "verification": "business"}, 400, "parameter_unknown", "verification"),
        Rung({"verification": ..., "capabilities": []}, 400, "parameter_unknown", "capabilities"),
        Rung({"capabilities": ..., "parent": "acct_1"}, 400, "parameter_unknown", "parent"),
        Rung({"parent": ...}, 400, "parameter_invalid", "name"),
        Rung({"name": "x" * 201}, 400, "parameter_invalid", "name"),
        Rung({"name": "x", "metadata": {"k": 1}}, 400, "parameter_invalid", "metadata.k"),
    )


async def test_an_account_is_opened_in_both_modes_with_nothing_that_is_the_operators_to_give(
    stage: Stage, parent: Party
) -> None:
    body = {"name": "Corner Shop", "metadata": {"shop": "7", "none": ""}}
    reply = await stage.ask(ROUTE, parent.key, body)
    assert reply.status == 201
    made = reply.json
    assert made == {
        "id": made["id"],
        "object": "account",
        "livemode": False,
        "created": NOW,
        "metadata": {"shop": "7"},
        "name": "Corner Shop",
        "plan": "free",
        "verification": "premium",
        "capabilities": [],
        "rate_limit": None,
        "wallet": account.main_wallet(made["id"], livemode=False),
        "parent": parent.id,
    }
    child = await stage.in_mode(made["id"], livemode=False)
    live = await stage.in_mode(made["id"], livemode=True)
    assert await stage.get("/account", child.key) == made
    wallet = account.main_wallet(made["id"], livemode=True)
    other = {"livemode": True, "verification": "basic", "wallet": wallet}
    assert await stage.get("/account", live.key) == {**made, **other}
    assert await stage.get(f"/accounts/{made['id']}", parent.key) == made
    await stage.fund(child.wallet, "100.00")
    assert await stage.available(child) == "100.00"


async def test_child_and_parent_are_both_told_and_nobody_else(stage: Stage, parent: Party) -> None:
    made = await stage.done(ROUTE, parent.key, name="Told")
    child = await stage.in_mode(made["id"], livemode=False)
    changed = await stage.done(f"PATCH /accounts/{made['id']}", parent.key, name="Told twice")
    params = account.UpdateAccount(account=made["id"], plan="growth")
    await stage.app.operate(account.update, params, account="", livemode=False)
    for party in (parent, child):
        events = await stage.events(party, made["id"])
        assert [each["type"] for each in events] == ["account.created", *["account.updated"] * 2]
        assert [each["sequence"] for each in events] == [1, 2, 3]
        assert {each["account"] for each in events} == {party.id}
        assert events[0]["data"]["object"] == made
        assert events[1]["data"] == {
            "object": changed,
            "previous_attributes": {"name": "Told"},
        }
    query = "SELECT DISTINCT account FROM event WHERE object_id = $1"
    told = {row["account"] for row in await stage.rows(query, made["id"])}
    assert told == {parent.id, child.id}


async def test_a_list_holds_the_connected_accounts_and_no_others(stage: Stage) -> None:
    parent = await stage.open_account()
    page = await stage.get("/accounts", parent.key)
    assert (page["data"], page["url"]) == ([], "/v1/accounts")
    made = [await stage.done(ROUTE, parent.key, name=f"n{n}") for n in range(3)]
    child = await stage.in_mode(made[0]["id"], livemode=False)
    grandchild = await stage.done(ROUTE, child.key)
    await stage.done(ROUTE, (await stage.open_account()).key)
    ids = [each["id"] for each in reversed(made)]
    page = await stage.get("/accounts", parent.key)
    assert [each["id"] for each in page["data"]] == ids
    first = await stage.get("/accounts?limit=1", parent.key)
    assert first["has_more"] is True
    rest = await stage.get(f"/accounts?starting_after={ids[0]}", parent.key)
    assert [each["id"] for each in rest["data"]] == ids[1:]
    for path in ("/accounts?plan=growth", "/accounts?verification=basic"):
        assert (await stage.get(path, parent.key))["data"] == []
    for stranger in (parent.id, grandchild["id"]):
        route = f"GET /accounts?starting_after={stranger}"
        assert (await stage.ask(route, parent.key)).error["code"] == "cursor_invalid"


async def test_ones_own_account_is_retrieved_and_changed_by_its_id_too(stage: Stage) -> None:
    party = await stage.open_account()
    path = f"/accounts/{party.id}"
    assert await stage.get(path, party.key) == await stage.get("/account", party.key)
    changed = await stage.done(f"PATCH {path}", party.key, name="Me")
    assert (changed["name"], changed["parent"]) == ("Me", None)
    assert await stage.get("/account", party.key) == changed


async def test_parents_children_of_others_and_grandchildren_are_missing(
    stage: Stage, parent: Party
) -> None:
    child = await stage.in_mode((await stage.done(ROUTE, parent.key))["id"], livemode=False)
    grandchild = (await stage.done(ROUTE, child.key))["id"]
    sibling = (await stage.done(ROUTE, parent.key))["id"]
    foreign = (await stage.done(ROUTE, (await stage.open_account()).key))["id"]
    for key, id_ in (
        *((parent.key, grandchild), (parent.key, foreign), (child.key, parent.id)),
        *((child.key, sibling), (child.key, f"acct_{'0' * 26}"), (child.key, "x")),
    ):
        for method in ("GET", "PATCH", "PUT"):
            await refused(stage, f"{method} /accounts/{id_}", key, {}, 404, "resource_missing")


async def test_an_update_changes_what_it_names_in_one_mode(stage: Stage, parent: Party) -> None:
    made = await stage.done(ROUTE, parent.key, name="A", metadata={"a": "1", "b": "2"})
    route = f"PATCH /accounts/{made['id']}"
    before = await stage.dump()
    assert await stage.done(route, parent.key) == made
    assert await stage.dump() == before
    changed = await stage.done(route, parent.key, metadata={"a": "", "b": None, "c": "3"})
    assert changed == {**made, "metadata": {"c": "3"}}
    changed = await stage.done(route.replace("PATCH", "PUT"), parent.key, name=None)
    assert changed == {**made, "name": None, "metadata": {"c": "3"}}
    live = await stage.in_mode(parent.id, livemode=True)
    there = await stage.get(f"/accounts/{made['id']}", live.key)
    assert (there["name"], there["metadata"]) == ("A", {"a": "1", "b": "2"})


async def test_guards_of_update_stand_in_order(stage: Stage, parent: Party) -> None:
    metadata = {f"k{number}": "v" for number in range(50)}
    made = await stage.done(ROUTE, parent.key, metadata=metadata)
    route = f"PATCH /accounts/{made['id']}"
    await climb(
        stage,
        route,
        parent.key,
        Rung({"plan": "growth"}, 400, "parameter_unknown", "plan"),
        Rung({"plan": ..., "verification": "premium"}, 400, "parameter_unknown", "verification"),
        Rung({"verification": ..., "capabilities": []}, 400, "parameter_unknown", "capabilities"),
        Rung({"capabilities": ..., "name": 1}, 400, "parameter_invalid", "name"),
        Rung({"name": "x", "metadata": {"more": "v"}}, 400, "parameter_invalid", "metadata"),
    )
    swapped = {"k0": "", "more": "v"}
    assert len((await stage.done(route, parent.key, metadata=swapped))["metadata"]) == 50


async def test_if_match_tells_nothing_of_a_strangers_account(stage: Stage, parent: Party) -> None:
    victim, nobody = await stage.open_account(), f"acct_{'0' * 26}"
    etag = (await stage.ask(f"GET /accounts/{victim.id}", victim.key)).headers["etag"]
    before = await stage.dump()
    for condition in (etag, '"0000000000000000-0"', "*"):
        said = []
        for id_ in (victim.id, nobody):
            reply = await stage.ask(
                f"PATCH /accounts/{id_}", parent.key, {"name": "x"}, If_Match=condition
            )
            error = {**reply.error, "request_id": ""}
            said.append((reply.status, str(error).replace(id_, "it")))
        assert said[0] == said[1]
        assert said[0][0] == 404
    assert await stage.dump() == before


async def test_a_change_is_one_modes_and_the_other_keeps_what_it_has(stage: Stage) -> None:
    test = await stage.open_account()
    live = await stage.in_mode(test.id, livemode=True)
    body = {"name": "Test me", "metadata": {"a": "b"}}
    await stage.done(f"PATCH /accounts/{test.id}", test.key, **body)
    own = await stage.get("/account", live.key)
    assert (own["name"], own["metadata"]) == (None, {})


async def test_a_restricted_key_needs_the_scopes_of_accounts(stage: Stage, parent: Party) -> None:
    reader = await stage.make_key(parent, "restricted", ["accounts:read"])
    assert (await stage.ask("GET /accounts", reader)).status == 200
    await refused(stage, ROUTE, reader, {}, 403, "insufficient_permissions", "accounts:write")
    writer = await stage.make_key(parent, "restricted", ["accounts:write"])
    made = await stage.done(ROUTE, writer)
    assert (await stage.get(f"/accounts/{made['id']}", writer))["parent"] == parent.id


async def test_a_repeated_request_opens_one_account(stage: Stage, parent: Party) -> None:
    live = await stage.in_mode(parent.id, livemode=True)
    for key in (parent.key, live.key):
        replies = [
            await stage.ask(ROUTE, key, {"name": "Once"}, Idempotency_Key="once") for _ in range(2)
        ]
        assert {(reply.status, reply.body) for reply in replies} == {(201, replies[0].body)}
        assert replies[1].headers["idempotent-replayed"] == "true"


async def test_the_database_itself_lets_no_connection_change(stage: Stage, parent: Party) -> None:
    made = await stage.done(ROUTE, parent.key)
    for column in ("parent", "root"):
        for value in (None, "acct_another"):
            update = f"UPDATE account SET {column} = $2 WHERE id = $1"
            with pytest.raises(asyncpg.RaiseError, match="never changes"):
                await stage.rows(update, made["id"], value)


async def test_what_an_operator_did_for_another_is_replayed_to_it(stage: Stage) -> None:
    """An answer whose event is another account's is remembered by itself."""
    issuer = await stage.open_account(livemode=True, capabilities=["stablecoin_issuance"])
    operator = await stage.open_account(livemode=True, capabilities=["reserves_operator"])
    deposit = await stage.done("POST /stablecoin/reserves/deposits", issuer.key, amount="5.00")
    route = f"POST /stablecoin/reserves/deposits/{deposit['id']}/verify"
    body = {"account": issuer.id}
    first = await stage.ask(route, operator.key, body, Idempotency_Key="verified")
    assert (first.status, first.json["status"]) == (200, "verified")
    again = await stage.ask(route, operator.key, body, Idempotency_Key="verified")
    assert (again.status, again.body) == (200, first.body)
    await stage.audit()
