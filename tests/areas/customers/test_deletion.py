"""Deleted customers: what they still answer, and that nothing else is left of the person."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from commerce.areas.customers import customer
from commerce.areas.customers.customer import Customer
from commerce.kernel.errors import ApiError
from commerce.resource.operation import Params
from commerce.settings import Settings
from tests.ladder import refused
from tests.stage import Party, Stage, app_over

ROUTE = "POST /customers"
ADDRESS = {"line1": "1 Zanzibar-Quux Street", "country": "US", "postal_code": "94103"}
PERSON = {
    "email": "zanzibar-quux@example.com",
    "name": "Zanzibar-Quux",
    "phone": "+1 zanzibar-quux",
    "address": ADDRESS,
    "shipping": {"name": "Zanzibar-Quux", "address": ADDRESS},
    "tax_ids": [{"type": "us_ein", "value": "98-7654321"}],
    "metadata": {"who": "zanzibar-quux"},
}
TRACES = re.compile("zanzibar|quux|987654321", re.IGNORECASE)


@pytest.fixture(scope="module")
async def party(stage: Stage) -> Party:
    return await stage.open_account()


def gone(id_: str) -> dict[str, Any]:
    return {"id": id_, "object": "customer", "deleted": True}


async def traces(stage: Stage) -> list[str]:
    """The tables in which anything of the person stands, whatever the column."""
    found = []
    for table in stage.app.registry.tables:
        rows = await stage.rows(f"SELECT t::text AS row FROM {table} t")
        found += [table for row in rows if TRACES.search(row["row"])]
    return sorted(set(found))


async def test_a_deleted_customer_answers_that_it_is_and_stands_in_no_list(
    stage: Stage, party: Party
) -> None:
    kept, made = [await stage.done(ROUTE, party.key, name=name) for name in ("Kept", "Gone")]
    path = f"/customers/{made['id']}"
    reply = await stage.ask(f"DELETE {path}", party.key)
    assert (reply.status, reply.json) == (200, gone(made["id"]))
    assert await stage.get(path, party.key) == gone(made["id"])
    for query in ("limit=100", "name=Gone", f"limit=100&starting_after={made['id']}"):
        page = await stage.get(f"/customers?{query}", party.key)
        assert made["id"] not in {each["id"] for each in page["data"]}
    page = await stage.get(f"/customers?starting_after={made['id']}", party.key)
    assert page["data"][0]["id"] == kept["id"]


async def test_a_deleted_customer_is_missing_to_whatever_would_change_or_use_it(
    stage: Stage, party: Party
) -> None:
    made = await stage.done(ROUTE, party.key, name="Gone")
    route = f"/customers/{made['id']}"
    await stage.done(f"DELETE {route}", party.key)
    for verb in ("DELETE", "PATCH", "PUT"):
        await refused(stage, f"{verb} {route}", party.key, {}, 404, "resource_missing", made["id"])

    def use(tx: Any, _: Params) -> Customer:
        return customer.require(tx, made["id"])

    with pytest.raises(ApiError) as caught:
        await stage.app.operate(use, Params(), account=party.id, livemode=False)
    assert (caught.value.code, caught.value.param) == ("resource_missing", "customer")


async def test_nothing_of_the_person_is_left_in_any_table(stage: Stage, party: Party) -> None:
    made = await stage.done(ROUTE, party.key, **PERSON)
    route = f"/customers/{made['id']}"
    await stage.done(f"PATCH {route}", party.key, name="Q. Zanzibar", metadata={"who": "quux"})
    await stage.done(f"PATCH {route}", party.key, shipping=None)
    assert await traces(stage) == ["customer", "event"]
    await stage.done(f"DELETE {route}", party.key)
    assert await traces(stage) == []
    events = await stage.events(party, made["id"])
    types = ["customer.created", *["customer.updated"] * 2, "customer.deleted"]
    assert [each["type"] for each in events] == types
    assert [each["sequence"] for each in events] == [1, 2, 3, 4]
    shown = {"object": gone(made["id"]), "previous_attributes": None}
    assert [each["data"] for each in events] == [shown] * 4
    [row] = await stage.rows("SELECT * FROM customer WHERE id = $1", made["id"])
    assert (row["deleted"], row["created"], row["version"]) == (True, made["created"], 4)


async def test_the_events_of_others_stay_as_they_are(stage: Stage, party: Party) -> None:
    other = await stage.open_account()
    mine = await stage.done(ROUTE, party.key, name="Mine")
    await stage.done(f"PATCH /customers/{mine['id']}", party.key, name="Still mine")
    before = await stage.events(party, mine["id"])
    await stage.done(f"DELETE /customers/{customer.FIXTURE}", other.key)
    assert await stage.events(party, mine["id"]) == before
    [planted] = await stage.events(party, customer.FIXTURE)
    assert planted["data"]["object"]["name"] == "Jenny Rosen"
    deleted = await stage.events(other, customer.FIXTURE)
    assert [each["data"]["object"] for each in deleted] == [gone(customer.FIXTURE)] * 2


async def test_a_retry_is_answered_with_the_id_alone_and_does_nothing_again(
    stage: Stage, party: Party
) -> None:
    made = await stage.ask(ROUTE, party.key, PERSON, Idempotency_Key="make")
    id_ = made.json["id"]
    deletion = f"DELETE /customers/{id_}"
    first = await stage.ask(deletion, party.key, {}, Idempotency_Key="delete")
    again = await stage.ask(deletion, party.key, {}, Idempotency_Key="delete")
    assert (first.status, first.body) == (again.status, again.body)
    assert again.headers["idempotent-replayed"] == "true"
    before = await stage.dump()
    remade = await stage.ask(ROUTE, party.key, PERSON, Idempotency_Key="make")
    assert (remade.status, remade.json) == (201, gone(id_))
    assert remade.headers["idempotent-replayed"] == "true"
    assert await stage.dump() == before
    assert await traces(stage) == []


async def test_changes_that_arrive_with_the_deletion_leave_nothing_behind_either(
    stage: Stage, party: Party
) -> None:
    """From two processes, in one batch and in several: each comes before it, or is refused."""
    elsewhere = app_over(stage.url, Settings(data_dir=Path("nowhere")), stage.clock)
    async with elsewhere.running(serving=False):
        other = Stage(elsewhere, stage.url, stage.clock)
        for _ in range(5):
            made = await stage.done(ROUTE, party.key, **PERSON)
            path = f"/customers/{made['id']}"
            asks = [
                (stage, other)[number % 2].ask(
                    f"{'DELETE' if number == 11 else 'PATCH'} {path}",
                    party.key,
                    {} if number == 11 else {"name": f"Zanzibar {number}"},
                )
                for number in range(24)
            ]
            replies = await asyncio.gather(*asks)
            assert replies[11].json == gone(made["id"])
            assert {reply.status for reply in replies} <= {200, 404}
            assert await traces(stage) == []
            changes = sum(reply.status == 200 for reply in replies)
            events = await stage.events(party, made["id"])
            numbers = sorted(each["sequence"] for each in events)
            assert numbers == list(range(1, changes + 2))


async def test_the_database_keeps_no_deleted_customer_that_has_anything_left(
    stage: Stage, party: Party
) -> None:
    made = await stage.done(ROUTE, party.key, name="Gone")
    await stage.done(f"DELETE /customers/{made['id']}", party.key)
    for column, value in (
        *(("name", "'x'"), ("email", "'x'"), ("phone", "'x'"), ("wallet_address", "'x'")),
        *(("address", "'{}'"), ("shipping", "'{}'"), ("tax_ids", "'[1]'")),
        ("metadata", '\'{"a": "b"}\''),
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await stage.rows(f"UPDATE customer SET {column} = {value} WHERE id = $1", made["id"])


def test_what_a_deletion_takes_away_is_every_field_that_a_customer_has() -> None:
    fields = {field.name for field in msgspec.structs.fields(Customer)}
    assert set(customer._NOTHING) == fields - {"id", "livemode", "created", "deleted"}
