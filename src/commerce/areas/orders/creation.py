"""Making orders: items are found and reserved, totals computed, and money taken if offered."""

from __future__ import annotations

from typing import Any

import msgspec

from commerce.areas.catalog import stock
from commerce.areas.customers import address as addresses
from commerce.areas.customers import customer as customers
from commerce.areas.customers.address import Address
from commerce.areas.customers.customer import Customer
from commerce.areas.identity import permission
from commerce.areas.orders import expiry, pay
from commerce.areas.orders import order as orders
from commerce.areas.orders.content import basket, terms
from commerce.areas.orders.content import draft as drafts
from commerce.areas.orders.content.basket import Items
from commerce.areas.orders.content.terms import (
    CustomerGiven,
    Discounts,
    Notes,
    Number,
    ShippingGiven,
    Word,
)
from commerce.areas.orders.order import BY_NUMBER, Order
from commerce.areas.orders.pay import InlinePayment
from commerce.areas.payments.payment import Payment
from commerce.books.stock import Cause
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD, digits
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.outside.pending import Pending
from commerce.resource.parameter import Metadata, Price, kept
from commerce.resource.ref import Ref

ROWS_AN_ORDER = 5
"""About as many rows an order writes beside its stock: itself, its event, its expiry."""


class CreateOrder(Params, frozen=True, kw_only=True):
    """An order to make."""

    items: Items
    """What is bought, 1 to 250 lines."""
    currency: str = SSUSD
    """The currency of all amounts: `ssusd`, or a lower-case ISO 4217 code."""
    customer: Ref[Customer] | CustomerGiven | None = None
    """Who buys: a customer's id, or a new customer to make."""
    shipping_address: Address | None = None
    """Where it goes to."""
    billing_address: Address | None = None
    """Where the bill goes to."""
    shipping: ShippingGiven | None = None
    """How it is sent."""
    discounts: Discounts = []
    """What comes off the whole order, up to 20, one after the other."""
    tax: Price | None = None
    """The tax on the whole order, in major units; leave it out where items have a `tax_rate`."""
    payment: InlinePayment | None = None
    """Pays it at once. A key needs `payments:write` for that."""
    escrow: bool = False
    """Whether its payment in ssUSD is held until it is completed."""
    number: Number | None = None
    """Your number for it, up to 64 characters; no two of your orders have the same."""
    source: Word | None = None
    """Where it comes from, in your words, up to 64 characters."""
    notes: Notes | None = None
    """Your notes, up to 5,000 characters."""
    metadata: Metadata = {}
    """Pairs of your own."""


def _needs(needs: Needs, caller: Caller, params: CreateOrder) -> None:
    if isinstance(params.customer, str):
        customers.need(needs, caller, params.customer)
    elif params.customer is not None:
        permission.need(needs, caller)
    basket.need(needs, caller, params.items)
    need_number(needs, caller, params.number)
    if params.payment is not None:
        pay.need(needs, caller, params.payment, None)


def need_number(needs: Needs, caller: Caller, number: str | None) -> None:
    """The rows that `require_free` reads."""
    if number is not None:
        needs.row(BY_NUMBER, (caller.account, caller.livemode, number))
        drafts.need_number(needs, caller, number)


def _weight(params: CreateOrder) -> int:
    paid = 0 if params.payment is None else pay.weight(params.payment)
    return ROWS_AN_ORDER + stock.ROWS_A_PRODUCT * len(params.items) + paid


async def example(example: Example) -> dict[str, object]:
    """Two shirts and their wrapping for a customer, paid at once."""
    await example.fund("200.00")
    product = await example.call(
        "POST /products", name="Linen shirt", unit_price="39.00", inventory={"on_hand": 20}
    )
    customer = await example.call("POST /customers", name="Jenny Rosen")
    address = {"line1": "1 Main Street", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB"}
    return {
        "customer": customer["id"],
        "items": [
            {"product": product["id"], "quantity": 2, "tax_rate": "20"},
            {"name": "Wrapping", "unit_price": "2.50"},
        ],
        "shipping_address": address,
        "shipping": {"method": "standard", "amount": "4.95"},
        "discounts": [{"type": "percent", "value": "10", "code": "SPRING"}],
        "payment": {"payment_method": {"type": SSUSD}},
    }


@operation(
    Order,
    "POST /orders/create",
    alias="POST /orders",
    scope="orders:write",
    params=CreateOrder,
    needs=_needs,
    weight=_weight,
    secret=True,
    example=example,
    also=Payment,
)
def create(tx: Tx, params: CreateOrder) -> Order | Pending:
    """Make an order, and pay it if you like.

    Its totals are computed here. Pieces of products that are counted are reserved for it; where too
    few are left, nothing happens (`out_of_stock`, which names the item). An order that is not paid
    within 24 hours is cancelled, and its pieces are free again; one of nothing is paid as it is
    made. Where somebody else is asked to pay, or a cardholder has to authenticate, the answer holds
    the payment's `client_secret` this once.

    Where a card is to pay it, the processor is asked first, with the stock reserved: the order is
    made once it has said yes. Declined, the payment is kept as `failed`, the answer is 402 and
    there is no order. Where the processor does not answer in time, the answer is the payment, which
    stays `processing`; the order is made when it has.
    """
    order = _order(tx, params)
    payment = params.payment
    if payment is not None and not order.total.minor:
        message = "Nothing is due of this order, so there is nothing to pay."
        raise ApiError("parameter_invalid", message, param="payment")
    if payment is not None and pay.is_by_card(order, payment, within="payment"):
        return _by_card(tx, params, order, payment)
    if isinstance(params.customer, CustomerGiven):
        made = customers.keep(tx, params.customer, within="customer.")
        order = msgspec.structs.replace(order, customer=made.ref)
    order = orders.add(tx, order)
    if not order.total.minor:
        return orders.advance(tx, order, "pay", payment_status="paid")
    if payment is not None:
        return _paid(tx, order, payment)
    expiry.set_for(tx, order)
    return order


def _by_card(tx: Tx, params: CreateOrder, order: Order, payment: InlinePayment) -> Pending:
    """Have a processor asked first: the order, and its customer, are made once that has said yes.

    Its stock is reserved meanwhile.
    """
    new = params.customer if isinstance(params.customer, CustomerGiven) else None
    draft = drafts.keep(tx, order, new)
    pending = pay.make(tx, order, payment, within="payment")
    assert isinstance(pending, Pending)
    drafts.pay_by(tx, draft, pending.thing.id)
    return pending.within(pay.settle)


def _paid(tx: Tx, order: Order, given: InlinePayment) -> Order:
    """Pay a new order at once, or ask somebody else to."""
    payment = pay.make(tx, order, given, within="payment")
    assert isinstance(payment, Payment)
    order = tx.get(Order, order.id)
    if order.status == "pending":
        expiry.set_for(tx, order)
    return pay.with_secret(order, payment)


def _order(tx: Tx, params: CreateOrder) -> Order:
    """The order that a request describes, with its stock reserved.

    Raises `currency_unsupported`, `resource_missing`, `insufficient_permissions`,
    `parameter_invalid`, `parameter_missing`, `state_invalid`, `amount_invalid`,
    `amount_precision`, `duplicate_reference`, `out_of_stock`.
    """
    currency = params.currency
    digits(currency)
    customer = _customer(tx, params)
    fields = addressed(params.shipping_address, params.billing_address)
    fields |= basket.come_to(
        basket.entries(tx, params.items, currency),
        currency,
        discounts=[
            terms.discount_terms(each, currency, param=f"discounts[{number}]")
            for number, each in enumerate(params.discounts)
        ],
        tax=terms.tax_given(params.tax, currency),
        shipping=terms.shipping_kept(params.shipping, currency),
    )
    if params.escrow and currency != SSUSD:
        message = f"Only '{SSUSD}' can be held in escrow."
        raise ApiError("parameter_invalid", message, param="escrow")
    require_free(tx, params.number)
    nothing, id_ = Money(0, currency), tx.new_id("ord")
    order = Order(
        id=id_,
        livemode=tx.caller.livemode,
        created=tx.now,
        metadata=kept(params.metadata),
        number=params.number or orders.made_number(id_),
        status="pending",
        customer=customer,
        currency=currency,
        amount_paid=nothing,
        amount_due=fields["total"],
        amount_refunded=nothing,
        escrow=params.escrow,
        source=params.source,
        notes=params.notes or None,
        expires_at=expiry.expires_at(tx),
        **fields,
    )
    return msgspec.structs.replace(order, counted=_reserve(tx, order))


def _customer(tx: Tx, params: CreateOrder) -> Any:
    """The id of who buys; a new customer is made with the order, and looked at before."""
    given = params.customer
    if given is None:
        return None
    if isinstance(given, CustomerGiven):
        permission.require(tx, "customers:write", param="customer")
        customers.checked(given, livemode=tx.caller.livemode, within="customer.")
        return None
    return customers.require(tx, given).id


def addressed(shipping: Address | None, billing: Address | None) -> dict[str, Any]:
    """Addresses as an order keeps them. Raises `parameter_invalid`."""
    given = {"shipping_address": shipping, "billing_address": billing}
    return {
        name: None if each is None else addresses.checked(each, param=name)
        for name, each in given.items()
    }


def require_free(tx: Tx, number: str | None) -> None:
    """Refuse a number that another order has, or is to have. Raises `duplicate_reference`."""
    if number is None:
        return
    found = tx.find(Order, number=number)
    holder = drafts.holder(tx, number) if found is None else found.id
    if holder is not None:
        message = f"The number '{number}' is that of {holder} already."
        raise ApiError("duplicate_reference", message, param="number")


def _reserve(tx: Tx, order: Order) -> list[str]:
    """Reserve what is counted; gives the lines that are. Raises `out_of_stock`."""
    lines = {f"items[{at}].quantity": item for at, item in enumerate(order.items) if item.product}
    wanted = [stock.Line(str(item.product), item.quantity, param) for param, item in lines.items()]
    kept_lines = stock.reserve(tx, Cause(order.id), wanted)
    return [lines[line.param].id for line in kept_lines]
