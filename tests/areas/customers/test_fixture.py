"""Fixtures: what every new test account begins with."""

from __future__ import annotations

from types import ModuleType

from commerce.app import MODULES
from commerce.areas.customers import customer
from commerce.resource.example import fixtures_of
from tests.stage import Stage

PATH = f"/customers/{customer.FIXTURE}"


async def test_a_test_account_begins_with_the_customer_of_the_documentation(stage: Stage) -> None:
    party = await stage.open_account()
    found = await stage.get(PATH, party.key)
    assert (found["id"], found["livemode"]) == ("cust_test_123", False)
    assert (found["name"], found["address"]["country"]) == ("Jenny Rosen", "US")
    [event] = await stage.events(party, customer.FIXTURE)
    assert (event["type"], event["account"]) == ("customer.created", party.id)


async def test_in_live_mode_there_is_none(stage: Stage) -> None:
    party = await stage.open_account(livemode=True)
    assert (await stage.get("/customers", party.key))["data"] == []
    assert (await stage.ask(f"GET {PATH}", party.key)).status == 404


async def test_a_connected_account_has_its_own_whatever_the_mode_of_who_opened_it(
    stage: Stage,
) -> None:
    test = await stage.open_account()
    live = await stage.in_mode(test.id, livemode=True)
    for opener in (test, live):
        made = await stage.done("POST /accounts", opener.key, name="Child")
        child = await stage.in_mode(made["id"], livemode=False)
        changed = await stage.done(f"PATCH {PATH}", child.key, name="Another")
        assert changed["name"] == "Another"
        in_live = await stage.in_mode(made["id"], livemode=True)
        assert (await stage.get("/customers", in_live.key))["data"] == []
    assert (await stage.get(PATH, test.key))["name"] == "Jenny Rosen"
    assert (await stage.get("/customers", live.key))["data"] == []


async def test_an_account_that_is_refused_has_no_customer_either(stage: Stage) -> None:
    party = await stage.open_account()
    before = await stage.dump()
    reply = await stage.ask("POST /accounts", party.key, {"name": 1})
    assert reply.status == 400
    assert await stage.dump() == before


def test_fixtures_are_found_once_and_where_they_are_declared() -> None:
    borrower = ModuleType("borrower")
    borrower.__dict__["plant"] = customer.plant
    assert fixtures_of([customer, borrower]) == [customer.plant]
    assert fixtures_of(MODULES).count(customer.plant) == 1
