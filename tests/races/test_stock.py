"""Races for stock: several processes sell from one shelf, and no piece is sold twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from commerce.app import App
from commerce.kernel.errors import ApiError
from commerce.ledger.audit import audit
from commerce.settings import Settings
from commerce.store.embedded import EmbeddedPostgres
from tests.areas.catalog.seller import Pieces, Seller
from tests.stage import Party, Stage, app_over, staged

OF_ORDERS = "what is reserved of every product, and what has left, is what orders say"
OF_NO_ORDER = "every object that moves money has its transaction, and none is without its object"
APPS = 3
SHIRT: dict[str, Any] = {"name": "Linen shirt", "unit_price": "39.00"}


@pytest.fixture(scope="module")
async def stage(postgres: EmbeddedPostgres) -> AsyncIterator[Stage]:
    """The product over a database of this module's own."""
    async with staged(postgres.url) as stage:
        yield stage


@pytest.fixture(scope="module")
async def apps(stage: Stage) -> AsyncIterator[list[App]]:
    """The same product in several engines, of several lanes each, on that database."""
    settings = Settings(data_dir=Path("nowhere"), network="both", engine_lanes=2)
    async with AsyncExitStack() as stack:
        made = [app_over(stage.url, settings, stage.clock) for _ in range(APPS)]
        yield [await stack.enter_async_context(app.running()) for app in made]


class Shop:
    """One account, its products, and what sells them."""

    def __init__(self, stage: Stage, party: Party, apps: list[App]) -> None:
        self.stage = stage
        self.party = party
        self.sellers = [Seller(app, party.id) for app in apps]

    async def product(self, on_hand: int, **inventory: Any) -> str:
        """A new product, with so many on the shelf."""
        body = {**SHIRT, "inventory": {"on_hand": on_hand, **inventory}}
        return str((await self.stage.done("POST /products", self.party.key, **body))["id"])

    async def counted(self, id_: str) -> tuple[int, int]:
        """What is available, and what is reserved."""
        inventory = (await self.stage.get(f"/products/{id_}", self.party.key))["inventory"]
        return (inventory["available"], inventory["reserved"])

    async def told(self, id_: str) -> Counter[str]:
        """The types of a product's events, which are numbered without a gap."""
        events = await self.stage.events(self.party, id_)
        numbers = sorted(each["sequence"] for each in events)
        assert numbers == list(range(1, len(events) + 1))
        return Counter(each["type"] for each in events)

    async def sound(self) -> None:
        """Every invariant holds, but that the sales of these tests are no objects and orders."""
        found = (await audit(self.stage._connection)).findings
        assert [each for each in found if not each.startswith((OF_NO_ORDER, OF_ORDERS))] == []
        ours = [each for each in found if each.startswith(OF_NO_ORDER)]
        assert all("'source': 'sale_" in each for each in ours)


@pytest.fixture
async def shop(stage: Stage, apps: list[App]) -> Shop:
    return Shop(stage, await stage.open_account(), apps)


async def tried(seller: Seller, pieces: Pieces) -> str:
    """How a reservation went."""
    try:
        await seller.reserve(pieces)
    except ApiError as error:
        return error.code
    return "reserved"


@pytest.mark.parametrize("on_hand", [1, 40, 63, 64])
async def test_of_64_reservations_at_once_exactly_as_many_are_kept_as_there_are_pieces(
    shop: Shop, on_hand: int
) -> None:
    id_ = await shop.product(on_hand, low_stock_threshold=on_hand // 2)
    sellers = [shop.sellers[number % APPS] for number in range(64)]

    went = Counter(await asyncio.gather(*(tried(seller, {id_: 1}) for seller in sellers)))

    assert went == Counter({"reserved": on_hand, "out_of_stock": 64 - on_hand})
    assert await shop.counted(id_) == (0, on_hand)
    low = {"inventory.low_stock": 1} if on_hand > 1 else {}
    assert await shop.told(id_) == {"product.created": 1, "inventory.out_of_stock": 1, **low}
    await shop.sound()


async def test_orders_that_want_the_same_products_in_other_orders_do_not_lock_each_other_out(
    shop: Shop,
) -> None:
    ids = [await shop.product(150, low_stock_threshold=40) for _ in range(6)]
    dice = random.Random(5)  # noqa: S311 - the same race every time
    sold: Counter[str] = Counter()
    refused = 0

    async def run(number: int) -> None:
        nonlocal refused
        for _ in range(10):
            some = [(id_, dice.randint(1, 3)) for id_ in dice.sample(ids, 4)]
            if await tried(shop.sellers[number % APPS], some) == "reserved":
                sold.update(dict(some))
            else:
                refused += 1

    await asyncio.gather(*(run(number) for number in range(18)))

    assert refused, "some must find too little"
    for id_ in ids:
        assert await shop.counted(id_) == (150 - sold[id_], sold[id_])
        assert (await shop.told(id_))["inventory.low_stock"] == 1
    await shop.sound()


async def test_whatever_is_reserved_released_shipped_and_taken_back_at_once_adds_up(
    shop: Shop,
) -> None:
    ids = [await shop.product(30) for _ in range(3)]
    dice = random.Random(7)  # noqa: S311 - the same race every time
    model: Counter[tuple[str, str]] = Counter()

    async def run() -> None:
        for _ in range(8):
            seller = shop.sellers[dice.randrange(APPS)]
            some = {id_: dice.randint(1, 4) for id_ in dice.sample(ids, 2)}
            if await tried(seller, some) != "reserved":
                continue
            end = dice.choice(["release", "ship", "take_back", "keep"])
            seller = shop.sellers[dice.randrange(APPS)]
            if end == "release":
                await seller.release(some)
                continue
            if end != "keep":
                await seller.ship(some)
            if end == "take_back":
                await seller.take_back(some)
                continue
            for id_, quantity in some.items():
                model[id_, "shipped" if end == "ship" else "reserved"] += quantity

    await asyncio.gather(*(run() for _ in range(12)))

    for id_ in ids:
        gone, held = model[id_, "shipped"], model[id_, "reserved"]
        assert await shop.counted(id_) == (30 - gone - held, held)
    await shop.sound()


async def test_a_product_is_deleted_or_sold_and_never_both(shop: Shop, stage: Stage) -> None:
    ends: Counter[tuple[int, str]] = Counter()
    for number in range(24):
        id_ = await shop.product(5)
        route = f"DELETE /products/{id_}"
        waits = (number % 3) * 0.001
        reply, went = await asyncio.gather(
            stage.ask(route, shop.party.key), later(waits, tried(shop.sellers[1], {id_: 1}))
        )
        ends[reply.status, went] += 1
        whole = await stage.get(f"/products/{id_}", shop.party.key)
        query = "SELECT balance FROM ledger_balance WHERE currency = $1 AND code LIKE 'stock:p%'"
        kept = [row["balance"] for row in await stage.rows(query, f"unit:{id_}")]
        if reply.status == 200:
            assert (whole["deleted"], kept) == (True, [0, 0])
        else:
            assert (whole["inventory"]["available"], sorted(kept)) == (4, [1, 4])
    assert ends.keys() <= {(200, "resource_missing"), (400, "reserved")}
    await shop.sound()


async def test_a_threshold_set_while_pieces_are_sold_is_not_passed_over(
    shop: Shop, stage: Stage
) -> None:
    for number in range(24):
        id_ = await shop.product(9)
        route, body = f"PATCH /products/{id_}", {"inventory": {"low_stock_threshold": 6}}
        sold = later((number % 3) * 0.001, shop.sellers[number % APPS].reserve({id_: 4}))
        await asyncio.gather(stage.ask(route, shop.party.key, body), sold)
        assert (await shop.told(id_))["inventory.low_stock"] == 1


async def later(seconds: float, what: Any) -> Any:
    await asyncio.sleep(seconds)
    return await what


async def test_one_sku_is_given_to_one_product_however_many_ask_at_once(
    shop: Shop, apps: list[App], stage: Stage
) -> None:
    stages = [Stage(app, stage.url, stage.clock) for app in apps]
    for number in range(10):
        body = {**SHIRT, "sku": f"SKU-{number}"}
        other = await stage.done("POST /products", shop.party.key, **SHIRT)
        asked = [each.ask("POST /products", shop.party.key, body) for each in stages]
        sku = {"sku": f"SKU-{number}"}
        asked.append(stage.ask(f"PATCH /products/{other['id']}", shop.party.key, sku))
        replies = await asyncio.gather(*asked)
        went = Counter(reply.status // 100 for reply in replies)
        assert went == {2: 1, 4: APPS}
        codes = {reply.error["code"] for reply in replies if reply.status >= 400}
        assert codes == {"duplicate_reference"}
        page = await stage.get(f"/products?sku=SKU-{number}", shop.party.key)
        assert len(page["data"]) == 1
