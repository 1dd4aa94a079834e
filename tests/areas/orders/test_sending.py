"""Sending orders: in parts or whole, never more than is left, and back again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.areas.orders.scene import (
    DAY,
    act,
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
    return await shop_of(stage, "10000.00")


async def shipped(stage: Stage, id_: str) -> int:
    rows = await stage.rows(
        "SELECT balance FROM ledger_balance WHERE code = $1", f"stock:{id_}:shipped"
    )
    return sum(row["balance"] for row in rows)


def pieces(made: dict[str, Any], *quantities: int) -> list[dict[str, Any]]:
    """So many of each line; none of those that are zero."""
    pairs = zip(made["items"], quantities, strict=True)
    return [{"id": item["id"], "quantity": quantity} for item, quantity in pairs if quantity]


async def test_an_order_leaves_in_parts_and_each_takes_its_stock(stage: Stage, shop: Party) -> None:
    one, free = await product(stage, shop, 10), await product(stage, shop, None)
    made = await paid(
        stage, shop, items=[{"product": one, "quantity": 3}, {"product": free, "quantity": 2}]
    )
    now = await act(stage, shop, made, "fulfill", items=pieces(made, 1, 2), carrier="ups")
    assert now["status"] == "partially_fulfilled"
    assert [item["quantity_fulfilled"] for item in now["items"]] == [1, 2]
    assert (await counted(stage, shop, one), await shipped(stage, one)) == ((7, 2), 1)
    now = await act(stage, shop, made, "fulfill", items=pieces(made, 1, 0))
    assert now["status"] == "partially_fulfilled"
    now = await act(
        stage,
        shop,
        made,
        "fulfill?expand[]=fulfillments",
        carrier="dhl",
        tracking_number="JD01",
        tracking_url="https://example.com/JD01",
        shipped_at="2026-11-20T10:00:00Z",
        notify_customer=True,
    )
    assert now["status"] == "shipped"
    assert (await counted(stage, shop, one), await shipped(stage, one)) == ((7, 0), 3)
    parcels = now["fulfillments"]
    assert [[each["quantity"] for each in parcel["items"]] for parcel in parcels] == [
        *([1, 2], [1], [1])
    ]
    assert [parcel["status"] for parcel in parcels] == ["shipped"] * 3
    # What was packed before went with it, by its own carrier where it has one.
    assert [parcel["carrier"] for parcel in parcels] == ["ups", "dhl", "dhl"]
    assert {parcel["order"] for parcel in parcels} == {made["id"]}
    assert parcels[2]["shipped_at"] == 1_795_168_800
    assert parcels[2]["notify_customer"] is True
    assert await kinds(stage, shop, made) == [
        *("order.created", "order.paid", "order.partially_fulfilled"),
        *("order.partially_fulfilled", "order.shipped"),
    ]
    assert await kinds(stage, shop, parcels[0]) == ["fulfillment.created", "fulfillment.shipped"]
    page = await stage.get(f"/fulfillments?order={made['id']}&tracking_number=JD01", shop.key)
    assert len(page["data"]) == 2


async def test_more_than_is_left_or_of_another_order_is_refused(stage: Stage, shop: Party) -> None:
    made = await paid(stage, shop)
    other = await paid(stage, shop)
    route = f"POST /orders/{made['id']}/fulfill"
    id_ = made["items"][0]["id"]
    for items, status, code, param in (
        ([{"id": id_, "quantity": 3}], 400, "parameter_invalid", "items[0].quantity"),
        ([{"id": id_, "quantity": 1}] * 2, 400, "parameter_invalid", "items[1].id"),
        (pieces(other, 1), 404, "resource_missing", "items[0].id"),
        ([], 400, "parameter_invalid", "items"),
        ([{"id": id_, "quantity": 0}], 400, "parameter_invalid", "items[0].quantity"),
    ):
        reply = await stage.ask(route, shop.key, {"items": items})
        assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
    body = {"tracking_url": "javascript:alert(1)"}
    await refused(stage, route, shop.key, body, 400, "parameter_invalid", "http")
    await act(stage, shop, made, "fulfill", items=pieces(made, 1))
    await refused(
        stage, route, shop.key, {"items": pieces(made, 2)}, 400, "parameter_invalid", "Only 1"
    )


async def test_a_parcel_is_packed_then_shipped_then_delivered(stage: Stage, shop: Party) -> None:
    made = await in_state(stage, shop, "fulfilled")
    assert made["fulfilled_at"] is not None
    now = await act(stage, shop, made, "ship", carrier="ups", tracking_number="1Z")
    assert (now["status"], len(now["fulfillments"])) == ("shipped", 1)
    parcel = await stage.get(f"/fulfillments/{now['fulfillments'][0]}", shop.key)
    assert (parcel["status"], parcel["carrier"]) == ("shipped", "ups")
    assert parcel["tracking_number"] == "1Z"
    now = await act(stage, shop, made, "deliver")
    assert now["delivered_at"] is not None


async def test_of_many_who_send_the_last_piece_one_does(stage: Stage, shop: Party) -> None:
    id_ = await product(stage, shop, 100)
    made = await paid(stage, shop, items=[{"product": id_, "quantity": 5}])
    route = f"POST /orders/{made['id']}/fulfill"
    body = {"items": pieces(made, 1)}
    replies = await asyncio.gather(*(stage.ask(route, shop.key, body) for _ in range(12)))
    assert Counter(reply.status for reply in replies) == {200: 5, 400: 7}
    assert (await counted(stage, shop, id_), await shipped(stage, id_)) == ((95, 0), 5)


async def test_an_order_leaves_in_at_most_a_hundred_parts(stage: Stage, shop: Party) -> None:
    items = [{"name": "Pin", "unit_price": "1.00", "quantity": 101}]
    made = await paid(stage, shop, items=items)
    for _ in range(100):
        await act(stage, shop, made, "fulfill", items=pieces(made, 1))
    route = f"POST /orders/{made['id']}/fulfill"
    await refused(stage, route, shop.key, {}, 400, "parameter_invalid", "100 parts")


# Back


async def test_what_comes_back_is_worth_what_its_line_came_to_and_is_on_the_shelf(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 10, "3.33")
    made = await paid(
        stage,
        shop,
        items=[{"product": id_, "quantity": 3, "tax_rate": "7"}],
        discounts=[{"type": "percent", "value": "10"}],
        shipping={"amount": "2.00"},
    )
    total = float(made["items"][0]["total"])
    await act(stage, shop, made, "ship")
    now = await act(
        stage, shop, made, "return", items=pieces(made, 1), refund=True, reason="Too small."
    )
    assert (now["status"], now["payment_status"]) == ("shipped", "partially_refunded")
    assert (await kinds(stage, shop, made))[-2:] == ["order.updated", "order.updated"]
    await act(stage, shop, made, "return", items=pieces(made, 1), refund=True, restock=False)
    now = await act(stage, shop, made, "return", refund=True)
    assert (now["status"], now["payment_status"]) == ("returned", "partially_refunded")
    assert float(now["amount_refunded"]) == total
    assert sum(float(each["amount_refunded"]) for each in now["returns"]) == pytest.approx(total)
    assert [each["restocked"] for each in now["returns"]] == [True, False, True]
    assert (await counted(stage, shop, id_), await shipped(stage, id_)) == ((9, 0), 0)
    left = float(now["amount_paid"]) - total
    payment = now["payments"][0]
    await stage.done("POST /payments/refund", shop.key, payment=payment, amount=f"{left:.6f}")
    assert (await seen(stage, shop, made))["status"] == "refunded"


async def test_a_return_without_a_refund_keeps_the_money(stage: Stage, shop: Party) -> None:
    made = await in_state(stage, shop, "delivered")
    now = await act(stage, shop, made, "return")
    assert (now["status"], now["payment_status"]) == ("returned", "paid")
    assert now["returns"][0]["amount_refunded"] == "0.00"
    route = f"POST /orders/{made['id']}/return"
    await refused(stage, route, shop.key, {}, 400, "state_invalid")


async def test_only_what_has_left_comes_back(stage: Stage, shop: Party) -> None:
    made = await in_state(stage, shop, "partially_fulfilled")
    route = f"POST /orders/{made['id']}/return"
    body = {"items": pieces(made, 2)}
    await refused(stage, route, shop.key, body, 400, "parameter_invalid", "Only 1")
    now = await act(stage, shop, made, "return")
    assert now["status"] == "partially_fulfilled"
    await refused(stage, route, shop.key, {}, 400, "state_invalid", "nothing is left")


async def test_an_order_is_refunded_with_its_rest_on_the_shelf_again(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 10)
    made = await paid(stage, shop, items=[{"product": id_, "quantity": 4}])
    await act(stage, shop, made, "fulfill", items=pieces(made, 1))
    await stage.done("POST /payments/refund", shop.key, payment=made["payments"][0])
    assert (await seen(stage, shop, made))["status"] == "refunded"
    assert (await counted(stage, shop, id_), await shipped(stage, id_)) == ((9, 0), 1)


# Disputes


async def test_an_order_is_disputed_until_two_weeks_after_its_delivery(stage: Stage) -> None:
    shop = await shop_of(stage)
    made = await in_state(stage, shop, "delivered")
    late = await in_state(stage, shop, "delivered")
    stage.clock.advance(14 * DAY)
    now = await act(stage, shop, made, "dispute", reason="A hole.")
    assert (now["status"], now["dispute_reason"]) == ("disputed", "A hole.")
    assert "dispute" in (await seen(stage, shop, late))["allowed_transitions"]
    stage.clock.advance(1)
    assert "dispute" not in (await seen(stage, shop, late))["allowed_transitions"]
    route = f"POST /orders/{late['id']}/dispute"
    await refused(stage, route, shop.key, {}, 400, "state_invalid", "too long ago")


async def test_a_product_that_is_not_counted_any_more_is_still_released(stage: Stage) -> None:
    shop = await shop_of(stage)
    id_ = await product(stage, shop, 5)
    made = await order(stage, shop, items=[{"product": id_, "quantity": 2}])
    await stage.done(f"PATCH /products/{id_}", shop.key, inventory={"tracked": False})
    await act(stage, shop, made, "cancel")
    await stage.done(f"PATCH /products/{id_}", shop.key, inventory={"tracked": True})
    assert await counted(stage, shop, id_) == (5, 0)


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
