"""Fills a server with shops for the load of orders: each with a key and products on the shelf."""

import asyncio
import os
from pathlib import Path

import msgspec

from commerce.areas.catalog import offer
from commerce.areas.catalog.offer import CreateProduct, InventoryGiven
from commerce.areas.identity import account, api_key
from commerce.installation import make_app
from commerce.resource.parameter import Price
from commerce.settings import Settings

AT_ONCE = 100
PRODUCTS = 10
"""How many products a shop has."""
ON_HAND = 1_000_000_000


class Shop(msgspec.Struct, frozen=True):
    """A key, and the products that may be ordered with it."""

    secret_key: str
    products: list[str]


async def open_shops(data_dir: Path, database_url: str, count: int) -> Path:
    """Create shops in test mode, and return the path of the JSON file that lists them.

    Called once, while a server runs on `data_dir` with its database at `database_url`. The file
    lies in `data_dir` and is readable by its owner only.
    """
    app = make_app(Settings(data_dir=data_dir), database_url, "")

    async def one(number: int) -> Shop:
        params = account.CreateAccount(name=f"Shop {number}", plan="enterprise")
        made = await app.operate(account.create, params, account="", livemode=False)
        wanted = api_key.CreateApiKey(type="secret")
        key = await app.operate(api_key.create, wanted, account=made.id, livemode=False)
        terms = CreateProduct(
            name="Linen shirt",
            unit_price=Price("0.01"),
            inventory=InventoryGiven(on_hand=ON_HAND),
        )
        products = [
            await app.operate(offer.create, terms, account=made.id, livemode=False)
            for _ in range(PRODUCTS)
        ]
        return Shop(str(key.secret), [product.id for product in products])

    shops: list[Shop] = []
    async with app.running():
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            shops += await asyncio.gather(*(one(number) for number in numbers))
    path = data_dir / "shops.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(shops))
    return path
