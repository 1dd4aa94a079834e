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
from commerce.areas.payments.card import charging, later, reversal
from commerce.areas.payments.escrow import CapturePayment, OnePayment
from commerce.areas.payments.payment import Payment
from commerce.areas.payments.refund import Refund
from commerce.areas.payments.repayment import CreateRefund
from commerce.books import chart
from commerce.books.stock import Cause
from commerce.engine.caller import Caller
from commerce.engine.outside.call import Heard
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.gateways.cards.port import Find, Verdict
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import operation
from commerce.resource.outside.pending import Declined, Pending, finish
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
def cancel(tx: Tx, params: CancelOrder) -> Order | Pending:
    """Cancel an order of which no piece has left.

    What was reserved for it is free again, and what was paid is given back: a restricted key needs
    `payments:write` for that. A processor that refuses to give back answers 402, with the order
    cancelled: refund its payment again.
    """
    return cancelled(tx, tx.lock(Order, params.id), reason=params.reason)


def cancelled(tx: Tx, order: Order, *, reason: str | None) -> Order | Pending:
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
    return give_back(tx, order, left(tx, order))


def give_back(tx: Tx, order: Order, amount: Money) -> Order | Pending:
    """Give back so much of what was paid for an order; the order counts it.

    What is set aside for it is set free, if that is all of it. Of a card the processor is asked:
    one payment by card at a time. Raises `insufficient_permissions`, `state_invalid`, and what
    refunding a payment raises.
    """
    if order.under_way is not None:
        permission.require(tx, "payments:write", param="id")
        freed = escrow.cancel(tx, OnePayment(id=order.under_way))
        if isinstance(freed, Pending):
            return freed.within(released, status=200)
    elif amount.minor:
        permission.require(tx, "payments:write", param="id")
        asked = [found for each in _parts(tx, order, amount.minor) if (found := _refund(tx, *each))]
        if asked:
            return asked[0].within(refunded, status=200)
    return tx.get(Order, order.id)


def left(tx: Tx, order: Order) -> Money:
    """How much of what was paid for an order can still be given back, or set free.

    What refunds promise already, and wait for money to keep, is not left, nor what a cardholder
    has taken back.
    """
    left = order.amount_paid - order.amount_refunded
    if order.payment_status == "escrowed" or not left.minor:
        return left
    paid = tx.see(Payment.__noun__, order.payments).values()
    return Money(min(left.minor, sum(reversal.left(tx, each) for each in paid)), order.currency)


def _parts(tx: Tx, order: Order, amount: int) -> list[tuple[Payment, int]]:
    """How much of which of an order's payments is to be given back, the latest first.

    Raises `state_invalid` for several by card: each is asked of its processor by itself.
    """
    paid = tx.see(Payment.__noun__, order.payments)
    found: list[tuple[Payment, int]] = []
    for id_ in reversed(order.payments):
        payment: Payment = paid[id_]
        part = min(amount, reversal.left(tx, payment))
        if part:
            found.append((payment, part))
            amount -= part
    if sum(payment.payment_method.type == "card" for payment, _ in found) > 1:
        message = f"This order is '{order.payment_status}', by several cards: refund their payments"
        raise ApiError("state_invalid", f"{message} one by one, until it is 'refunded'.")
    return found


def _refund(tx: Tx, payment: Payment, part: int) -> Pending | None:
    """Give back a part of a payment; gives what is to be asked outside, if anybody is."""
    price = Price(Money(part, payment.currency).text)
    made = repayment.refund(tx, CreateRefund(payment=payment.ref, amount=price))
    return made if isinstance(made, Pending) else None


def _order_of(tx: Tx, payment: Payment) -> Order:
    assert payment.order_id is not None
    return orders.shown(tx.get(Order, payment.order_id), tx.now)


def _order_of_refund(tx: Tx, refund: Refund) -> Order:
    return _order_of(tx, tx.get(Payment, refund.payment))


@finish("order.refund", Refund, inquiry=Find, shown=_order_of_refund, returns=Order)
def refunded(tx: Tx, refund: Refund, heard: Verdict | Heard) -> Refund | Declined:
    """What the processor said of money that is to be given back for an order."""
    return reversal.settle(tx, refund, heard)


@finish(
    "order.release",
    Payment,
    inquiry=Find,
    unheard=charging.UNHEARD,
    shown=_order_of,
    returns=Order,
)
def released(tx: Tx, payment: Payment, heard: Verdict | Heard) -> Payment | Declined:
    """What the processor said of money that was set aside for an order, and is to be set free."""
    return later.canceled(tx, payment, heard)


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
