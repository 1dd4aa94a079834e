"""The end of orders: completed, by a person or by time, or disputed by whoever bought."""

from __future__ import annotations

from commerce.areas.identity.account import main_wallet
from commerce.areas.orders import ending
from commerce.areas.orders import order as orders
from commerce.areas.orders.content.terms import Reason
from commerce.areas.orders.dispatch import COMPLETE, CompleteOrder, delivered_example
from commerce.areas.orders.holding import OneOrder
from commerce.areas.orders.order import Order
from commerce.areas.orders.transition import Actor
from commerce.areas.stablecoin import wallet
from commerce.books import chart
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.jobs.queue import task
from commerce.kernel.errors import ApiError
from commerce.resource.example import Example
from commerce.resource.operation import operation


class DisputeOrder(OneOrder, frozen=True, kw_only=True):
    """An order that is disputed."""

    reason: Reason | None = None
    """Why, up to 500 characters."""


def _needs(needs: Needs, caller: Caller, params: OneOrder | CompleteOrder) -> None:
    orders.need(needs, caller, params.id)
    own = main_wallet(caller.account, caller.livemode)
    wallet.need(needs, caller, own)
    needs.balance(chart.locked(caller.account, caller.livemode, own))
    needs.balance(chart.fees_processing(caller.livemode))


@operation(
    Order,
    "POST /orders/{id}/complete",
    scope="orders:write",
    params=OneOrder,
    needs=_needs,
    example=delivered_example,
)
def complete(tx: Tx, params: OneOrder) -> Order:
    """Complete an order that was delivered, or whose dispute is settled.

    What is in escrow for it is paid out. With `escrow` that happens by itself 3 days after the
    delivery, unless it is disputed before.
    """
    order = tx.lock(Order, params.id)
    tx.require(order, "complete")
    return _completed(tx, order, by="caller")


@task(COMPLETE, params=CompleteOrder, needs=_needs)
def complete_in_time(tx: Tx, params: CompleteOrder) -> None:
    """Complete an order that was delivered some days ago, and pay out what is in escrow for it."""
    order = tx.lock(Order, params.id)
    if order.status == "delivered":
        _completed(tx, order, by="job")


def _completed(tx: Tx, order: Order, *, by: Actor) -> Order:
    """An order that is completed, with its money paid out.

    One of which so little was left that all of it is the buyer's again is refunded instead.
    """
    order = ending.paid_out(tx, order)
    return order if order.status == "refunded" else orders.advance(tx, order, "complete", by=by)


async def dispute_example(example: Example) -> dict[str, object]:
    """An order that came broken."""
    return {**await delivered_example(example), "reason": "The shirt has a hole."}


def _need_dispute(needs: Needs, caller: Caller, params: DisputeOrder) -> None:
    orders.need(needs, caller, params.id)


@operation(
    Order,
    "POST /orders/{id}/dispute",
    scope="orders:write",
    params=DisputeOrder,
    needs=_need_dispute,
    example=dispute_example,
)
def dispute(tx: Tx, params: DisputeOrder) -> Order:
    """Say that an order is disputed, until 14 days after its delivery.

    What is in escrow for it stays there until it is completed, returned or refunded.
    """
    order = tx.lock(Order, params.id)
    tx.require(order, "dispute")
    if order.dispute_until is not None and tx.now > order.dispute_until:
        message = f"This order is '{order.status}', and was delivered too long ago: it could be"
        raise ApiError("state_invalid", f"{message} 'disputed' until {order.dispute_until}.")
    return orders.advance(tx, order, "dispute", dispute_reason=params.reason)
