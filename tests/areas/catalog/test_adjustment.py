"""Adjustments: stock that comes, goes and is counted, in the ledger and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.ledger.audit import audit
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage

SHIRT: dict[str, Any] = {"name": "Linen shirt", "unit_price": "39.00"}
LIST = "/stablecoin/transactions"


@pytest.fixture(scope="module")
async def shop(stage: Stage) -> Party:
    return await stage.open_account()


async def product(stage: Stage, shop: Party, on_hand: int, **inventory: Any) -> str:
    inventory |= {"on_hand": on_hand}
    made = await stage.done("POST /products", shop.key, **SHIRT, inventory=inventory)
    return str(made["id"])


async def adjust(stage: Stage, shop: Party, id_: str, **body: Any) -> dict[str, Any]:
    route = f"POST /products/{id_}/inventory"
    made = await stage.done(route, shop.key, **({"reason": "counted"} | body))
    inventory: dict[str, Any] = made["inventory"]
    assert (await stage.get(f"/products/{id_}", shop.key)) == made
    return inventory


async def types(stage: Stage, shop: Party, id_: str) -> list[str]:
    return [event["type"] for event in await stage.events(shop, id_)]


async def test_stock_is_booked_from_its_source_and_back(stage: Stage, shop: Party) -> None:
    id_ = await product(stage, shop, 5)
    inventory = await adjust(stage, shop, id_, adjustment=40, reason="received", note="No. 118")
    assert (inventory["on_hand"], inventory["available"], inventory["reserved"]) == (45, 45, 0)
    inventory = await adjust(stage, shop, id_, adjustment=-2, reason="damaged")
    assert inventory["available"] == 43
    inventory = await adjust(stage, shop, id_, on_hand=41)
    assert inventory["available"] == 41
    page = await stage.get(f"{LIST}?type=stock&source={id_}", shop.key)
    found = [(each["amount"], each["memo"], each["currency"]) for each in page["data"]]
    unit = f"unit:{id_}"
    assert found == [
        ("2", "counted", unit),
        ("2", "damaged", unit),
        ("40", "received: No. 118", unit),
        ("5", "received", unit),
    ]
    shelf, source = (shop.id, f"stock:{id_}:available"), (shop.id, "stock:source")
    entries = [await stage.entries(each["id"]) for each in page["data"]]
    assert entries == [
        {shelf: 2, source: -2},
        {shelf: 2, source: -2},
        {shelf: -40, source: 40},
        {shelf: -5, source: 5},
    ]
    assert {(each["from"], each["to"], each["type"]) for each in page["data"]} == {
        (None, None, "stock")
    }
    await stage.audit()


async def test_an_adjustment_tells_the_figures_after_it_and_before(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 5)
    first = await stage.get(f"/products/{id_}", shop.key)
    after = await adjust(stage, shop, id_, adjustment=-1, reason="lost")
    event = (await stage.events(shop, id_))[-1]
    assert event["type"] == "product.updated"
    assert event["data"]["object"]["inventory"] == after
    assert event["data"]["previous_attributes"] == {"inventory": first["inventory"]}


async def test_a_count_that_finds_what_was_expected_books_nothing(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 5)
    before = await stage.dump()
    assert (await adjust(stage, shop, id_, on_hand=5))["on_hand"] == 5
    assert await stage.dump() == before


async def test_guards_of_adjust_stand_in_order(stage: Stage, shop: Party) -> None:
    id_ = await product(stage, shop, 5)
    await climb(
        stage,
        f"POST /products/{id_}/inventory",
        shop.key,
        Rung({"quantity": 1}, 400, "parameter_unknown", "quantity"),
        Rung({"quantity": ...}, 400, "parameter_missing", "reason"),
        Rung({"reason": "because"}, 400, "parameter_invalid", "reason"),
        Rung({"reason": "other", "adjustment": "1"}, 400, "parameter_invalid", "adjustment"),
        Rung({"adjustment": 10**9 + 1}, 400, "parameter_invalid", "adjustment"),
        Rung({"adjustment": ...}, 400, "parameter_missing", "adjustment"),
        Rung({"adjustment": 0, "on_hand": 0}, 400, "parameter_invalid", "adjustment", "one of"),
        Rung({"on_hand": ...}, 400, "parameter_invalid", "adjustment", "zero"),
        Rung({"adjustment": ..., "on_hand": -1}, 400, "parameter_invalid", "on_hand"),
        Rung({"on_hand": ..., "adjustment": -6}, 400, "out_of_stock", "adjustment", "Only 5"),
    )


async def test_a_product_that_is_not_tracked_has_nothing_to_adjust(
    stage: Stage, shop: Party
) -> None:
    made = await stage.done("POST /products", shop.key, **SHIRT)
    path = f"/products/{made['id']}"
    body = {"adjustment": 1, "reason": "received"}
    await refused(stage, f"POST {path}/inventory", shop.key, body, 400, "state_invalid", "tracked")
    tracked = await stage.done(f"PATCH {path}", shop.key, inventory={"tracked": True})
    assert tracked["inventory"]["available"] == 0
    assert (await types(stage, shop, made["id"]))[-1] == "inventory.out_of_stock"
    await stage.done(f"POST {path}/inventory", shop.key, **body)
    off = await stage.done(f"PATCH {path}", shop.key, inventory={"tracked": False})
    assert off["inventory"]["on_hand"] is None
    on = await stage.done(f"PATCH {path}", shop.key, inventory={"tracked": True})
    assert on["inventory"]["on_hand"] == 1


async def test_low_and_out_of_stock_are_told_once_each_time_they_come(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 10, low_stock_threshold=3)
    low, out, updated = "inventory.low_stock", "inventory.out_of_stock", "product.updated"
    told = ["product.created"]
    for adjustment, tells in (
        (-6, []),
        (-1, [low]),
        (-1, []),
        (+1, []),
        (-3, [out]),
        (+1, []),
        (-1, [out]),
        (+9, []),
        (-9, [out]),
        (+9, []),
        (-6, [low]),
    ):
        await adjust(stage, shop, id_, adjustment=adjustment)
        told += [updated, *tells]
        assert await types(stage, shop, id_) == told, adjustment
    event = (await stage.events(shop, id_))[-1]
    assert event["data"]["object"]["inventory"]["available"] == 3
    assert event["data"]["previous_attributes"]["inventory"]["available"] == 9


async def test_a_threshold_that_is_raised_over_what_there_is_tells_so(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 4)
    route = f"PATCH /products/{id_}"
    made = await stage.done(route, shop.key, inventory={"low_stock_threshold": 4})
    assert made["inventory"]["low_stock_threshold"] == 4
    assert (await types(stage, shop, id_))[-2:] == ["product.updated", "inventory.low_stock"]
    made = await stage.done(route, shop.key, inventory={"low_stock_threshold": None})
    assert made["inventory"]["low_stock_threshold"] is None


async def test_transactions_are_of_money_unless_stock_is_asked_for(stage: Stage) -> None:
    shop = await stage.open_account()
    await stage.fund(shop.wallet, "100.00")
    to = (await stage.open_account()).wallet
    await stage.done("POST /stablecoin/transfer", shop.key, to=to, amount="3.00")
    id_ = await product(stage, shop, 3)
    await adjust(stage, shop, id_, adjustment=7)

    async def amounts(query: str) -> list[str]:
        page = await stage.get(f"{LIST}?{query}", shop.key)
        return [each["amount"] for each in page["data"]]

    assert await amounts("") == ["3.00", "100.00"]
    assert await amounts("amount[gte]=3") == ["3.00", "100.00"]
    assert await amounts("type=stock") == ["7", "3"]
    assert await amounts("type=stock&amount=3") == ["3"]
    assert await amounts("type=stock&amount[gt]=3.0") == ["7"]
    assert await amounts("type=stock&amount[]=3&amount[]=8") == ["3"]
    assert await amounts("type[]=stock&type[]=transfer") == ["7", "3", "3.00"]
    assert await amounts(f"source={id_}") == []
    for query, code in (
        ("type=stock&amount=1.5", "amount_precision"),
        ("type[]=stock&type[]=transfer&amount=1", "parameter_invalid"),
    ):
        reply = await stage.ask(f"GET {LIST}?{query}", shop.key)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, "amount")
    whole = await stage.get(f"{LIST}?type=stock&limit=1&expand[]=data.source", shop.key)
    assert whole["data"][0]["source"] == await stage.get(f"/products/{id_}", shop.key)


async def test_the_audit_finds_an_adjustment_that_is_not_in_the_ledger(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 3)
    await stage.audit()
    change = "UPDATE product SET adjustments = adjustments + $2 WHERE id = $1"
    await stage.rows(change, id_, 1)
    (finding,) = (await audit(stage._connection)).findings
    assert finding.startswith("every object that moves money")
    assert "adjusted:2" in finding
    await stage.rows(change, id_, -2)
    (finding,) = (await audit(stage._connection)).findings
    assert "adjusted:1" in finding
    await stage.rows(change, id_, 1)
    await stage.audit()


async def test_what_is_tracked_has_both_of_its_balances_from_then_on(
    stage: Stage, shop: Party
) -> None:
    """A row that is not there cannot be locked, and so nothing could be decided by it."""
    query = "SELECT code FROM ledger_balance WHERE currency = $1 AND code LIKE 'stock:p%'"

    async def balances(id_: str) -> set[str]:
        rows = await stage.rows(query, f"unit:{id_}")
        return {row["code"].removeprefix(f"stock:{id_}:") for row in rows}

    both = {"available", "reserved"}
    assert await balances(await product(stage, shop, 0)) == both
    made = await stage.done("POST /products", shop.key, **SHIRT)
    assert await balances(made["id"]) == set()
    for inventory in ({"tracked": True}, {"tracked": False}, {"tracked": True}):
        await stage.done(f"PATCH /products/{made['id']}", shop.key, inventory=inventory)
        assert await balances(made["id"]) == both
    body = {"adjustment": 2, "reason": "received"}
    await stage.done(f"POST /products/{made['id']}/inventory", shop.key, **body)
    await stage.audit()
