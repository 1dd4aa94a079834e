"""A deleted object where others name it: expanded, and in the specification."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from commerce.areas.customers.customer import Customer
from commerce.engine.caller import Caller
from commerce.http.openapi import schema
from commerce.resource.expansion import Expander, expanded
from commerce.resource.noun import Part
from commerce.resource.reading import Reading
from commerce.resource.ref import Ref
from tests.contract.schema import faults
from tests.contract.surface import REGISTRY
from tests.stage import NOW, Stage


class Bill(Part, frozen=True, kw_only=True):
    """What is to be paid, and by whom."""

    customer: Ref[Customer]
    """Who pays."""


async def test_an_id_of_a_deleted_customer_is_expanded_into_what_it_answers(stage: Stage) -> None:
    party = await stage.open_account()
    made = await stage.done("POST /customers", party.key, name="Gone")
    body = msgspec.json.encode(Bill(customer=made["id"]))
    plan = Expander(REGISTRY.nouns).plan(Bill, ["customer"])
    reading = Reading(stage.app.reader, Caller(party.id, livemode=False), NOW)
    assert json.loads(await expanded(reading, plan, body)) == {"customer": made}
    gone = await stage.done(f"DELETE /customers/{made['id']}", party.key)
    assert json.loads(await expanded(reading, plan, body)) == {"customer": gone}


def test_the_specification_says_that_what_is_expanded_may_be_deleted() -> None:
    described: dict[str, Any] = {"properties": {"customer": {"type": "string"}}}
    schema._expand(described, Bill, Expander(REGISTRY.nouns))
    shapes = [
        {"type": "string"},
        schema.reference(Customer),
        {"$ref": "#/components/schemas/Deleted"},
    ]
    assert described["properties"]["customer"]["anyOf"] == shapes


async def test_both_answers_of_a_customer_are_as_the_specification_says(stage: Stage) -> None:
    document = json.loads(await stage.app.handbook.document())
    operation = document["paths"]["/v1/customers/{id}"]["get"]
    form = operation["responses"]["200"]["content"]["application/json"]["schema"]
    listed = document["paths"]["/v1/customers"]["get"]["responses"]["200"]["content"]
    assert "Deleted" not in str(listed["application/json"]["schema"])
    party = await stage.open_account()
    made = await stage.done("POST /customers", party.key, name="Gone")
    path = f"/customers/{made['id']}"
    assert faults(document, form, await stage.get(path, party.key)) == []
    await stage.done(f"DELETE {path}", party.key)
    gone = await stage.get(path, party.key)
    assert faults(document, form, gone) == []
    assert faults(document, form, {**gone, "name": "Gone"}) != []
