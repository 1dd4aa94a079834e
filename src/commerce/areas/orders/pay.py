"""Paying for orders: the payment that a request describes is made by the area of payments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec

from commerce.areas.customers.customer import Email
from commerce.areas.identity import permission
from commerce.areas.orders import order as orders
from commerce.areas.orders.order import Order
from commerce.areas.payments import creation as payments
from commerce.areas.payments import given as methods
from commerce.areas.payments.card import charging
from commerce.areas.payments.creation import (
    SPLITS_MAX,
    CreatePayment,
    Description,
    Party,
    SplitGiven,
)
from commerce.areas.payments.given import Given
from commerce.areas.payments.payment import Payment
from commerce.engine.caller import Caller
from commerce.engine.outside.call import Heard
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.gateways.cards.port import Find, Verdict
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import Operation, Params, operation
from commerce.resource.outside.pending import Declined, Pending, finish
from commerce.resource.parameter import Id, Metadata, Price, priced

OF_PAYMENTS: Operation = payments.create.__operation__  # type: ignore[attr-defined]
OURS = frozenset({"amount", "currency", "customer", "order", "capture"})
"""What is not asked for again of whoever pays an order: the order says it."""


class PaymentGiven(Params, frozen=True, kw_only=True):
    """How an order is to be paid: as a payment is made, but for what the order says itself."""

    payment_method: Given = None
    """What to pay with: for `ssusd` your main wallet by default."""
    amount: Price | None = None
    """How much, if you want it compared: what the order comes to."""
    currency: str | None = None
    """The currency, if you want it compared: the order's."""
    recipient: Party | None = None
    """Who is to be paid: the address of a wallet or the id of an account, yourself by default."""
    splits: (
        Annotated[list[SplitGiven], msgspec.Meta(min_length=1, max_length=SPLITS_MAX)] | None
    ) = None
    """Several who are to be paid, up to 50, instead of one; their amounts sum to the amount."""
    capture: bool | None = None
    """False sets the money aside, for you to capture or to release; an order with `escrow` does
    so by itself."""
    application_fee_amount: Price | None = None
    """Your share as the platform, when you act for a connected account by `X-Account-Id`."""
    description: Description | None = None
    """Your words for it, up to 500 characters; the payer reads them too."""
    statement_descriptor: Annotated[str, msgspec.Meta(max_length=22)] | None = None
    """What a statement of the payer is to call it, up to 22 characters."""
    receipt_email: Email | None = None
    """Where a receipt is to go to."""
    metadata: Metadata = {}
    """Pairs of your own, of the payment."""


class InlinePayment(PaymentGiven, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a new order is to be paid at once."""


class PayOrder(PaymentGiven, frozen=True, kw_only=True):
    """An order to pay, and how."""

    id: Id
    """The order's id."""


@contextmanager
def blamed(within: str) -> Iterator[None]:
    """Have what is refused within a parameter name it: `payment_method` as `payment.…`.

    What the order says itself is blamed on the parameter as a whole.
    """
    try:
        yield
    except ApiError as error:
        name = error.param
        if not within or name is None:
            raise
        inner = within if name in OURS else f"{within}.{name}"
        message = error.message.replace(f"'{name}", f"'{inner}", 1)
        raise ApiError(
            error.code,
            message,
            param=inner,
            headers=error.headers,
            status=error.status,
            **error.details,
        ) from None


def need(needs: Needs, caller: Caller, given: PaymentGiven, order: str | None) -> None:
    """All that `make` touches, where what the order says is not known yet."""
    permission.need(needs, caller)
    assert OF_PAYMENTS.needs is not None
    asked = _asked(given, Price("1"), SSUSD, None, order, capture=given.capture is not False)
    OF_PAYMENTS.needs(needs, caller, asked)


def weight(given: PaymentGiven) -> int:
    """About how many rows it writes."""
    assert OF_PAYMENTS.weight is not None
    return OF_PAYMENTS.weight(_asked(given, Price("1"), SSUSD, None, None, capture=True))


def _asked(  # noqa: PLR0913 - what the order says of a payment
    given: PaymentGiven,
    amount: Price,
    currency: str,
    customer: Any,
    order: str | None,
    *,
    capture: bool,
) -> CreatePayment:
    own = {
        name: getattr(given, name) for name in PaymentGiven.__struct_fields__ if name not in OURS
    }
    fixed: dict[str, Any] = {"amount": amount, "currency": currency, "order": order}
    return CreatePayment(**own, **fixed, customer=customer, capture=capture)


def make(tx: Tx, order: Order, given: PaymentGiven, *, within: str = "") -> Payment | Pending:
    """Make the payment of an order; the order moves on with it.

    Raises `insufficient_permissions` for a key that may make no payments, `amount_mismatch`,
    `currency_unsupported`, `parameter_invalid`, and what making a payment raises.
    """
    permission.require(tx, "payments:write", param=within or "payment_method")
    point = f"{within}." if within else ""
    if given.currency not in (None, order.currency):
        message = f"The order is in {order.currency}."
        raise ApiError("currency_unsupported", message, param=f"{point}currency")
    if given.amount is not None:
        where = f"{point}amount"
        _refuse_another(priced(given.amount, order.currency, param=where), order, where)
    if order.escrow and given.capture:
        message = "The payment of an order with 'escrow' is held until the order is completed."
        raise ApiError("parameter_invalid", message, param=f"{point}capture")
    capture = not order.escrow and given.capture is not False
    due = Price(order.amount_due.text)
    asked = _asked(given, due, order.currency, order.customer, order.id, capture=capture)
    with blamed(within):
        return payments.create(tx, asked)


def is_by_card(order: Order, given: PaymentGiven, *, within: str) -> bool:
    """Whether a processor is to be asked for the money. Raises what making a payment raises."""
    with blamed(within):
        return methods.by_card(given.payment_method, order.currency)


def shown(tx: Tx, payment: Payment) -> Order | Payment:
    """What is answered once a processor was asked: the order, or the payment while there is none.

    Where the cardholder has to authenticate, the order is answered with the payment's secret.
    """
    assert payment.order_id is not None
    whole = charging.with_secret(tx, payment)
    order = tx.see(Order.__noun__, [payment.order_id]).get(payment.order_id)
    if order is None:
        return whole
    order = orders.shown(order, tx.now)
    return with_secret(order, whole) if payment.status == "requires_action" else order


@finish(
    "order.charge",
    Payment,
    inquiry=Find,
    unheard=charging.UNHEARD,
    shown=shown,
    returns=Order,
)
def settle(tx: Tx, payment: Payment, heard: Verdict | Heard) -> Payment | Declined:
    """What the processor said of a charge that pays an order: the order moves on with it."""
    return charging.settle(tx, payment, heard)


def _refuse_another(amount: Money, order: Order, param: str) -> None:
    if amount != order.amount_due:
        message = f"{amount.text} is not what is due, {order.amount_due.text}."
        raise ApiError("amount_mismatch", message, param=param)


def with_secret(order: Order, payment: Payment) -> Order:
    """An order in an answer that made its payment, with what its payer needs."""
    if payment.client_secret is None:
        return order
    return msgspec.structs.replace(order, client_secret=payment.client_secret)


def _needs(needs: Needs, caller: Caller, params: PayOrder) -> None:
    orders.need(needs, caller, params.id)
    need(needs, caller, params, params.id)


def _weight(params: PayOrder) -> int:
    return weight(params) + 3


async def example(example: Example) -> dict[str, object]:
    """An order that waits for its money."""
    await example.fund("100.00")
    items = [{"name": "Linen shirt", "unit_price": "39.00"}]
    made = await example.call("POST /orders/create", items=items)
    return {"id": made["id"], "payment_method": {"type": SSUSD}}


@operation(
    Order,
    "POST /orders/{id}/pay",
    scope="orders:write",
    params=PayOrder,
    needs=_needs,
    weight=_weight,
    secret=True,
    example=example,
)
def pay(tx: Tx, params: PayOrder) -> Order | Pending:
    """Pay what is due of an order, by a wallet or a card, or ask somebody else to.

    A restricted key needs `payments:write` too. With `escrow` the money is held until the order is
    completed. A card that is declined answers 402, and the order waits on.
    """
    order = tx.lock(Order, params.id)
    tx.require(order, "pay")
    payment = make(tx, order, params)
    if isinstance(payment, Pending):
        return payment.within(settle, status=200)
    return with_secret(tx.get(Order, order.id), payment)
