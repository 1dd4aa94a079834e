"""Stock as a higher area moves it: reserved, released, shipped, taken back, and told of."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from commerce.areas.catalog import stock
from commerce.areas.catalog.product import Product
from commerce.areas.stablecoin.transaction import Transaction
from commerce.books.stock import Cause
from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.ledger.audit import audit
from commerce.resource.expansion import Expander, expanded_in
from tests.areas.catalog.seller import Seller
from tests.ladder import refused
from tests.reading.test_expansion import counted as counted_queries
from tests.stage import Party, Stage

SHIRT: dict[str, Any] = {"name": "Linen shirt", "unit_price": "39.00"}
OF_ORDERS = "what is reserved of every product, and what has left, is what orders say"
OF_NO_ORDER = "every object that moves money has its transaction, and none is without its object"


@pytest.fixture(scope="module")
async def shop(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture(scope="module")
async def seller(stage: Stage, shop: Party) -> Seller:
    return Seller(stage.app, shop.id)


async def product(stage: Stage, shop: Party, on_hand: int | None, **inventory: Any) -> str:
    body = {} if on_hand is None else {"inventory": {"on_hand": on_hand, **inventory}}
    made = await stage.done("POST /products", shop.key, **SHIRT, **body)
    return str(made["id"])


async def counted(stage: Stage, shop: Party, id_: str) -> tuple[int, int, int]:
    inventory = (await stage.get(f"/products/{id_}", shop.key))["inventory"]
    return (inventory["available"], inventory["reserved"], inventory["on_hand"])


async def shipped(stage: Stage, id_: str) -> int:
    query = "SELECT balance FROM ledger_balance WHERE code = $1"
    rows = await stage.rows(query, f"stock:{id_}:shipped")
    return sum(row["balance"] for row in rows)


async def sound(stage: Stage) -> None:
    """Every invariant holds, but that the sales of these tests are no objects, and no orders."""
    found = (await audit(stage._connection)).findings
    assert [each for each in found if not each.startswith((OF_NO_ORDER, OF_ORDERS))] == []
    ours = [each for each in found if each.startswith(OF_NO_ORDER)]
    assert all("'source': 'sale_" in each for each in ours)


async def types(stage: Stage, shop: Party, id_: str) -> list[str]:
    return [event["type"] for event in await stage.events(shop, id_)]


async def test_pieces_go_from_the_shelf_to_whoever_was_promised_them_and_back(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    for moves, left, away in (
        ((seller.reserve,), (7, 3, 10), 0),
        ((seller.reserve, seller.release), (10, 0, 10), 0),
        ((seller.reserve, seller.ship), (7, 0, 7), 3),
        ((seller.reserve, seller.ship, seller.take_back), (10, 0, 10), 0),
    ):
        id_ = await product(stage, shop, 10)
        for move in moves:
            await move({id_: 3})
        assert await counted(stage, shop, id_) == left
        assert await shipped(stage, id_) == away
    await sound(stage)


async def test_each_move_is_one_posting_a_product_however_many_lines_there_are(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    one, two = await product(stage, shop, 10), await product(stage, shop, 10)
    await seller.reserve([(two, 1), (one, 2), (two, 3)])
    page = await stage.get("/stablecoin/transactions?type=stock&limit=2", shop.key)
    assert {each["currency"]: each["amount"] for each in page["data"]} == {
        f"unit:{one}": "2",
        f"unit:{two}": "4",
    }
    booked = {each["currency"]: each["id"] for each in page["data"]}
    assert await stage.entries(booked[f"unit:{two}"]) == {
        (shop.id, f"stock:{two}:available"): 4,
        (shop.id, f"stock:{two}:reserved"): -4,
    }


async def test_the_first_line_that_finds_too_little_is_named_and_nothing_is_taken(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    one, two = await product(stage, shop, 10), await product(stage, shop, 3)
    before = await stage.dump()
    with pytest.raises(ApiError) as refusal:
        await seller.reserve([(one, 4), (two, 2), (two, 2), (one, 7)])
    assert (refusal.value.code, refusal.value.param) == ("out_of_stock", "items[2].quantity")
    assert "Only 1 of 'Linen shirt' are left, and 2 were asked for." in refusal.value.message
    assert await stage.dump() == before


async def test_what_is_not_tracked_is_never_out_of_stock_and_moves_nothing(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    free, one = await product(stage, shop, None), await product(stage, shop, 1)
    kept = await seller.reserve([(free, 1000), (one, 1)])
    assert free not in kept
    assert one in kept
    assert await stage.rows("SELECT 1 FROM ledger_entry WHERE code LIKE $1", f"%{free}%") == []


async def test_running_low_is_told_with_the_sale_and_by_the_figures_after_it(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    id_ = await product(stage, shop, 10, low_stock_threshold=4)
    await seller.reserve({id_: 5})
    assert await types(stage, shop, id_) == ["product.created"]
    await seller.reserve({id_: 1})
    await seller.reserve({id_: 1})
    await seller.release({id_: 1})
    await seller.reserve({id_: 4})
    assert await types(stage, shop, id_) == [
        *("product.created", "inventory.low_stock", "inventory.out_of_stock")
    ]
    low, out = (await stage.events(shop, id_))[1:]
    was = {"tracked": True, "low_stock_threshold": 4, "on_hand": 10}
    assert low["data"]["previous_attributes"]["inventory"] == was | {"available": 5, "reserved": 5}
    assert low["data"]["object"]["inventory"] == was | {"available": 4, "reserved": 6}
    assert out["data"]["object"]["inventory"] == was | {"available": 0, "reserved": 10}
    assert out["data"]["object"] == await stage.get(f"/products/{id_}", shop.key)


async def test_a_sale_needs_one_round_also_where_it_empties_the_shelf(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    ids = [await product(stage, shop, 10, low_stock_threshold=5) for _ in range(5)]
    tally = stage.app.engine.tally
    before = (tally.rounds, tally.restarts)
    for quantity in (1, 5, 4):
        await seller.reserve([(id_, quantity) for id_ in reversed(ids)])
    await seller.release([(id_, 1) for id_ in ids])
    assert (tally.rounds, tally.restarts) == before
    for id_ in ids:
        assert len(await types(stage, shop, id_)) == 3


async def test_goods_that_come_back_are_shelved_unless_they_are_not_fit_or_the_product_is_gone(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    id_ = await product(stage, shop, 10)
    await seller.reserve({id_: 6})
    await seller.ship({id_: 6})
    await seller.take_back({id_: 1})
    await seller.take_back({id_: 2}, restock=False)
    assert (await counted(stage, shop, id_), await shipped(stage, id_)) == ((5, 0, 5), 3)
    await stage.done(f"DELETE /products/{id_}", shop.key)
    await seller.take_back({id_: 2})
    assert await shipped(stage, id_) == 1
    query = "SELECT balance FROM ledger_balance WHERE code = 'stock:source' AND currency = $1"
    assert await stage.rows(query, f"unit:{id_}") == [{"balance": 1}]
    await sound(stage)


async def test_the_ledger_lets_nobody_move_what_is_not_there(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    id_ = await product(stage, shop, 10)
    await seller.reserve({id_: 2})
    for move in (seller.release, seller.ship):
        with pytest.raises(ApiError, match="holds too little"):
            await move({id_: 3})
    with pytest.raises(ApiError, match="holds too little"):
        await seller.take_back({id_: 1})
    assert await counted(stage, shop, id_) == (8, 2, 10)


async def test_only_what_is_for_sale_is_found_by_its_id_or_its_sku(
    stage: Stage, shop: Party
) -> None:
    body = {**SHIRT, "sku": "FIND-ME"}
    made = await stage.done("POST /products", shop.key, **body)
    caller = Caller(shop.id, livemode=False)

    async def ask(find: Callable[..., Product], name: str) -> str:
        """The id of what is found, or the code of the refusal."""

        def run(tx: Tx) -> Answer:
            return Answer(200, find(tx, name, param="items[0]").id.encode())

        def needs(needs: Needs) -> None:
            stock.need_sku(needs, caller, name)

        try:
            found = await stage.app.engine.submit(Command(caller, run, needs))
        except ApiError as error:
            return f"{error.code} {error.param}"
        return found.body.decode()

    async def found(sku: str, id_: str) -> list[str]:
        return [await ask(stock.by_sku, sku), await ask(stock.by_id, id_)]

    id_ = made["id"]
    assert await found("FIND-ME", id_) == [id_, id_]
    assert await found("NOBODY", "prod_test_nobody") == ["resource_missing items[0]"] * 2
    await stage.done(f"PATCH /products/{id_}", shop.key, active=False)
    assert await found("FIND-ME", id_) == ["state_invalid items[0]"] * 2
    await stage.done(f"DELETE /products/{id_}", shop.key)
    assert await found("FIND-ME", id_) == ["resource_missing items[0]"] * 2


async def test_what_is_reserved_cannot_be_taken_away(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    id_ = await product(stage, shop, 5)
    await seller.reserve({id_: 3})
    assert await counted(stage, shop, id_) == (2, 3, 5)
    route = f"POST /products/{id_}/inventory"
    for body, says in (({"adjustment": -3}, "Only 2"), ({"on_hand": 2}, "3 more are reserved")):
        given = {**body, "reason": "lost"}
        await refused(stage, route, shop.key, given, 400, "out_of_stock", says)
    await stage.done(route, shop.key, on_hand=3, reason="counted")
    assert await counted(stage, shop, id_) == (0, 3, 3)
    await refused(stage, f"DELETE /products/{id_}", shop.key, {}, 400, "state_invalid", "3 pieces")


async def test_a_list_is_one_query_of_products_and_one_of_their_figures(stage: Stage) -> None:
    shop = await stage.open_account()
    ids = [await product(stage, shop, number) for number in range(12)]
    async with counted_queries(stage.app.store) as queries:
        page = await stage.get("/products?limit=12", shop.key)
    assert [each["inventory"]["on_hand"] for each in page["data"]] == list(reversed(range(12)))
    assert len([name for name in queries if name.startswith("ledger_balance")]) == 1
    assert [each["id"] for each in page["data"]] == list(reversed(ids))


async def test_what_is_expanded_within_a_verb_has_the_figures_that_the_verb_leaves(
    stage: Stage, shop: Party, seller: Seller
) -> None:
    ids = [await product(stage, shop, 9) for _ in range(3)]
    plan = Expander(stage.app.registry.nouns).plan(Transaction, ["source"])
    # A transaction's source is the one member that leads to a product so far.
    body = msgspec.json.encode([{"source": id_} for id_ in ids])

    def verb(tx: Tx, cause: Cause, lines: list[stock.Line]) -> str:
        stock.reserve(tx, cause, lines)
        return expanded_in(tx, plan, body).decode()

    rounds = stage.app.engine.tally.rounds
    given = seller.command({ids[0]: 4}, stock.RESERVE, verb)
    answer = await stage.app.engine.submit(given)
    shown = msgspec.json.decode(literal_eval(answer.body.decode()))
    found = [each["source"]["inventory"] for each in shown]
    assert [(each["available"], each["reserved"]) for each in found] == [(5, 4), (9, 0), (9, 0)]
    assert stage.app.engine.tally.rounds - rounds == 2, "one for products, one for figures"
    assert [each["source"] for each in shown] == [
        await stage.get(f"/products/{id_}", shop.key) for id_ in ids
    ]
