"""What tests of orders set up: shops, products, and orders in every state."""

from __future__ import annotations

from typing import Any

from tests.stage import Party, Stage

CREATE = "POST /orders/create"
SHIRT: dict[str, Any] = {"name": "Linen shirt", "unit_price": "39.00"}
ONE: list[dict[str, Any]] = [{"name": "Linen shirt", "unit_price": "10.00", "quantity": 2}]
WALLET: dict[str, Any] = {"payment_method": {"type": "ssusd"}}
VISA: dict[str, Any] = {"payment_method": "pm_card_visa"}
EXTERNAL: dict[str, Any] = {"payment_method": {"type": "ssusd", "payer": "external"}}
DAY = 86_400


async def shop_of(stage: Stage, amount: str = "1000.00") -> Party:
    """A new account with so much ssUSD."""
    party = await stage.open_account()
    await stage.fund(party.wallet, amount)
    return party


async def product(
    stage: Stage, shop: Party, on_hand: int | None = 10, price: str = "10.00", **more: Any
) -> str:
    """A product, of which there are so many, if they are counted."""
    stocked = {} if on_hand is None else {"inventory": {"on_hand": on_hand}}
    body = {"name": "Linen shirt", "unit_price": price, **stocked, **more}
    return str((await stage.done("POST /products", shop.key, **body))["id"])


async def counted(stage: Stage, shop: Party, id_: str) -> tuple[int, int]:
    """How many pieces of a product are available, and how many reserved."""
    inventory = (await stage.get(f"/products/{id_}", shop.key))["inventory"]
    return inventory["available"], inventory["reserved"]


async def order(stage: Stage, shop: Party, **body: Any) -> dict[str, Any]:
    """An order, of two shirts unless it says otherwise."""
    return await stage.done(CREATE, shop.key, **{"items": ONE, **body})


async def paid(stage: Stage, shop: Party, **body: Any) -> dict[str, Any]:
    """An order that is paid as it is made."""
    return await order(stage, shop, **{"payment": WALLET, **body})


async def act(
    stage: Stage, shop: Party, made: dict[str, Any] | str, verb: str, **body: Any
) -> dict[str, Any]:
    """Use a verb on an order, which must succeed."""
    id_ = made if isinstance(made, str) else made["id"]
    return await stage.done(f"POST /orders/{id_}/{verb}", shop.key, **body)


async def change(stage: Stage, shop: Party, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Change an order, which must succeed."""
    return await stage.done(f"PATCH /orders/{made['id']}", shop.key, **body)


async def seen(stage: Stage, shop: Party, made: dict[str, Any]) -> dict[str, Any]:
    """An order as it is now."""
    found: dict[str, Any] = await stage.get(f"/orders/{made['id']}", shop.key)
    return found


async def kinds(stage: Stage, shop: Party, made: dict[str, Any]) -> list[str]:
    """The types of an order's events, oldest first."""
    return [event["type"] for event in await stage.events(shop, made["id"])]


async def in_state(stage: Stage, shop: Party, state: str, **body: Any) -> dict[str, Any]:
    """An order in a state, by the shortest way there."""
    before = {
        "confirmed": "pending",
        "held": "paid",
        "cancelled": "pending",
        "partially_fulfilled": "paid",
        "fulfilled": "paid",
        "shipped": "paid",
        "delivered": "shipped",
        "completed": "delivered",
        "returned": "delivered",
        "disputed": "delivered",
        "refunded": "paid",
    }.get(state)
    if before is None:
        return await (order if state == "pending" else paid)(stage, shop, **body)
    made = await in_state(stage, shop, before, **body)
    if state == "confirmed":
        return await change(stage, shop, made, status="confirmed")
    if state == "partially_fulfilled":
        pieces = [{"id": made["items"][0]["id"], "quantity": 1}]
        return await act(stage, shop, made, "fulfill", items=pieces)
    if state == "refunded":
        await stage.done("POST /payments/refund", shop.key, payment=made["payments"][0])
        return await seen(stage, shop, made)
    verbs = {
        "held": "hold",
        "cancelled": "cancel",
        "fulfilled": "fulfill",
        "shipped": "ship",
        "delivered": "deliver",
        "completed": "complete",
        "returned": "return",
        "disputed": "dispute",
    }
    return await act(stage, shop, made, verbs[state])
