"""Cancelling orders, and their money: given back, or paid out of escrow."""

from __future__ import annotations

from commerce.areas.catalog import stock
from commerce.areas.identity import permission, spending
from commerce.areas.identity.account import main_wallet
from commerce.areas.orders import order as orders
from commerce.areas.orders.content.terms import Reason
from commerce.areas.orders.holding import OneOrder, one_example
from commerce.areas.orders.order import Order
from commerce.areas.payments import charge, escrow, repayment
from commerce.areas.payments.escrow import CapturePayment, OnePayment
from commerce.areas.payments.payment import Payment
from commerce.areas.payments.repayment import CreateRefund
from commerce.books import chart
from commerce.books.stock import Cause
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import operation
from commerce.resource.parameter import Price


class CancelOrder(OneOrder, frozen=True, kw_only=True):
    """An order to cancel."""

    reason: Reason | None = None
    """Why, up to 500 characters."""


def need_money(needs: Needs, caller: Caller) -> None:
    """What giving back usually touches: who paid is known once the payment is read."""
    permission.need(needs, caller)
    spending.need(needs, caller)
    charge.need_payee(needs, caller, caller.account)
    own = main_wallet(caller.account, caller.livemode)
    needs.balance(chart.locked(caller.account, caller.livemode, own))


def _needs(needs: Needs, caller: Caller, params: CancelOrder) -> None:
    orders.need(needs, caller, params.id)
    need_money(needs, caller)


async def cancel_example(example: Example) -> dict[str, object]:
    """An order that its customer does not want any more."""
    return {**await one_example(example), "reason": "Ordered twice."}


@operation(
    Order,
    "POST /orders/{id}/cancel",
    scope="orders:write",
    params=CancelOrder,
    needs=_needs,
    example=cancel_example,
)
def cancel(tx: Tx, params: CancelOrder) -> Order:
    """Cancel an order of which no piece has left.

    What was reserved for it is free again, and what was paid is given back: a restricted key needs
    `payments:write` for that.
    """
    return cancelled(tx, tx.lock(Order, params.id), reason=params.reason)


def cancelled(tx: Tx, order: Order, *, reason: str | None) -> Order:
    """An order that is cancelled. Raises `state_invalid`, `insufficient_permissions`."""
    tx.require(order, "cancel")
    if orders.has_left(order):
        message = "This order is 'held', and pieces of it have left: it is not 'cancelled' any"
        raise ApiError("state_invalid", f"{message} more. Release it, and take them back.")
    if order.payment_status == "processing":
        message = f"This order is '{order.status}', and {order.under_way} is being made: it can"
        raise ApiError("state_invalid", f"{message} be 'cancelled' once that is known.")
    stock.release(tx, Cause(order.id), orders.reserved(order))
    due = Money(0, order.currency)
    order = orders.advance(
        tx, order, "cancel", amount_due=due, cancel_reason=reason, held_from=None
    )
    return give_back(tx, order, order.amount_paid - order.amount_refunded)


def give_back(tx: Tx, order: Order, amount: Money) -> Order:
    """Give back so much of what was paid for an order; the order counts it.

    What is set aside for it is set free, if that is all of it. Raises `insufficient_permissions`,
    and what refunding a payment raises.
    """
    if order.under_way is not None:
        permission.require(tx, "payments:write", param="id")
        escrow.cancel(tx, OnePayment(id=order.under_way))
        return tx.get(Order, order.id)
    left = amount.minor
    for id_ in reversed(order.payments) if left else ():
        permission.require(tx, "payments:write", param="id")
        payment = tx.lock(Payment, id_)
        part = min(left, payment.refundable if payment.captured else 0)
        if part:
            price = Price(Money(part, order.currency).text)
            wanted = CreateRefund(payment=payment.ref, amount=price)
            repayment.refund(tx, wanted)
            left -= part
    return tx.get(Order, order.id)


def paid_out(tx: Tx, order: Order) -> Order:
    """An order whose money is not in escrow any more: what came back is its payer's again."""
    if order.payment_status != "escrowed" or order.under_way is None:
        return order
    payment = tx.lock(Payment, order.under_way)
    earned = payment.amount - order.amount_refunded
    if earned.minor <= charge.costs(payment, earned):
        # Of so little the fees would leave nothing.
        escrow.cancel(tx, OnePayment(id=payment.id))
    else:
        escrow.capture(tx, CapturePayment(id=payment.id, amount=Price(earned.text)))
    return tx.lock(Order, order.id)
