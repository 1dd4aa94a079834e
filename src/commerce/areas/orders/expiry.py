"""Expiry: an order that nobody pays in time is cancelled, and its stock is free again."""

from __future__ import annotations

from typing import Final

import msgspec

from commerce.areas.catalog import stock
from commerce.areas.orders import order as orders
from commerce.areas.orders.order import Order
from commerce.books.stock import Cause
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.jobs.queue import task
from commerce.kernel.clock import HOUR_SECONDS
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money

EXPIRE: Final = "order.expire"
"""The job that cancels an order which was not paid in time."""


class ExpireOrder(msgspec.Struct, frozen=True):
    """An order that may have been paid, and what was reserved for it at first."""

    id: str
    products: list[str]


def expires_at(tx: Tx) -> int:
    """When an order that is made now is cancelled if it is not paid, Unix seconds."""
    return tx.now + tx.means.order_expiry_hours * HOUR_SECONDS


def set_for(tx: Tx, order: Order) -> None:
    """Have an order cancelled if it is not paid in time."""
    products = list(dict.fromkeys(line.product for line in orders.reserved(order)))
    job = msgspec.json.encode(ExpireOrder(order.id, products))
    tx.defer(EXPIRE, order.id, job, at=order.expires_at)


def _need(needs: Needs, caller: Caller, params: ExpireOrder) -> None:
    orders.need(needs, caller, params.id)
    stock.need(needs, caller, stock.RELEASE, params.products)


@task(EXPIRE, params=ExpireOrder, needs=_need)
def expire(tx: Tx, params: ExpireOrder) -> None:
    """Cancel an order that was not paid in time.

    Raises `state_invalid`, so that it is tried again, while the order is held by a person, its
    money is on the way (set aside, or asked for), or a part of it is paid and not given back:
    nobody may lose money to the clock, so its seller has to cancel it or be paid the rest.
    """
    order = tx.lock(Order, params.id)
    waits = order.status == "held" and order.held_from in ("pending", "confirmed")
    on_the_way = order.payment_status in ("processing", "authorized")
    if waits or on_the_way or order.amount_paid > order.amount_refunded:
        message = f"{order.id} is '{order.status}' and its payment '{order.payment_status}'."
        raise ApiError("state_invalid", message)
    if "expire" not in order.lifecycle.allowed(order.status):
        return
    stock.release(tx, Cause(order.id), orders.reserved(order))
    nothing = Money(0, order.currency)
    orders.advance(tx, order, "expire", by="job", amount_due=nothing, cancel_reason="expired")
