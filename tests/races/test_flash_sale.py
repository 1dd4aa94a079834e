"""A flash sale: many clients want the last pieces at once, and exactly as many get one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from commerce.settings import Settings
from commerce.store.embedded import EmbeddedPostgres
from tests.areas.orders.scene import CREATE, WALLET, counted, product, shop_of
from tests.stage import Stage, app_over, staged

APPS = 2
CLIENTS = 64


@pytest.fixture(scope="module")
async def stage(postgres: EmbeddedPostgres) -> AsyncIterator[Stage]:
    """The product over a database of this module's own."""
    async with staged(postgres.url) as stage:
        yield stage


@pytest.fixture(scope="module")
async def stages(stage: Stage) -> AsyncIterator[list[Stage]]:
    """The same product in several engines, of several lanes each, on that database."""
    settings = Settings(data_dir=Path("nowhere"), network="both", engine_lanes=2)
    async with AsyncExitStack() as stack:
        apps = [app_over(stage.url, settings, stage.clock) for _ in range(APPS)]
        running = [await stack.enter_async_context(app.running()) for app in apps]
        yield [Stage(app, stage.url, stage.clock) for app in running]


@pytest.mark.parametrize(
    ("on_hand", "orders", "paid"),
    [
        (50, 512, False),
        (20, 128, True),
        (500, 5000, False),
    ],
)
async def test_exactly_as_many_orders_are_accepted_as_there_are_pieces(
    stage: Stage, stages: list[Stage], on_hand: int, orders: int, paid: bool
) -> None:
    shop = await shop_of(stage, "100000.00")
    id_ = await product(stage, shop, on_hand)
    body = {"items": [{"product": id_}], **({"payment": WALLET} if paid else {})}
    went: Counter[str] = Counter()

    async def client(number: int) -> None:
        """One client, with one order at a time."""
        for _ in range(orders // CLIENTS + (number < orders % CLIENTS)):
            reply = await stages[number % APPS].ask(CREATE, shop.key, body)
            went["accepted" if reply.status == 201 else reply.error["code"]] += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))

    assert went == {"accepted": on_hand, "out_of_stock": orders - on_hand}
    assert await counted(stage, shop, id_) == (0, on_hand)
    query = "SELECT status, count(*) AS times FROM sales_order WHERE account = $1 GROUP BY status"
    found = {row["status"]: row["times"] for row in await stage.rows(query, shop.id)}
    # One order is there from the first, and is paid.
    assert found == ({"paid": on_hand + 1} if paid else {"pending": on_hand, "paid": 1})
    await stage.audit()
