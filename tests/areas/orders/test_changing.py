"""Changing orders: what may change when, what stock and totals follow, and lost updates."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.areas.orders.scene import (
    act,
    change,
    counted,
    in_state,
    kinds,
    order,
    paid,
    product,
    seen,
    shop_of,
)
from tests.ladder import refused
from tests.stage import Party, Stage


@pytest.fixture(scope="module")
async def shop(stage: Stage) -> Party:
    return await shop_of(stage)


async def test_another_basket_is_reserved_anew_and_counted_anew(stage: Stage, shop: Party) -> None:
    one, two, free = [await product(stage, shop, number) for number in (10, 5, None)]
    made = await order(stage, shop, items=[{"product": one, "quantity": 4}, {"product": free}])
    steps: list[tuple[list[dict[str, Any]], int, int]] = [
        ([{"product": one, "quantity": 6}], 6, 0),
        ([{"product": one, "quantity": 1}, {"product": one, "quantity": 1}], 2, 0),
        ([{"product": one}, {"product": two, "quantity": 5}], 1, 5),
        ([{"product": free, "quantity": 7}], 0, 0),
        ([{"product": two, "quantity": 3}, {"product": two, "quantity": 2}], 0, 5),
    ]
    for items, of_one, of_two in steps:
        now = await change(stage, shop, made, items=items)
        pieces = sum(item.get("quantity", 1) for item in items)
        assert (now["total"], now["amount_due"]) == (f"{pieces * 10}.00", f"{pieces * 10}.00")
        assert await counted(stage, shop, one) == (10 - of_one, of_one)
        assert await counted(stage, shop, two) == (5 - of_two, of_two)
    route = f"PATCH /orders/{made['id']}"
    body = {"items": [{"product": one}, {"product": two, "quantity": 6}]}
    reply = await stage.ask(route, shop.key, body)
    assert (reply.status, reply.error["code"]) == (400, "out_of_stock")
    assert reply.error["param"] == "items[1].quantity"
    assert await counted(stage, shop, two) == (0, 5)
    await act(stage, shop, made, "cancel")
    assert await counted(stage, shop, two) == (5, 0)


async def test_what_a_change_does_not_name_stays_as_it_was(stage: Stage, shop: Party) -> None:
    made = await order(
        stage,
        shop,
        items=[
            {"name": "Shirt", "unit_price": "10.00", "tax_rate": "8.25", "quantity": 3},
            {
                "name": "Hat",
                "unit_price": "5.00",
                "discount": {"type": "percent", "value": "12.5"},
            },
        ],
        discounts=[{"type": "fixed", "value": "1.00", "code": "ONE"}],
        shipping={"amount": "2.00"},
        metadata={"a": "1"},
    )
    same = await change(stage, shop, made, notes="Hello")
    assert {**same, "notes": None, "version": 1} == made
    dearer = await change(stage, shop, made, shipping={"amount": "4.00"}, metadata={"b": "2"})
    assert dearer["items"] == made["items"]
    assert float(dearer["total"]) == float(made["total"]) + 2
    assert dearer["metadata"] == {"a": "1", "b": "2"}
    plain = await change(stage, shop, made, discounts=[], shipping=None, notes=None)
    assert (plain["discount_total"], plain["shipping_total"]) == ("0.625", "0.00")
    assert await kinds(stage, shop, made) == ["order.created", *["order.updated"] * 3]
    idle = await change(stage, shop, made, discounts=[], notes=None)
    assert idle["version"] == plain["version"]


async def test_once_it_is_paid_only_little_may_change(stage: Stage, shop: Party) -> None:
    made = await paid(stage, shop)
    route = f"PATCH /orders/{made['id']}"
    for name, value in (
        ("items", [{"name": "Hat", "unit_price": "1.00"}]),
        ("billing_address", {"country": "US"}),
        ("shipping", {"amount": "1.00"}),
        ("discounts", []),
        ("tax", "1.00"),
    ):
        reply = await stage.ask(route, shop.key, {name: value})
        assert (reply.status, reply.error["code"]) == (400, "state_invalid")
        assert reply.error["param"] == name
    now = await change(
        stage, shop, made, notes="x", metadata={"k": "v"}, shipping_address={"country": "US"}
    )
    assert (now["notes"], now["shipping_address"]["country"]) == ("x", "US")
    await act(stage, shop, made, "ship")
    body: dict[str, Any] = {"shipping_address": None}
    await refused(stage, route, shop.key, body, 400, "state_invalid", "shipped")
    assert (await change(stage, shop, made, notes="later"))["notes"] == "later"


async def test_a_person_confirms_holds_releases_and_cancels_by_status(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop)
    for status in ("confirmed", "confirmed", "held", "confirmed", "held", "cancelled"):
        now = await change(stage, shop, made, status=status)
        assert now["status"] == status
    assert (await kinds(stage, shop, made))[1:] == [
        *("order.confirmed", "order.held", "order.updated", "order.held", "order.cancelled")
    ]
    for status in ("paid", "shipped", "refunded"):
        fresh = await order(stage, shop)
        route, body = f"PATCH /orders/{fresh['id']}", {"status": status}
        await refused(stage, route, shop.key, body, 400, "state_invalid", f"'{status}'")


async def test_a_lost_update_is_refused_by_the_body_or_by_the_header(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop)
    route = f"PATCH /orders/{made['id']}"
    assert (await change(stage, shop, made, notes="one", version=1))["version"] == 2
    await refused(stage, route, shop.key, {"notes": "x", "version": 1}, 409, "version_conflict")
    for tag, status in (("1", 412), ('"1"', 412), ("3", 412), ("2", 200), ('"3"', 200)):
        reply = await stage.ask(route, shop.key, {"notes": f"by {tag}"}, If_Match=tag)
        assert reply.status == status, (tag, reply.body)
    got = await stage.ask(f"GET /orders/{made['id']}", shop.key)
    stale = got.headers["etag"]
    reply = await stage.ask(route, shop.key, {"notes": "y"}, If_Match=stale)
    assert reply.status == 200
    reply = await stage.ask(route, shop.key, {"notes": "z"}, If_Match=stale)
    assert (reply.status, reply.error["code"]) == (412, "version_conflict")


async def test_every_version_is_the_number_of_its_event(stage: Stage, shop: Party) -> None:
    made = await in_state(stage, shop, "completed")
    events = await stage.events(shop, made["id"])
    shown = [event["data"]["object"]["version"] for event in events]
    assert shown == [event["sequence"] for event in events]
    for before, after in itertools.pairwise(events):
        changed = after["data"]["previous_attributes"]
        was = before["data"]["object"]
        assert changed == {name: was[name] for name in changed}
        assert changed["version"] == was["version"]


async def test_post_and_put_to_an_order_change_it_as_patch_does(stage: Stage, shop: Party) -> None:
    made = await order(stage, shop)
    for method in ("PATCH", "POST", "PUT"):
        done = await stage.done(f"{method} /orders/{made['id']}", shop.key, notes=method)
        assert done["notes"] == method
    one = await stage.ask(
        f"POST /orders/{made['id']}", shop.key, {"notes": "same"}, Idempotency_Key="alias"
    )
    two = await stage.ask(
        f"PATCH /orders/{made['id']}", shop.key, {"notes": "same"}, Idempotency_Key="alias"
    )
    assert (two.body, two.headers["idempotent-replayed"]) == (one.body, "true")
    assert (await seen(stage, shop, made))["version"] == 5


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
