"""Products: made, read, changed, deleted, listed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ladder import Rung, climb, refused
from tests.stage import NOW, Party, Stage

ROUTE = "POST /products"
SHIRT: dict[str, Any] = {"name": "Linen shirt", "unit_price": "39.00", "currency": "usd"}


@pytest.fixture(scope="module")
async def shop(stage: Stage) -> Party:
    return await stage.open_account()


async def made(stage: Stage, shop: Party, **more: Any) -> dict[str, Any]:
    return await stage.done(ROUTE, shop.key, **(SHIRT | more))


async def test_a_product_is_made_with_all_that_it_is(stage: Stage, shop: Party) -> None:
    body = {
        **SHIRT,
        "sku": "SHIRT-1",
        "tax_category": "clothing",
        "hs_code": "620520",
        "country_of_origin": "PT",
        "weight": {"value": 0.280, "unit": "kg"},
        "dimensions": {"length": "032.0", "width": 24, "height": "3.5", "unit": "cm"},
        "inventory": {"on_hand": 20, "low_stock_threshold": 5},
        "metadata": {"season": "summer", "none": ""},
    }
    reply = await stage.ask(ROUTE, shop.key, body)
    assert reply.status == 201
    product = reply.json
    assert product == {
        "id": product["id"],
        "object": "product",
        "livemode": False,
        "created": NOW,
        "metadata": {"season": "summer"},
        "name": "Linen shirt",
        "sku": "SHIRT-1",
        "unit_price": "39.00",
        "currency": "usd",
        "tax_category": "clothing",
        "hs_code": "620520",
        "country_of_origin": "PT",
        "weight": {"value": "0.28", "unit": "kg"},
        "dimensions": {"length": "32", "width": "24", "height": "3.5", "unit": "cm"},
        "inventory": {
            "tracked": True,
            "on_hand": 20,
            "reserved": 0,
            "available": 20,
            "low_stock_threshold": 5,
        },
        "active": True,
    }
    assert product["id"].startswith("prod_test_")
    assert await stage.get(f"/products/{product['id']}", shop.key) == product
    (event,) = await stage.events(shop, product["id"])
    assert (event["type"], event["data"]["object"]) == ("product.created", product)


async def test_a_product_needs_a_name_and_a_price_and_is_not_counted_unless_asked_to(
    stage: Stage, shop: Party
) -> None:
    product = await stage.done(ROUTE, shop.key, name="Advice", unit_price=12.5)
    assert (product["unit_price"], product["currency"]) == ("12.50", "ssusd")
    none = {"on_hand": None, "reserved": None, "available": None, "low_stock_threshold": None}
    assert product["inventory"] == {"tracked": False, **none}
    assert product["sku"] is product["weight"] is product["dimensions"] is None
    assert await stage.get(f"/products/{product['id']}", shop.key) == product


async def test_guards_of_create_stand_in_order_and_leave_nothing_behind(
    stage: Stage, shop: Party
) -> None:
    taken = await made(stage, shop, sku="TAKEN")
    weight = {"value": "1", "unit": "kg"}
    size = {"length": "1", "width": "1", "height": "1", "unit": "cm"}
    await climb(
        stage,
        ROUTE,
        shop.key,
        Rung({"colour": "red"}, 400, "parameter_unknown", "colour"),
        Rung({"colour": ..., "deleted": True}, 400, "parameter_unknown", "deleted"),
        Rung({"deleted": ...}, 400, "parameter_missing", "name"),
        Rung({"name": ""}, 400, "parameter_invalid", "name"),
        Rung({"name": "x" * 201}, 400, "parameter_invalid", "name"),
        Rung({"name": "x"}, 400, "parameter_missing", "unit_price"),
        Rung({"unit_price": True}, 400, "amount_invalid", "unit_price"),
        Rung({"unit_price": "1.000", "sku": ""}, 400, "parameter_invalid", "sku"),
        Rung({"sku": "s" * 65}, 400, "parameter_invalid", "sku"),
        Rung({"sku": "TAKEN", "hs_code": "12345"}, 400, "parameter_invalid", "hs_code"),
        Rung({"hs_code": "12345678901"}, 400, "parameter_invalid", "hs_code", "6 to 10 digits"),
        Rung({"hs_code": "6205.20"}, 400, "parameter_invalid", "hs_code"),
        Rung({"hs_code": "620520", "weight": 1}, 400, "parameter_invalid", "weight"),
        Rung({"weight": {"value": "1"}}, 400, "parameter_missing", "weight.unit"),
        Rung({"weight": {**weight, "unit": "st"}}, 400, "parameter_invalid", "weight.unit"),
        Rung({"weight": {**weight, "value": "0.000"}}, 400, "parameter_invalid", "weight.value"),
        Rung({"weight": {**weight, "value": "1.0001"}}, 400, "parameter_invalid", "weight.value"),
        Rung({"weight": {**weight, "value": "-1"}}, 400, "parameter_invalid", "weight.value"),
        Rung({"weight": {**weight, "value": 1e9}}, 400, "parameter_invalid", "weight.value"),
        Rung({"weight": {**weight, "value": []}}, 400, "parameter_invalid", "weight.value"),
        Rung({"weight": {**weight, "x": 1}}, 400, "parameter_unknown", "weight.x"),
        Rung(
            {"weight": weight, "dimensions": {**size, "height": "x"}},
            *(400, "parameter_invalid", "dimensions.height"),
        ),
        Rung(
            {"dimensions": size, "inventory": {"reserved": 1}},
            *(400, "parameter_unknown", "inventory.reserved"),
        ),
        Rung({"inventory": {"on_hand": -1}}, 400, "parameter_invalid", "inventory.on_hand"),
        Rung({"inventory": {"on_hand": 10**9 + 1}}, 400, "parameter_invalid", "inventory.on_hand"),
        Rung(
            {"inventory": {"tracked": False, "on_hand": 1}, "currency": "xyz"},
            *(400, "currency_unsupported", "currency"),
        ),
        Rung({"currency": "unit:prod_1"}, 400, "currency_unsupported", "currency"),
        Rung({"currency": "usd"}, 400, "amount_precision", "unit_price"),
        Rung({"unit_price": "0.00"}, 400, "amount_invalid", "unit_price"),
        Rung({"unit_price": "-1.00"}, 400, "amount_invalid", "unit_price"),
        Rung({"unit_price": "1.00"}, 400, "parameter_invalid", "inventory.on_hand", "tracked"),
        Rung({"inventory": {"on_hand": 1}}, 409, "duplicate_reference", "sku", taken["id"]),
    )


@pytest.mark.parametrize("origin", ["P", "PRT", "12", "", "XX", "UK"])
async def test_an_origin_that_is_no_country_is_refused(
    stage: Stage, shop: Party, origin: str
) -> None:
    body = {**SHIRT, "country_of_origin": origin}
    await refused(stage, ROUTE, shop.key, body, 400, "parameter_invalid", "country_of_origin")


@pytest.mark.parametrize(
    ("currency", "price", "shown"),
    [("jpy", "500", "500"), ("kwd", "1.250", "1.25"), ("ssusd", 0.000001, "0.000001")],
)
async def test_a_price_is_of_any_currency_to_its_last_digit(
    stage: Stage, shop: Party, currency: str, price: Any, shown: str
) -> None:
    text = f'{{"name": "x", "currency": "{currency}", "unit_price": {_json(price)}}}'
    reply = await stage.ask(ROUTE, shop.key, text)
    assert (reply.status, reply.json.get("unit_price")) == (201, shown)


def _json(price: Any) -> str:
    return f'"{price}"' if isinstance(price, str) else f"{price:f}"


async def test_an_origin_in_small_letters_is_kept_in_capitals(stage: Stage, shop: Party) -> None:
    product = await made(stage, shop, country_of_origin="pt")
    assert product["country_of_origin"] == "PT"
    route = f"PATCH /products/{product['id']}"
    assert await stage.done(route, shop.key, country_of_origin="Pt") == product
    body = {"country_of_origin": "UK"}
    await refused(stage, route, shop.key, body, 400, "parameter_invalid", "GB")


async def test_a_form_makes_the_same_product_as_json(stage: Stage, shop: Party) -> None:
    form = (
        b"name=Linen+shirt&unit_price=39.00&currency=usd&weight[value]=0.5&weight[unit]=kg"
        b"&inventory[on_hand]=3&inventory[tracked]=true&active=false"
    )
    headers = [
        (b"authorization", f"Bearer {shop.key}".encode()),
        (b"content-type", b"application/x-www-form-urlencoded"),
    ]
    reply = await stage.send("POST", b"/v1/products", headers, form)
    assert reply.status == 201, reply.body
    made_so = reply.json
    assert made_so["weight"] == {"value": "0.5", "unit": "kg"}
    assert (made_so["inventory"]["on_hand"], made_so["active"]) == (3, False)


async def test_an_update_changes_what_it_names_and_tells_what_was_so_before(
    stage: Stage, shop: Party
) -> None:
    inventory = {"on_hand": 7}
    weight = {"value": "1", "unit": "kg"}
    first = await made(stage, shop, sku="U-1", weight=weight, inventory=inventory)
    route = f"PATCH /products/{first['id']}"
    before = await stage.dump()
    assert await stage.done(route, shop.key) == first
    assert await stage.done(route, shop.key, name="Linen shirt", unit_price="39.00") == first
    assert await stage.dump() == before
    changes = {"sku": None, "unit_price": "41.50", "weight": None, "active": False}
    metadata = {"a": "b"}
    second = await stage.done(route, shop.key, **changes, metadata=metadata)
    assert second == {**first, **changes, "metadata": metadata}
    assert await stage.get(f"/products/{first['id']}", shop.key) == second
    event = (await stage.events(shop, first["id"]))[-1]
    assert event["type"] == "product.updated"
    assert event["data"]["object"] == second
    assert event["data"]["previous_attributes"] == {
        name: first[name] for name in (*changes, "metadata")
    }
    assert (await stage.done(route.replace("PATCH", "PUT"), shop.key, name="X"))["name"] == "X"


async def test_guards_of_update_stand_in_order(stage: Stage, shop: Party) -> None:
    await made(stage, shop, sku="THEIRS")
    mine = await made(stage, shop, sku="MINE", metadata={f"k{n}": "v" for n in range(50)})
    await climb(
        stage,
        f"PATCH /products/{mine['id']}",
        shop.key,
        Rung({"inventory": {"on_hand": 1}}, 400, "parameter_unknown", "inventory.on_hand"),
        Rung({"inventory": ..., "name": None}, 400, "parameter_invalid", "name"),
        Rung({"name": "x", "unit_price": None}, 400, "amount_invalid", "unit_price"),
        Rung({"unit_price": "1.001", "currency": "jpy"}, 400, "amount_precision", "unit_price"),
        Rung({"unit_price": "1.001", "currency": ...}, 400, "amount_precision", "unit_price"),
        Rung({"unit_price": ..., "currency": "eur"}, 400, "parameter_missing", "unit_price"),
        Rung(
            {"currency": "usd", "sku": "THEIRS", "metadata": {"more": "v"}},
            *(400, "parameter_invalid", "metadata"),
        ),
        Rung({"metadata": {"k0": ""}}, 409, "duplicate_reference", "sku"),
    )
    kept = await stage.done(f"PATCH /products/{mine['id']}", shop.key, sku="MINE", currency="usd")
    assert kept == mine


async def test_a_sku_that_was_given_up_is_free(stage: Stage, shop: Party) -> None:
    first = await made(stage, shop, sku="FREE")
    await stage.done(f"PATCH /products/{first['id']}", shop.key, sku="OTHER")
    second = await made(stage, shop, sku="FREE")
    await stage.done(f"DELETE /products/{second['id']}", shop.key)
    third = await made(stage, shop, sku="FREE")
    page = await stage.get("/products?sku=FREE", shop.key)
    assert [each["id"] for each in page["data"]] == [third["id"]]
    other = await stage.open_account()
    assert (await made(stage, other, sku="FREE"))["sku"] == "FREE"


async def test_a_deleted_product_says_so_and_is_missing_to_every_change(
    stage: Stage, shop: Party
) -> None:
    first = await made(stage, shop, sku="GONE", inventory={"on_hand": 4})
    path = f"/products/{first['id']}"
    reply = await stage.ask(f"DELETE {path}", shop.key)
    gone = {"id": first["id"], "object": "product", "deleted": True}
    assert (reply.status, reply.json) == (200, gone)
    assert await stage.get(path, shop.key) == gone
    event = (await stage.events(shop, first["id"]))[-1]
    assert (event["type"], event["data"]["object"]) == ("product.deleted", gone)
    assert event["data"]["previous_attributes"]["inventory"] == first["inventory"]
    page = await stage.get("/products?limit=100", shop.key)
    assert first["id"] not in {each["id"] for each in page["data"]}
    body = {"adjustment": 1, "reason": "received"}
    for route, given in (
        (f"DELETE {path}", {}),
        (f"PATCH {path}", {"name": "x"}),
        (f"POST {path}/inventory", body),
    ):
        await refused(stage, route, shop.key, given, 404, "resource_missing")
    written_off = await stage.get("/stablecoin/transactions?type=stock&limit=1", shop.key)
    assert (written_off["data"][0]["amount"], written_off["data"][0]["memo"]) == ("4", "deleted")
    await stage.audit()


async def test_a_list_is_filtered_by_what_products_are(stage: Stage) -> None:
    shop = await stage.open_account()
    one = await made(stage, shop, tax_category="books", hs_code="490199", country_of_origin="DE")
    two = await made(stage, shop, active=False, currency="eur")
    for query, found in (
        ("active=true", one),
        ("active=false", two),
        ("currency=eur", two),
        ("tax_category=books", one),
        ("hs_code=490199", one),
        ("country_of_origin=DE", one),
    ):
        assert (await stage.get(f"/products?{query}", shop.key))["data"] == [found], query


async def test_scopes_of_products_open_products_and_nothing_else(stage: Stage, shop: Party) -> None:
    reader = await stage.make_key(shop, "restricted", ["products:read"])
    assert (await stage.ask("GET /products", reader)).status == 200
    await refused(stage, ROUTE, reader, SHIRT, 403, "insufficient_permissions", "products:write")
    writer = await stage.make_key(shop, "restricted", ["products:write"])
    product = await stage.done(ROUTE, writer, **SHIRT)
    assert (await stage.get(f"/products/{product['id']}", writer)) == product


async def test_if_match_refuses_a_change_of_what_has_changed(stage: Stage, shop: Party) -> None:
    product = await made(stage, shop)
    path = f"/products/{product['id']}"
    tag = (await stage.ask(f"GET {path}", shop.key)).headers["etag"]
    await stage.done(f"PATCH {path}", shop.key, name="Second")
    reply = await stage.ask(f"PATCH {path}", shop.key, {"name": "Third"}, If_Match=tag)
    assert (reply.status, reply.error["code"]) == (412, "version_conflict")
    assert (await stage.get(path, shop.key))["name"] == "Second"
