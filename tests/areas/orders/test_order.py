"""Orders as they are made: what they hold, what they come to, and what is refused, in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.areas.orders.scene import (
    CREATE,
    ONE,
    WALLET,
    counted,
    kinds,
    order,
    paid,
    product,
    seen,
    shop_of,
)
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage

GOOD = {"name": "Shirt", "unit_price": "1.00"}
LEEDS = {"line1": "1 Main Street", "city": "Leeds", "postal_code": "ls1 4ap", "country": "gb"}


@pytest.fixture(scope="module")
async def shop(stage: Stage) -> Party:
    return await shop_of(stage)


async def test_an_order_shows_all_of_itself(stage: Stage, shop: Party) -> None:
    shirt = await product(stage, shop, 10, "39.00", sku="SHIRT-1")
    customer = await stage.done("POST /customers", shop.key, name="Jenny Rosen")
    made = await order(
        stage,
        shop,
        items=[
            {"product": shirt, "quantity": 2, "tax_rate": "20", "metadata": {"size": "M"}},
            {
                "name": "Wrapping",
                "unit_price": "2.50",
                "discount": {"type": "fixed", "value": "0.50"},
            },
        ],
        customer=customer["id"],
        shipping_address=LEEDS,
        billing_address={"country": "US"},
        shipping={"method": "express", "carrier": "ups", "amount": "4.95"},
        discounts=[{"type": "percent", "value": 10, "code": "SPRING"}],
        source="web",
        notes="Ring twice.",
        metadata={"cart": "7"},
    )
    one, two = (dict(item) for item in made["items"])
    assert one.pop("id").startswith("li_test_")
    assert one == {
        **dict.fromkeys(("discount",)),
        "product": shirt,
        "sku": "SHIRT-1",
        "name": "Linen shirt",
        "quantity": 2,
        "unit_price": "39.00",
        "tax_rate": "20",
        "subtotal": "78.00",
        "discount_total": "7.80",
        "tax_total": "14.04",
        "total": "84.24",
        "quantity_fulfilled": 0,
        "quantity_returned": 0,
        "metadata": {"size": "M"},
    }
    assert two["discount"] == {"type": "fixed", "value": "0.50", "code": None, "amount": "0.50"}
    assert (two["discount_total"], two["total"]) == ("0.70", "1.80")
    assert made["discounts"] == [
        {"type": "percent", "value": "10", "code": "SPRING", "amount": "8.00"}
    ]
    sums = ("subtotal", "discount_total", "tax_total", "shipping_total", "total", "amount_due")
    assert [made[name] for name in sums] == ["80.50", "8.50", "14.04", "4.95", "90.99", "90.99"]
    assert made["shipping"] == {"method": "express", "carrier": "ups", "amount": "4.95"}
    assert made["shipping_address"]["postal_code"] == "LS1 4AP"
    assert (made["status"], made["payment_status"], made["version"]) == ("pending", "unpaid", 1)
    assert made["allowed_transitions"] == ["confirm", "pay", "cancel", "hold"]
    assert made["expires_at"] == made["created"] + 86_400
    assert len(made["number"]) == 14
    assert made == await seen(stage, shop, made)
    assert await counted(stage, shop, shirt) == (8, 2)
    assert await kinds(stage, shop, made) == ["order.created"]
    assert not {"counted", "under_way", "given_back"} & made.keys()


async def test_the_guards_of_an_order_come_in_their_order(stage: Stage, shop: Party) -> None:
    await climb(
        stage,
        CREATE,
        shop.key,
        Rung({}, 400, "parameter_missing", "items"),
        Rung({"items": []}, 400, "parameter_invalid", "items"),
        Rung({"items": [{"quantity": 0}]}, 400, "parameter_invalid", "items[0].quantity"),
        Rung({"items": [{"colour": "red"}]}, 400, "parameter_unknown", "items[0].colour"),
        Rung(
            {"items": [{"tax_rate": "101"}], "currency": "xyz"},
            *(400, "parameter_invalid", "items[0].tax_rate"),
        ),
        Rung({"items": [{}]}, 400, "currency_unsupported", "currency"),
        Rung(
            {"currency": "ssusd", "customer": "cust_test_nobody"},
            *(404, "resource_missing", "customer"),
        ),
        Rung(
            {"customer": {"name": "New", "address": {"country": "XX"}}},
            *(400, "parameter_invalid", "customer.address.country"),
        ),
        Rung(
            {"customer": {"email": "a@example.com"}, "shipping_address": {"country": "UK"}},
            *(400, "parameter_invalid", "shipping_address.country"),
        ),
        Rung({"shipping_address": LEEDS}, 400, "parameter_missing", "items[0].product"),
        Rung({"items": [{"name": "x"}]}, 400, "parameter_missing", "items[0].unit_price"),
        Rung({"items": [{"name": "x", "sku": "y"}]}, *(400, "parameter_invalid", "items[0].name")),
        Rung({"items": [{"sku": "y"}]}, 404, "resource_missing", "items[0].sku"),
    )


async def test_the_guards_of_what_an_order_comes_to_follow(stage: Stage, shop: Party) -> None:
    shirt = await product(stage, shop, 3)
    dollars = await product(stage, shop, None, currency="usd")
    gone = await product(stage, shop, None)
    await stage.done(f"PATCH /products/{gone}", shop.key, active=False)
    await order(stage, shop, number="TAKEN")
    bad_discount = {"type": "percent", "value": "0"}
    await climb(
        stage,
        CREATE,
        shop.key,
        Rung({"items": [{"product": gone}]}, 400, "state_invalid", "items[0].product"),
        Rung({"items": [{"product": dollars}]}, 400, "currency_unsupported", "items[0].product"),
        Rung(
            {"items": [{**GOOD, "unit_price": "0"}]},
            *(400, "amount_invalid", "items[0].unit_price"),
        ),
        Rung(
            {"items": [{**GOOD, "discount": bad_discount}]},
            *(400, "parameter_invalid", "items[0].discount.value"),
        ),
        Rung(
            {"items": [GOOD], "discounts": [bad_discount]},
            *(400, "parameter_invalid", "discounts[0].value"),
        ),
        Rung({"discounts": [], "tax": "automatic"}, 400, "parameter_invalid", "tax", "tax_rate"),
        Rung({"tax": "-1", "shipping": {"amount": "x"}}, 400, "amount_invalid", "tax"),
        Rung({"tax": "0.00"}, 400, "amount_invalid", "shipping.amount"),
        Rung(
            {"shipping": {}, "items": [{**GOOD, "tax_rate": 5}]},
            *(400, "parameter_invalid", "items[0].tax_rate"),
        ),
        Rung(
            {"tax": ..., "items": [{**GOOD, "unit_price": "999999999999", "quantity": 2}]},
            *(400, "amount_invalid", "items[0].quantity"),
        ),
        Rung(
            {"items": [{**GOOD, "unit_price": "999999999999"}, GOOD, GOOD]},
            *(400, "amount_invalid", "items"),
        ),
        Rung(
            {"items": [{"product": shirt, "quantity": 4}], "number": "TAKEN"},
            *(409, "duplicate_reference", "number"),
        ),
        Rung({"number": "FREE"}, 400, "out_of_stock", "items[0].quantity", "Only 3"),
        Rung(
            {
                "items": [{"product": shirt, "quantity": 3}],
                "payment": {"payment_method": {"type": "ssusd"}, "amount": "29.00"},
            },
            *(400, "amount_mismatch", "payment.amount"),
        ),
        Rung(
            {"payment": {"payment_method": {"type": "ssusd", "wallet_address": "x"}}},
            *(400, "invalid_recipient", "payment.payment_method.wallet_address"),
        ),
        Rung({"payment": {"colour": "red"}}, 400, "parameter_unknown", "payment.colour"),
        Rung(
            {"payment": {"capture": True}, "escrow": True},
            *(400, "parameter_invalid", "payment.capture"),
        ),
    )


async def test_only_ssusd_is_held_in_escrow(stage: Stage, shop: Party) -> None:
    body = {"items": [GOOD], "currency": "usd", "escrow": True}
    await refused(stage, CREATE, shop.key, body, 400, "parameter_invalid", "escrow")


async def test_stock_is_named_by_the_line_that_finds_too_little_and_nothing_is_taken(
    stage: Stage, shop: Party
) -> None:
    one, two = await product(stage, shop, 5), await product(stage, shop, 1)
    items = [{"product": one, "quantity": 5}, {"product": two}, {"product": two}]
    reply = await stage.ask(CREATE, shop.key, {"items": items}, Idempotency_Key="short")
    assert (reply.status, reply.error["param"]) == (400, "items[2].quantity")
    assert (await counted(stage, shop, one), await counted(stage, shop, two)) == ((5, 0), (1, 0))
    again = await stage.ask(CREATE, shop.key, {"items": items}, Idempotency_Key="short")
    assert again.body == reply.body


async def test_a_product_is_bought_by_its_sku_at_its_price_or_at_another(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 10, "3.00", sku="BY-SKU")
    items = [{"sku": "BY-SKU", "quantity": 2}, {"product": id_, "unit_price": "1.50"}]
    made = await order(stage, shop, items=items)
    assert [item["product"] for item in made["items"]] == [id_, id_]
    assert [item["total"] for item in made["items"]] == ["6.00", "1.50"]
    assert await counted(stage, shop, id_) == (7, 3)


async def test_an_inline_customer_is_made_with_the_order_and_with_it_alone(
    stage: Stage, shop: Party
) -> None:
    body = {"items": ONE, "customer": {"name": "Inline", "email": "in@example.com"}}
    made = await stage.done(f"{CREATE}?expand[]=customer", shop.key, **body)
    assert made["customer"]["name"] == "Inline"
    found = await stage.get("/customers?name=Inline", shop.key)
    assert [each["id"] for each in found["data"]] == [made["customer"]["id"]]
    refuses = {**body, "customer": {"name": "Nobody"}, "items": [{"sku": "NONE"}]}
    await refused(stage, CREATE, shop.key, refuses, 404, "resource_missing")


async def test_a_restricted_key_needs_the_scopes_of_all_that_it_does(
    stage: Stage, shop: Party
) -> None:
    key = await stage.make_key(shop, "restricted", ["orders:write"])
    body: dict[str, Any] = {"items": ONE}
    made = await stage.done(CREATE, key, **body)
    for more, scope in (
        ({"payment": WALLET}, "payments:write"),
        ({"customer": {"name": "New"}}, "customers:write"),
    ):
        given = {**body, **more}
        await refused(stage, CREATE, key, given, 403, "insufficient_permissions", scope)
    route = f"POST /orders/{made['id']}/pay"
    await refused(stage, route, key, {}, 403, "insufficient_permissions", "payments:write")
    await stage.done(f"POST /orders/{made['id']}/cancel", key)
    bought = await paid(stage, shop)
    route = f"POST /orders/{bought['id']}/cancel"
    await refused(stage, route, key, {}, 403, "insufficient_permissions", "payments:write")
    both = await stage.make_key(shop, "restricted", ["orders:write", "payments:write"])
    await stage.done(route, both)


async def test_a_list_is_filtered_and_expanded(stage: Stage) -> None:
    shop = await shop_of(stage)
    id_ = await product(stage, shop, 10)
    customer = await stage.done("POST /customers", shop.key, name="Jenny Rosen")
    items = [{"product": id_}]
    first = await order(stage, shop, items=items, customer=customer["id"], number="A-1")
    second = await paid(stage, shop, items=items, metadata={"cart": "7"})

    async def ids(query: str) -> list[str]:
        page = await stage.get(f"/orders/list?{query}", shop.key)
        return [each["id"] for each in page["data"]]

    for query, expected in (
        ("status=pending", [first["id"]]),
        ("status[]=pending&status[]=paid&currency=ssusd", [second["id"], first["id"]]),
        ("payment_status=paid&currency=ssusd", [second["id"]]),
        (f"customer={customer['id']}", [first["id"]]),
        ("number=A-1", [first["id"]]),
        ("total=10.00&currency=ssusd", [second["id"], first["id"]]),
        ("total[gt]=10.00&currency=ssusd", []),
        ("metadata[cart]=7", [second["id"]]),
    ):
        assert await ids(query) == expected, query
    page = await stage.get(
        "/orders?limit=1&currency=ssusd&expand[]=data.items.product&expand[]=data.payments",
        shop.key,
    )
    assert page["url"] == "/v1/orders"
    (found,) = page["data"]
    assert found["items"][0]["product"]["name"] == "Linen shirt"
    assert found["items"][0]["product"]["inventory"]["reserved"] == 2
    assert found["payments"][0]["order"] == second["id"]


async def test_one_number_is_given_to_one_order_however_many_ask_at_once(
    stage: Stage, shop: Party
) -> None:
    body = {"items": ONE, "number": "ONCE"}
    replies = await asyncio.gather(*(stage.ask(CREATE, shop.key, body) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 7
    assert len((await stage.get("/orders?number=ONCE", shop.key))["data"]) == 1


async def test_an_order_may_be_sent_as_a_form(stage: Stage, shop: Party) -> None:
    body = b"items[0][name]=Shirt&items[0][unit_price]=9.99&items[0][quantity]=3&escrow=true"
    headers = [
        (b"authorization", f"Bearer {shop.key}".encode()),
        (b"content-type", b"application/x-www-form-urlencoded"),
    ]
    reply = await stage.send("POST", b"/v1/orders", headers, body)
    assert (reply.status, reply.json["total"], reply.json["escrow"]) == (201, "29.97", True)


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
