"""What follows a payment: the order that it names moves on with it, in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from commerce.areas.catalog import stock
from commerce.areas.customers import customer as customers
from commerce.areas.orders import expiry
from commerce.areas.orders import order as orders
from commerce.areas.orders.content import draft as drafts
from commerce.areas.orders.content.draft import Draft
from commerce.areas.orders.order import BY_NUMBER, SHOWN_MAX, TABLE, Order
from commerce.areas.payments.payment import Payment
from commerce.areas.payments.refund import Refund
from commerce.books.stock import Cause
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.composition.follower import follows

RELEASABLE = ("delivered", "disputed", "returned")
"""The states in which money in escrow may be taken: as an order is completed, mostly."""


def need(needs: Needs, account: str, livemode: bool, id_: str) -> None:
    """The order that a payment names."""
    drafts.need(needs, account, livemode, id_)
    needs.row(TABLE.key, (account, livemode, id_), lock=True)


def begin(tx: Tx, payment: Payment) -> None:
    """See that a payment which is about to be made pays what is due of its order.

    Raises `resource_missing`, `state_invalid`, `currency_unsupported`, `amount_mismatch`,
    `parameter_invalid`.
    """
    assert payment.order_id is not None
    draft = drafts.find(tx, payment.order_id, account=tx.caller.account)
    if draft is not None and draft.payment is None:
        # The order is being made for this payment, of what is due.
        return
    order = tx.lock(Order, payment.order_id, param="order")
    _refuse(tx, order, payment)
    if order.customer is not None and payment.customer not in (None, order.customer):
        message = f"The order is that of {order.customer}."
        raise ApiError("parameter_invalid", message, param="customer")
    if order.escrow and payment.capture:
        message = "An order with 'escrow' is paid by a payment with 'capture' false."
        raise ApiError("parameter_invalid", message, param="capture")
    if payment.payment_method.type == "card":
        # Nobody can undo what a processor does, so nothing else may happen to the order meanwhile.
        _under_way(tx, order, payment, tx.caller.account)


def _under_way(tx: Tx, order: Order, payment: Payment, account: str) -> None:
    """A processor is asked for its money."""
    fields: dict[str, Any] = {
        "payments": _with(order.payments, payment.id),
        "payment_status": "processing",
        "under_way": payment.id,
    }
    orders.change(tx, order, account=account, **fields)


def _refuse(tx: Tx, order: Order, payment: Payment) -> None:
    """Refuse a payment that does not fit an order as the order is now."""
    tx.require(order, "pay")
    if order.under_way not in (None, payment.id):
        message = f"This order is 'pending' until {order.under_way} is done or canceled."
        raise ApiError("state_invalid", message, param="order")
    if payment.currency != order.currency:
        message = f"The order is in {order.currency}."
        raise ApiError("currency_unsupported", message, param="currency")
    if payment.amount != order.amount_due:
        message = f"{payment.amount.text} is not what is due of the order,"
        raise ApiError("amount_mismatch", f"{message} {order.amount_due.text}.", param="amount")


@follows("order", need=need, begin=begin)
def follow(tx: Tx, payment: Payment, move: str, *, account: str) -> None:
    """Move an order on with its payment."""
    assert payment.order_id is not None
    draft = drafts.find(tx, payment.order_id, account=account)
    if draft is not None and not _made(tx, draft, payment, move):
        return
    order = tx.lock(Order, payment.order_id, account=account, param="order")
    if move == "confirm":
        # What was asked for may have been paid otherwise, or changed, since.
        _refuse(tx, order, payment)
        if payment.payment_method.type == "card":
            _under_way(tx, order, payment, account)
    elif move in ("succeed", "capture"):
        _taken(tx, order, payment, account)
    elif move == "authorize":
        _set_aside(tx, order, payment, account)
    elif move == "refund":
        _given_back(tx, order, payment)
    elif move in ("cancel", "fail"):
        _released(tx, order, payment, account)
    else:
        assert move == "require_action", move
        _waits(tx, order, payment, account)


def _made(tx: Tx, draft: Draft, payment: Payment, move: str) -> bool:
    """Make the order of a draft, with its customer, or let go what was reserved for it."""
    order = draft.order
    customer = drafts.close(tx, draft)
    if move in ("cancel", "fail"):
        stock.release(tx, Cause(order.id), orders.reserved(order))
        return False
    if customer is not None:
        made = customers.keep(tx, customer, within="customer.")
        order = msgspec.structs.replace(order, customer=made.ref)
    if drafts.named(order) and tx.read(BY_NUMBER, (draft.account, draft.livemode, order.number)):
        # Another order was made with its number at the very same time: that must not keep what
        # was charged from its order.
        order = msgspec.structs.replace(order, number=orders.made_number(order.id))
    payments = [payment.ref]
    orders.add(tx, msgspec.structs.replace(order, payments=payments, under_way=payment.id))
    if move != "succeed":
        expiry.set_for(tx, order)
    return True


def _waits(tx: Tx, order: Order, payment: Payment, account: str) -> None:
    """It waits for its payer: whoever pays the order first has paid it."""
    ours = order.under_way == payment.id
    fields: dict[str, Any] = {
        "payments": _with(order.payments, payment.id),
        "payment_status": "unpaid" if ours else order.payment_status,
        "under_way": None if ours else order.under_way,
    }
    orders.change(tx, order, account=account, **fields)


def _with(ids: Sequence[str], *more: str) -> list[Any]:
    return list(dict.fromkeys((*ids, *more)))[-SHOWN_MAX:]


def _given(tx: Tx, payment: Payment) -> int:
    """How much of a payment was given back; to a card, what its processor has agreed to."""
    given = payment.amount_refunded.minor
    if payment.payment_method.type == "card":
        refunds = tx.see(Refund.__noun__, payment.refunds).values()
        given -= sum(each.amount.minor for each in refunds if each.status == "pending")
    return given


def _taken(tx: Tx, order: Order, payment: Payment, account: str) -> None:
    """Its money was taken: what was in escrow counts already."""
    fields: dict[str, Any] = {
        "payments": _with(order.payments, payment.id),
        "payment_status": "partially_refunded" if order.amount_refunded.minor else "paid",
        "under_way": None,
    }
    if order.payment_status == "escrowed":
        _refuse_early(order)
    else:
        paid = order.amount_paid + payment.amount_captured
        fields |= {"amount_paid": paid, "amount_due": _due(order, paid)}
        if fields["amount_due"].minor:
            fields["payment_status"] = "unpaid"
    _paid(tx, order, account, fields)


def _refuse_early(order: Order) -> None:
    """Refuse to take what is in escrow before the goods are there. Raises `state_invalid`."""
    if order.status not in RELEASABLE:
        message = f"The money of {order.id} is in escrow, and it is '{order.status}': it can be"
        raise ApiError("state_invalid", f"{message} taken once that is 'delivered'.")


def _set_aside(tx: Tx, order: Order, payment: Payment, account: str) -> None:
    """Its money was set aside: in escrow that is as good as paid."""
    fields: dict[str, Any] = {
        "payments": _with(order.payments, payment.id),
        "payment_status": "escrowed" if order.escrow else "authorized",
        "under_way": payment.id,
    }
    if not order.escrow:
        orders.change(tx, order, account=account, **fields)
        return
    paid = order.amount_paid + payment.amount
    fields |= {"amount_paid": paid, "amount_due": _due(order, paid)}
    _paid(tx, order, account, fields)


def _due(order: Order, paid: Money) -> Money:
    return Money(max(order.total.minor - paid.minor, 0), order.currency)


def _paid(tx: Tx, order: Order, account: str, fields: dict[str, Any]) -> None:
    """Move it on if all of it is paid and it still waits for that."""
    due: Money = fields.get("amount_due", order.amount_due)
    if due.minor or "pay" not in order.lifecycle.allowed(order.status):
        orders.change(tx, order, account=account, **fields)
    else:
        orders.advance(tx, order, "pay", by="payment", account=account, **fields)


def _given_back(tx: Tx, order: Order, payment: Payment) -> None:
    """Some of its money was given back, or is to be."""
    given = _given(tx, payment)
    more = Money(given - order.given_back.get(payment.id, 0), order.currency)
    back = order.amount_refunded + more
    whole = back >= order.amount_paid
    fields: dict[str, Any] = {
        "amount_refunded": back,
        "given_back": {**order.given_back, payment.id: given},
        "refunds": _with(order.refunds, *payment.refunds),
        "payment_status": "refunded" if whole else "partially_refunded",
    }
    refund(tx, order, whole=whole, **fields)


def _released(tx: Tx, order: Order, payment: Payment, account: str) -> None:
    """What was set aside for it is its payer's again, or was never given."""
    if order.under_way != payment.id:
        return
    if order.payment_status != "escrowed":
        orders.change(tx, order, account=account, payment_status="unpaid", under_way=None)
        return
    fields = {"amount_refunded": order.amount_paid, "payment_status": "refunded"}
    refund(tx, order, whole=True, under_way=None, **fields)


def refund(tx: Tx, order: Order, *, whole: bool, **fields: Any) -> Order:
    """Count what was given back; an order of which that is all is over, and its stock is free."""
    if not whole or "refund" not in order.lifecycle.allowed(order.status):
        return orders.change(tx, order, **fields)
    stock.release(tx, Cause(order.id), orders.reserved(order))
    return orders.advance(tx, order, "refund", by="payment", held_from=None, **fields)
