"""Customers: kept, changed, found and listed."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.areas.customers.customer import FIXTURE
from tests.ladder import Rung, climb, refused
from tests.stage import NOW, Party, Stage

ROUTE = "POST /customers"
ADDRESS = {
    "line1": "510 Townsend Street",
    "line2": None,
    "city": "San Francisco",
    "state": "CA",
    "postal_code": "94103",
    "country": "US",
}


@pytest.fixture(scope="module")
async def party(stage: Stage) -> Party:
    return await stage.open_account()


async def test_guards_of_create_stand_in_order_and_leave_nothing_behind(
    stage: Stage, party: Party
) -> None:
    bad_tax = {"type": "us_ein", "value": "1"}
    bad_address, bad_shipping = {"postal_code": "1"}, {"name": "", "address": {}}
    await climb(
        stage,
        ROUTE,
        party.key,
        Rung({"emial": "x", "email": "x"}, 400, "parameter_unknown", "emial", "'email'"),
        Rung({"emial": ...}, 400, "parameter_invalid", "email", "an email address"),
        Rung({"email": "a@b.co", "name": "x" * 257}, 400, "parameter_invalid", "name"),
        Rung({"name": "x", "phone": "1" * 33}, 400, "parameter_invalid", "phone"),
        Rung({"phone": "1", "address": bad_address}, 400, "parameter_missing", "address.country"),
        Rung(
            {"address": {"country": "USA"}, "shipping": bad_shipping},
            *(400, "parameter_invalid", "address.country", "two-letter"),
        ),
        Rung(
            {"address": {"country": "XX", "postal_code": "1"}},
            *(400, "parameter_invalid", "shipping.name"),
        ),
        Rung(
            {"shipping": {"name": "J", "address": {}}},
            *(400, "parameter_missing", "shipping.address.country"),
        ),
        Rung(
            {"shipping": {"name": "J", "address": {"country": "GB", "postal_code": "1"}}},
            *(400, "parameter_invalid", "address.country"),
        ),
        Rung(
            {"address": {"country": "US", "postal_code": "1"}},
            *(400, "parameter_invalid", "address.postal_code", "'95014'"),
        ),
        Rung({"address": ADDRESS}, 400, "parameter_invalid", "shipping.address.postal_code"),
        Rung(
            {"shipping": {"name": "J", "address": ADDRESS}, "tax_ids": [bad_tax] * 6},
            *(400, "parameter_invalid", "tax_ids"),
        ),
        Rung(
            {"tax_ids": [{**bad_tax, "value": "12-3456789"}, bad_tax], "wallet_address": "x"},
            *(400, "parameter_invalid", "tax_ids[1].value"),
        ),
        Rung({"tax_ids": []}, 400, "invalid_recipient", "wallet_address"),
    )


async def test_a_customer_is_kept_as_it_was_sent_its_codes_in_one_form(
    stage: Stage, party: Party
) -> None:
    body = {
        "email": "Jenny@Example.com",
        "name": "Jenny Rosen",
        "phone": "+1 415 555 0100",
        "address": {**ADDRESS, "country": "us", "line2": ""},
        "shipping": {
            "name": "Jenny",
            "phone": "",
            "address": {"country": "gb", "postal_code": " ls1  4ap"},
        },
        "tax_ids": [{"country": "de", "value": "136 695 976"}],
        "wallet_address": party.wallet.upper(),
        "metadata": {"crm": "7", "none": ""},
    }
    reply = await stage.ask(ROUTE, party.key, body)
    assert reply.status == 201
    made = reply.json
    nowhere = dict.fromkeys(("line1", "line2", "city", "state"))
    assert made == {
        "id": made["id"],
        "object": "customer",
        "livemode": False,
        "created": NOW,
        "metadata": {"crm": "7"},
        "email": "Jenny@Example.com",
        "name": "Jenny Rosen",
        "phone": "+1 415 555 0100",
        "address": ADDRESS,
        "shipping": {
            "name": "Jenny",
            "phone": None,
            "address": {**nowhere, "postal_code": "LS1 4AP", "country": "GB"},
        },
        "tax_ids": [{"type": "eu_vat", "country": "DE", "value": "DE136695976"}],
        "wallet_address": party.wallet,
    }
    assert made["id"].startswith("cust_test_")
    assert await stage.get(f"/customers/{made['id']}", party.key) == made
    [event] = await stage.events(party, made["id"])
    assert event["type"] == "customer.created"
    assert event["data"] == {"object": made, "previous_attributes": None}


async def test_all_of_a_customer_may_be_left_out(stage: Stage, party: Party) -> None:
    made = await stage.done(ROUTE, party.key)
    empty = ("email", "name", "phone", "address", "shipping", "wallet_address")
    assert {name: made[name] for name in empty} == dict.fromkeys(empty)
    assert (made["tax_ids"], made["metadata"]) == ([], {})


@pytest.mark.parametrize(
    "email",
    [
        *("jenny", "@example.com", "jenny@", "jenny@localhost", "a b@example.com"),
        *("a@b@example.com", "a@example.com\n", "a@example.", f"{'a' * 250}@b.co"),
    ],
)
async def test_what_is_no_email_address_is_refused(stage: Stage, party: Party, email: str) -> None:
    await refused(stage, ROUTE, party.key, {"email": email}, 400, "parameter_invalid", "email")


@pytest.mark.parametrize("email", ["j@example.com", "j.r+x@mail.example.co.uk", "ü@münchen.de"])
async def test_email_addresses_are_taken_in_all_their_forms(
    stage: Stage, party: Party, email: str
) -> None:
    assert (await stage.done(ROUTE, party.key, email=email))["email"] == email


async def test_an_update_changes_what_it_names_and_null_takes_away(
    stage: Stage, party: Party
) -> None:
    given: dict[str, Any] = {
        "email": "a@example.com",
        "name": "A",
        "phone": "1",
        "address": ADDRESS,
        "shipping": {"name": "A", "address": ADDRESS},
        "tax_ids": [{"type": "us_ein", "value": "12-3456789"}],
        "wallet_address": party.wallet,
        "metadata": {"a": "1", "b": "2"},
    }
    made = await stage.done(ROUTE, party.key, **given)
    route = f"PATCH /customers/{made['id']}"
    assert await stage.done(route, party.key) == made
    assert len(await stage.events(party, made["id"])) == 1

    moved = {"country": "DE", "postal_code": "10115"}
    expected = {**made, "name": "B", "address": {**dict.fromkeys(ADDRESS), **moved}}
    changed = await stage.done(route, party.key, name="B", address=moved)
    assert changed == expected
    changed = await stage.done(route, party.key, metadata={"a": "", "c": "3"})
    assert changed == {**expected, "metadata": {"b": "2", "c": "3"}}

    for name in given.keys() - {"metadata"}:
        changed = await stage.done(route, party.key, **{name: None})
        assert changed[name] == ([] if name == "tax_ids" else None)
    again = await stage.done(route, party.key, **given)
    for name in ("email", "name", "phone", "wallet_address"):
        assert again[name] == given[name]
        assert (await stage.done(route, party.key, **{name: ""}))[name] is None
    events = await stage.events(party, made["id"])
    assert events[1]["data"]["previous_attributes"] == {"name": "A", "address": ADDRESS}
    assert {each["type"] for each in events[1:]} == {"customer.updated"}


async def test_a_form_changes_a_customer_as_json_does(stage: Stage, party: Party) -> None:
    made = await stage.done(ROUTE, party.key, name="A", email="a@example.com")
    form = b"name=B&email=&address[country]=US&address[postal_code]=94103"
    form += b"&tax_ids[0][type]=us_ein&tax_ids[0][value]=12-3456789"
    headers = [
        (b"host", b"api.example.com"),
        (b"authorization", f"Bearer {party.key}".encode()),
        (b"content-type", b"application/x-www-form-urlencoded"),
    ]
    path = f"/v1/customers/{made['id']}".encode()
    changed = (await stage.send("PATCH", path, headers, form)).json
    assert (changed["name"], changed["email"]) == ("B", None)
    assert changed["address"]["postal_code"] == "94103"
    assert changed["tax_ids"] == [{"type": "us_ein", "country": "US", "value": "123456789"}]


async def test_guards_of_update_stand_in_order(stage: Stage, party: Party) -> None:
    pairs = {f"k{number}": "v" for number in range(50)}
    made = await stage.done(ROUTE, party.key, metadata=pairs)
    await climb(
        stage,
        f"PATCH /customers/{made['id']}",
        party.key,
        Rung({"deleted": True, "email": "x"}, 400, "parameter_unknown", "deleted"),
        Rung({"deleted": ...}, 400, "parameter_invalid", "email"),
        Rung({"email": "a@b.co", "address": {}}, 400, "parameter_missing", "address.country"),
        Rung({"address": {"country": "XX"}}, 400, "parameter_invalid", "address.country"),
        Rung({"address": None, "wallet_address": "x"}, 400, "invalid_recipient", "wallet_address"),
        Rung(
            {"wallet_address": None, "metadata": {"more": "v"}},
            *(400, "parameter_invalid", "metadata"),
        ),
    )


async def test_an_update_of_what_has_changed_since_is_refused(stage: Stage, party: Party) -> None:
    made = await stage.done(ROUTE, party.key, name="A")
    path = f"/customers/{made['id']}"
    etag = (await stage.ask(f"GET {path}", party.key)).headers["etag"]
    first = await stage.ask(f"PATCH {path}", party.key, {"name": "B"}, If_Match=etag)
    assert first.status == 200
    second = await stage.ask(f"DELETE {path}", party.key, {}, If_Match=etag)
    assert (second.status, second.error["code"]) == (412, "version_conflict")
    assert (await stage.get(path, party.key))["name"] == "B"


async def test_lists_find_customers_by_what_is_known_of_them(stage: Stage) -> None:
    party = await stage.open_account()
    email, wallet = "twice@example.com", party.wallet
    first = await stage.done(ROUTE, party.key, email=email, metadata={"crm": "7"})
    second = await stage.done(ROUTE, party.key, email=email, name="Two Words", phone="+1 2")
    third = await stage.done(ROUTE, party.key, wallet_address=wallet)

    async def found(query: str) -> list[str]:
        page = await stage.get(f"/customers?{query}", party.key)
        return [each["id"] for each in page["data"]]

    assert await found("limit=100") == [
        FIXTURE,
        *(each["id"] for each in (third, second, first)),
    ]
    assert await found(f"email={email}") == [second["id"], first["id"]]
    assert await found("email=TWICE@example.com") == []
    assert await found("name=Two%20Words") == [second["id"]]
    assert await found("phone=%2B1%202") == [second["id"]]
    assert await found(f"wallet_address={wallet}") == [third["id"]]
    assert await found("metadata[crm]=7") == [first["id"]]
    assert await found(f"created[gt]={NOW}") == []
    assert len(await found("created=2026-11-23")) == 4


async def test_a_restricted_key_needs_the_scopes_of_customers(stage: Stage, party: Party) -> None:
    made = await stage.done(ROUTE, party.key)
    path = f"/customers/{made['id']}"
    reader = await stage.make_key(party, "restricted", ["customers:read"])
    assert await stage.get(path, reader) == made
    for route in (ROUTE, f"PATCH {path}", f"DELETE {path}"):
        await refused(stage, route, reader, {}, 403, "insufficient_permissions", "customers:write")
    public = await stage.make_key(party, "public")
    await refused(stage, ROUTE, public, {}, 403, "key_type_not_allowed")
    writer = await stage.make_key(party, "restricted", ["customers:write"])
    assert (await stage.done(f"PATCH {path}", writer, name="W"))["name"] == "W"


async def test_live_mode_refuses_the_wallet_that_only_the_documentation_has(stage: Stage) -> None:
    sample = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
    test = await stage.open_account()
    live = await stage.in_mode(test.id, livemode=True)
    body = {"wallet_address": sample}
    assert (await stage.done(ROUTE, test.key, **body))["wallet_address"] == sample
    await refused(stage, ROUTE, live.key, body, 400, "invalid_recipient")
    made = await stage.done(ROUTE, live.key, wallet_address=live.wallet)
    assert made["livemode"] is True
    assert "test" not in made["id"]
