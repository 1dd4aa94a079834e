"""Returns: pieces come back, onto the shelf or not, and what they cost is given back or not."""

from __future__ import annotations

import msgspec

from commerce.areas.catalog import stock
from commerce.areas.orders import ending, follower
from commerce.areas.orders import order as orders
from commerce.areas.orders.content import terms
from commerce.areas.orders.content.terms import Reason
from commerce.areas.orders.content.totals import share
from commerce.areas.orders.dispatch import Chosen, chosen, deliver_example
from commerce.areas.orders.holding import OneOrder
from commerce.areas.orders.order import Order, Pieces, Return
from commerce.books.stock import Cause
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import operation
from commerce.resource.outside.pending import Pending

RETURNS_MAX = 100
"""In how many parts an order may come back."""


class ReturnOrder(OneOrder, frozen=True, kw_only=True):
    """What of an order has come back."""

    items: Chosen | None = None
    """Which pieces; all that have left and not come back by default."""
    reason: Reason | None = None
    """Why, up to 500 characters."""
    restock: bool = True
    """Whether they are on the shelf again. False for what is not fit to be sold."""
    refund: bool = False
    """Whether to give back what they cost, with their tax; a key needs `payments:write` too."""


def _needs(needs: Needs, caller: Caller, params: ReturnOrder) -> None:
    orders.need(needs, caller, params.id)
    if params.refund:
        ending.need_money(needs, caller)


def _weight(params: ReturnOrder) -> int:
    return 10 + stock.ROWS_A_PRODUCT * len(params.items or ())


async def example(example: Example) -> dict[str, object]:
    """All of an order that was shipped."""
    return {**await deliver_example(example), "reason": "Too small."}


@operation(
    Order,
    "POST /orders/{id}/return",
    scope="orders:write",
    params=ReturnOrder,
    needs=_needs,
    weight=_weight,
    example=example,
)
def return_(tx: Tx, params: ReturnOrder) -> Order | Pending:
    """Take pieces of an order back, all that have left by default.

    With `refund` what they cost is given back: a line's pieces come to what the line came to,
    however many come at a time. Shipping is not given back by this: refund the payment for that.
    The order is `returned` once every piece of it has come back.
    """
    order = tx.lock(Order, params.id)
    tx.require(order, "return")
    pieces = chosen(order.items, params.items, {item.id: item.returnable for item in order.items})
    if not pieces:
        message = f"This order is '{order.status}', and nothing is left of it to be 'returned'."
        raise ApiError("state_invalid", message, param="items")
    if len(order.returns) == RETURNS_MAX:
        message = f"An order comes back in at most {RETURNS_MAX} parts."
        raise ApiError("parameter_invalid", message, param="items")
    worth = _worth(tx, order, pieces) if params.refund else Money(0, order.currency)
    cause = Cause(order.id, str(len(order.returns) + 1))
    stock.take_back(tx, cause, orders.pieces_of(order, pieces), restock=params.restock)
    items = [
        msgspec.structs.replace(
            item, quantity_returned=item.quantity_returned + pieces.get(item.id, 0)
        )
        for item in order.items
    ]
    made = Return(
        created=tx.now,
        items=[Pieces(id=id_, quantity=quantity) for id_, quantity in pieces.items()],
        reason=params.reason,
        restocked=params.restock,
        amount_refunded=worth.text,
    )
    whole = all(item.quantity_returned == item.quantity for item in items)
    to = "returned" if whole else order.status
    returns = [*order.returns, made]
    order = orders.advance(tx, order, "return", to=to, items=items, returns=returns)
    return _refunded(tx, order, worth) if worth.minor else order


def _worth(tx: Tx, order: Order, pieces: dict[str, int]) -> Money:
    """What pieces cost, with their tax, of what was paid and not given back yet."""
    worth = sum(
        share(
            terms.money(item.total, order),
            item.quantity,
            item.quantity_returned,
            pieces.get(item.id, 0),
        )
        for item in order.items
    )
    return Money(min(worth, ending.left(tx, order).minor), order.currency)


def _refunded(tx: Tx, order: Order, worth: Money) -> Order | Pending:
    """Give back what pieces cost: of what is in escrow, by paying out less when it is completed."""
    if order.payment_status != "escrowed" or order.amount_refunded + worth >= order.amount_paid:
        return ending.give_back(tx, order, worth)
    back = order.amount_refunded + worth
    order = follower.refund(tx, order, whole=False, amount_refunded=back)
    return ending.paid_out(tx, order) if order.status == "returned" else order
