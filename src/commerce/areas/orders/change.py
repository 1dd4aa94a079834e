"""Changing orders: what they hold while nobody has paid, and the moves that a person makes."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from commerce.areas.catalog import stock
from commerce.areas.catalog.product import Product
from commerce.areas.customers.address import Address
from commerce.areas.orders import ending, holding
from commerce.areas.orders import order as orders
from commerce.areas.orders.content import basket, terms
from commerce.areas.orders.content.basket import Entry, Items
from commerce.areas.orders.content.terms import Discounts, Notes, ShippingGiven
from commerce.areas.orders.creation import addressed
from commerce.areas.orders.order import Order, State
from commerce.books.stock import Cause
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.outside.pending import Pending
from commerce.resource.parameter import Id, Metadata, Price, changed

UNPAID = ("pending", "confirmed")
"""The states in which what an order holds may be changed, while no money is there or on the way."""
UNSENT = ("pending", "confirmed", "paid", "partially_fulfilled", "fulfilled", "held")
"""The states in which it may still be sent elsewhere."""
OF_UNPAID = ("items", "billing_address", "shipping", "discounts", "tax")


class UpdateOrder(Params, frozen=True, kw_only=True):
    """What is to change of an order; what is left out stays, and null removes.

    Once it is paid: `notes`, `metadata`, `status`, and before it is shipped `shipping_address`.
    """

    id: Id
    """The order's id."""
    items: Items | UnsetType = UNSET
    """All of what is bought, in place of what there was: stock is reserved or set free anew."""
    shipping_address: Address | UnsetType | None = UNSET
    """Where it goes to: the whole of it."""
    billing_address: Address | UnsetType | None = UNSET
    """Where the bill goes to: the whole of it."""
    shipping: ShippingGiven | UnsetType | None = UNSET
    """How it is sent: the whole of it."""
    discounts: Discounts | UnsetType = UNSET
    """All that comes off the whole order, in place of what there was."""
    tax: Price | UnsetType | None = UNSET
    """The tax on the whole order."""
    notes: Notes | UnsetType | None = UNSET
    """Your notes."""
    status: State | UnsetType = UNSET
    """`confirmed`, `held`, the state it was held in (which releases it), or `cancelled`."""
    version: int | None = None
    """The version that you have seen: if it is another by now, nothing is changed (409)."""
    metadata: Metadata = {}
    """Pairs to set; an empty string or null removes a pair."""


def _needs(needs: Needs, caller: Caller, params: UpdateOrder) -> None:
    orders.need(needs, caller, params.id)
    if params.items is not UNSET:
        basket.need(needs, caller, params.items)
    if params.status == "cancelled":
        ending.need_money(needs, caller)


def _weight(params: UpdateOrder) -> int:
    lines = 0 if params.items is UNSET else len(params.items)
    return 4 + stock.ROWS_A_PRODUCT * lines


async def example(example: Example) -> dict[str, object]:
    """Another quantity of a product, and a discount."""
    product = await example.call(
        "POST /products", name="Linen shirt", unit_price="39.00", inventory={"on_hand": 20}
    )
    items = [{"product": product["id"], "quantity": 2}]
    made = await example.call("POST /orders/create", items=items)
    return {
        "id": made["id"],
        "version": made["version"],
        "items": [{"product": product["id"], "quantity": 3}],
        "discounts": [{"type": "fixed", "value": "5.00"}],
        "notes": "Called on Monday.",
    }


@operation(
    Order,
    "PATCH /orders/{id}",
    scope="orders:write",
    params=UpdateOrder,
    needs=_needs,
    weight=_weight,
    example=example,
)
def update(tx: Tx, params: UpdateOrder) -> Order | Pending:
    """Change an order, and move it where a person does: confirm, hold, release, cancel.

    With `If-Match: <version>`, or `version` in the body, it is changed only if it still is as you
    have seen it.
    """
    order = tx.lock(Order, params.id)
    if params.version not in (None, order.version):
        message = f"This order is of version {order.version} by now, not {params.version}."
        raise ApiError("version_conflict", message, param="version")
    _refuse_late(order, params)
    fields = _changes(tx, order, params)
    if fields:
        order = orders.change(tx, order, **fields)
    if fields.get("total") == Money(0, order.currency) and order.status in UNPAID:
        order = orders.advance(tx, order, "pay", payment_status="paid")
    return _moved(tx, order, params)


def _refuse_late(order: Order, params: UpdateOrder) -> None:
    """Refuse what cannot be changed any more. Raises `state_invalid`, naming the parameter."""
    for name in OF_UNPAID:
        open_ = order.status in UNPAID and order.under_way is None and not order.amount_paid.minor
        if getattr(params, name) is not UNSET and not open_:
            paid = f"its payment '{order.payment_status}', with {order.amount_paid.text} paid"
            message = f"This order is '{order.status}', and {paid}: '{name}' can be changed while"
            rest = "it is 'pending' or 'confirmed' and nothing of it is paid or on the way."
            raise ApiError("state_invalid", f"{message} {rest}", param=name)
    if params.shipping_address is not UNSET and order.status not in UNSENT:
        message = f"This order is '{order.status}': its address can be changed before it is"
        raise ApiError("state_invalid", f"{message} 'shipped'.", param="shipping_address")


def _changes(tx: Tx, order: Order, params: UpdateOrder) -> dict[str, Any]:
    """What a request changes of an order, as the order keeps it."""
    fields: dict[str, Any] = {}
    if params.shipping_address is not UNSET:
        fields |= _only("shipping_address", addressed(params.shipping_address, None))
    if params.billing_address is not UNSET:
        fields |= _only("billing_address", addressed(None, params.billing_address))
    if params.notes is not UNSET:
        fields["notes"] = params.notes or None
    if params.metadata:
        fields["metadata"] = changed(order.metadata, params.metadata)
    named = [getattr(params, name) for name in ("items", "shipping", "discounts", "tax")]
    if any(each is not UNSET for each in named):
        fields |= _priced(tx, order, params)
    return {name: value for name, value in fields.items() if value != getattr(order, name)}


def _only(name: str, found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name]}


def _priced(tx: Tx, order: Order, params: UpdateOrder) -> dict[str, Any]:
    """What an order holds and comes to after a change, with its stock reserved anew."""
    currency = order.currency
    entries, discounts = basket.entries_of(order), [terms.terms_of(e) for e in order.discounts]
    tax, shipping = order.tax, order.shipping
    if params.items is not UNSET:
        entries = basket.entries(tx, params.items, currency)
    if params.discounts is not UNSET:
        discounts = [
            terms.discount_terms(each, currency, param=f"discounts[{number}]")
            for number, each in enumerate(params.discounts)
        ]
    if params.tax is not UNSET:
        tax = terms.tax_given(params.tax, currency)
    if params.shipping is not UNSET:
        shipping = terms.shipping_kept(params.shipping, currency)
    fields = basket.come_to(entries, currency, discounts=discounts, tax=tax, shipping=shipping)
    fields["amount_due"] = fields["total"]
    if params.items is not UNSET:
        fields["counted"] = _reserve_anew(tx, order, entries)
    return fields


def _reserve_anew(tx: Tx, order: Order, entries: list[Entry]) -> list[str]:
    """Reserve what is more than before, and let go what is less; gives the lines that are counted.

    Raises `out_of_stock`, which names the line that finds too little.
    """
    held: dict[str, int] = {}
    for line in orders.reserved(order):
        held[line.product] = held.get(line.product, 0) + line.quantity
    counted: list[str] = []
    wanted: list[stock.Line] = []
    for at, entry in enumerate(entries):
        if entry.product is None or not tx.get(Product, entry.product).inventory.tracked:
            continue
        counted.append(entry.id)
        taken = min(held.get(entry.product, 0), entry.quantity)
        if taken:
            held[entry.product] -= taken
        if taken < entry.quantity:
            more = entry.quantity - taken
            wanted.append(stock.Line(entry.product, more, f"items[{at}].quantity"))
    cause = Cause(order.id, str(order.version + 1))
    stock.release(tx, cause, [stock.Line(id_, rest) for id_, rest in held.items() if rest])
    stock.reserve(tx, cause, wanted)
    return counted


def _moved(tx: Tx, order: Order, params: UpdateOrder) -> Order | Pending:
    """Move an order to the state that a request names. Raises `state_invalid`."""
    status = params.status
    if status is UNSET or status == order.status:
        return order
    if status == "cancelled":
        return ending.cancelled(tx, order, reason=None)
    if status == "held":
        return holding.held(tx, order, reason=None)
    if order.status == "held" and status == order.held_from:
        return holding.released(tx, order)
    if status == "confirmed":
        return orders.advance(tx, order, "confirm")
    message = f"This order is '{order.status}'; a person does not make it '{status}'."
    raise ApiError("state_invalid", f"{message} Use its own operation.", param="status")
