"""Sending what was ordered: pieces leave the shelf, are shipped, and are delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from commerce.areas.catalog import stock
from commerce.areas.orders import order as orders
from commerce.areas.orders.content.terms import Word
from commerce.areas.orders.fulfillment import Fulfillment
from commerce.areas.orders.holding import OneOrder, need_one
from commerce.areas.orders.order import Item, Order, Pieces
from commerce.books.stock import Cause
from commerce.engine.tx import Tx
from commerce.kernel.clock import DAY_SECONDS
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.wording import MUST
from commerce.resource.example import Example
from commerce.resource.operation import operation
from commerce.resource.parameter import Id, Moment

COMPLETE: Final = "order.complete"
"""The job that completes an order in escrow some days after its delivery."""
PARCELS_MAX: Final = 100
"""In how many parts an order may be fulfilled."""
ROWS_A_PARCEL = 12
CARRIED: Final = ("carrier", "tracking_number", "tracking_url")
"""What a parcel says of who carries it."""

Url = Annotated[
    str,
    msgspec.Meta(
        max_length=2000, pattern="^https?://[^\\s]+$", extra={MUST: "an http or https address"}
    ),
]
TrackingNumber = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class PiecesGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some pieces of one line."""

    id: Id
    """The line's id, `li_…`."""
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """How many pieces."""


Chosen = Annotated[list[PiecesGiven], msgspec.Meta(min_length=1, max_length=250)]


class ShipOrder(OneOrder, frozen=True, kw_only=True):
    """An order to ship."""

    carrier: Word | None = None
    """Who carries it."""
    tracking_number: TrackingNumber | None = None
    """The carrier's number for it."""
    tracking_url: Url | None = None
    """Where the carrier tells of it."""
    shipped_at: Moment | None = None
    """When it was given to the carrier; now by default."""
    notify_customer: bool = False
    """Whether the customer is to be told, by whoever receives the events."""


class FulfillOrder(ShipOrder, frozen=True, kw_only=True):
    """What of an order is to leave."""

    items: Chosen | None = None
    """Which pieces; all that are left by default."""


class CompleteOrder(msgspec.Struct, frozen=True):
    """An order that was delivered."""

    id: str


def _weight(params: ShipOrder) -> int:
    chosen = params.items if isinstance(params, FulfillOrder) else None
    return ROWS_A_PARCEL + stock.ROWS_A_PRODUCT * len(chosen or ())


async def paid_example(example: Example) -> dict[str, object]:
    """An order that is paid."""
    await example.fund("100.00")
    items = [{"name": "Linen shirt", "unit_price": "39.00", "quantity": 2}]
    payment = {"payment_method": {"type": SSUSD}}
    made = await example.call("POST /orders/create", items=items, payment=payment)
    return {"id": made["id"], "items": [{"id": made["items"][0]["id"], "quantity": 1}]}


async def fulfill_example(example: Example) -> dict[str, object]:
    """One of two pieces."""
    return {**await paid_example(example), "carrier": "ups", "notify_customer": True}


async def ship_example(example: Example) -> dict[str, object]:
    """All of it."""
    order = await paid_example(example)
    return {"id": order["id"], "carrier": "ups", "tracking_number": "1Z999AA10123456784"}


async def deliver_example(example: Example) -> dict[str, object]:
    """An order that was shipped."""
    params = await ship_example(example)
    await example.call("POST /orders/{id}/ship", **params)
    return {"id": params["id"]}


async def delivered_example(example: Example) -> dict[str, object]:
    """An order that was delivered."""
    params = await deliver_example(example)
    await example.call("POST /orders/{id}/deliver", **params)
    return params


@operation(
    Order,
    "POST /orders/{id}/fulfill",
    scope="orders:write",
    params=FulfillOrder,
    needs=need_one,
    weight=_weight,
    example=fulfill_example,
)
def fulfill(tx: Tx, params: FulfillOrder) -> Order:
    """Let pieces of an order leave, all that are left by default, as one fulfillment.

    They are taken from the stock. The order is `partially_fulfilled`, or `fulfilled` with the last
    piece, or `shipped` where that goes with a tracking number.
    """
    order = tx.lock(Order, params.id)
    tx.require(order, "fulfill")
    pieces = chosen(order.items, params.items, {item.id: item.left for item in order.items})
    fields = _parcel(tx, order, params, pieces, shipped=params.tracking_number is not None)
    if any(item.left for item in fields["items"]):
        return orders.advance(tx, order, "fulfill", to="partially_fulfilled", **fields)
    fields["fulfilled_at"] = tx.now
    if params.tracking_number is None:
        return orders.advance(tx, order, "fulfill", to="fulfilled", **fields)
    _ship_parcels(tx, order, params)
    fields["shipped_at"] = _when(tx, params)
    return orders.advance(tx, order, "fulfill", to="shipped", **fields)


@operation(
    Order,
    "POST /orders/{id}/ship",
    scope="orders:write",
    params=ShipOrder,
    needs=need_one,
    weight=_weight,
    example=ship_example,
)
def ship(tx: Tx, params: ShipOrder) -> Order:
    """Ship an order: what is packed, and what is still left, which is fulfilled with it."""
    order = tx.lock(Order, params.id)
    tx.require(order, "ship")
    left = {item.id: item.left for item in order.items if item.left}
    _ship_parcels(tx, order, params)
    fields: dict[str, Any] = {"shipped_at": _when(tx, params)}
    if left:
        fields |= _parcel(tx, order, params, left, shipped=True)
        fields["fulfilled_at"] = tx.now
    return orders.advance(tx, order, "ship", **fields)


@operation(
    Order,
    "POST /orders/{id}/deliver",
    scope="orders:write",
    params=OneOrder,
    needs=need_one,
    example=deliver_example,
)
def deliver(tx: Tx, params: OneOrder) -> Order:
    """Say that an order was delivered. In escrow it is completed by itself 3 days later."""
    order = tx.lock(Order, params.id)
    tx.require(order, "deliver")
    if order.escrow:
        job = msgspec.json.encode(CompleteOrder(order.id))
        at = tx.now + tx.means.order_completion_days * DAY_SECONDS
        tx.defer(COMPLETE, order.id, job, at=at)
    until = tx.now + tx.means.order_dispute_days * DAY_SECONDS
    return orders.advance(tx, order, "deliver", dispute_until=until)


def chosen(
    items: Sequence[Item], given: Sequence[PiecesGiven] | None, most: dict[str, int]
) -> dict[str, int]:
    """How many pieces of each line a request names; all of `most` by default.

    Raises `resource_missing` for a line that is none of them, `parameter_invalid` for one that is
    named twice, or of which fewer are left.
    """
    if given is None:
        return {id_: quantity for id_, quantity in most.items() if quantity}
    names = {item.id: item.name for item in items}
    found: dict[str, int] = {}
    for at, each in enumerate(given):
        where = f"items[{at}]"
        if each.id not in names:
            message = f"No such line of this order: '{each.id[:64]}'."
            raise ApiError("resource_missing", message, param=f"{where}.id")
        if each.id in found:
            message = f"'{each.id}' is there twice; send it once."
            raise ApiError("parameter_invalid", message, param=f"{where}.id")
        left = most[each.id]
        if each.quantity > left:
            message = f"Only {left} of '{names[each.id]}' are left for this, not {each.quantity}."
            raise ApiError("parameter_invalid", message, param=f"{where}.quantity")
        found[each.id] = each.quantity
    return found


def _parcel(
    tx: Tx, order: Order, params: ShipOrder, pieces: dict[str, int], *, shipped: bool
) -> dict[str, Any]:
    """Keep what leaves together and take it from the stock; gives the order's fields after it."""
    if len(order.fulfillments) == PARCELS_MAX:
        message = f"An order leaves in at most {PARCELS_MAX} parts."
        raise ApiError("parameter_invalid", message, param="items")
    lines = orders.pieces_of(order, pieces)
    parcel = tx.add(
        Fulfillment(
            id=tx.new_id("ful"),
            livemode=order.livemode,
            created=tx.now,
            order_id=order.ref,
            status="shipped" if shipped else "fulfilled",
            items=[Pieces(id=id_, quantity=quantity) for id_, quantity in pieces.items()],
            carrier=params.carrier,
            tracking_number=params.tracking_number,
            tracking_url=params.tracking_url,
            notify_customer=params.notify_customer,
            shipped_at=_when(tx, params) if shipped else None,
            counted=list(dict.fromkeys(line.product for line in lines)),
        )
    )
    stock.ship(tx, Cause(parcel.id), lines)
    items = [
        msgspec.structs.replace(
            item, quantity_fulfilled=item.quantity_fulfilled + pieces.get(item.id, 0)
        )
        for item in order.items
    ]
    return {"items": items, "fulfillments": [*order.fulfillments, parcel.id]}


def _when(tx: Tx, params: ShipOrder) -> int:
    return tx.now if params.shipped_at is None else int(params.shipped_at)


def _ship_parcels(tx: Tx, order: Order, params: ShipOrder) -> None:
    """Ship what was packed before: by whom this request says, where its parcel says nothing."""
    for id_ in order.fulfillments:
        parcel = tx.lock(Fulfillment, id_)
        if parcel.status == "fulfilled":
            told: dict[str, Any] = {"shipped_at": _when(tx, params)}
            if parcel.carrier is None and parcel.tracking_number is None:
                told |= {name: getattr(params, name) for name in CARRIED}
            tx.advance(parcel, "ship", **told)
