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
        "deleted": False,
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
