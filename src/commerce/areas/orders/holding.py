"""Holding orders: set aside by a person, and released to where they were."""

from __future__ import annotations

from commerce.areas.orders import order as orders
from commerce.areas.orders.content.terms import Reason
from commerce.areas.orders.order import Order
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id


class OneOrder(Params, frozen=True, kw_only=True):
    """Which order."""

    id: Id
    """The order's id."""


class HoldOrder(OneOrder, frozen=True, kw_only=True):
    """An order to hold."""

    reason: Reason | None = None
    """Why, up to 500 characters."""


def need_one(needs: Needs, caller: Caller, params: OneOrder) -> None:
    """The order."""
    orders.need(needs, caller, params.id)


async def one_example(example: Example) -> dict[str, object]:
    """An order that waits for its money."""
    items = [{"name": "Linen shirt", "unit_price": "39.00"}]
    made = await example.call("POST /orders/create", items=items)
    return {"id": made["id"]}


async def hold_example(example: Example) -> dict[str, object]:
    """An order that somebody is to look at."""
    return {**await one_example(example), "reason": "The address looks odd."}


async def release_example(example: Example) -> dict[str, object]:
    """An order that is held."""
    one = await one_example(example)
    await example.call("POST /orders/{id}/hold", **one)
    return one


@operation(
    Order,
    "POST /orders/{id}/hold",
    scope="orders:write",
    params=HoldOrder,
    needs=need_one,
    example=hold_example,
)
def hold(tx: Tx, params: HoldOrder) -> Order:
    """Hold an order before it is shipped: it is neither paid, sent nor cancelled by time."""
    return held(tx, tx.lock(Order, params.id), reason=params.reason)


def held(tx: Tx, order: Order, *, reason: str | None) -> Order:
    """An order that is held from now on. Raises `state_invalid`."""
    return orders.advance(tx, order, "hold", held_from=order.status, hold_reason=reason)


@operation(
    Order,
    "POST /orders/{id}/release",
    scope="orders:write",
    params=OneOrder,
    needs=need_one,
    example=release_example,
)
def release(tx: Tx, params: OneOrder) -> Order:
    """Release an order that is held: it goes on from where it was."""
    return released(tx, tx.lock(Order, params.id))


def released(tx: Tx, order: Order) -> Order:
    """An order that is held no more. Raises `state_invalid`."""
    back = order.held_from
    return orders.advance(tx, order, "release", to=back, held_from=None, hold_reason=None)
