"""Orders as objects: what was bought, what it comes to, and how far it has come."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from commerce.areas.catalog.product import Product
from commerce.areas.catalog.stock import Line
from commerce.areas.customers.address import Address
from commerce.areas.customers.customer import Customer
from commerce.areas.orders.transition import EVENTS, LIFECYCLE, TRANSITIONS, Actor, of_caller
from commerce.areas.payments.payment import Payment
from commerce.areas.payments.refund import Refund
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.resource.noun import COMPUTED, HIDDEN, Noun, Time, noun
from commerce.resource.reading import Reading
from commerce.resource.ref import Ref, refers

SHOWN_MAX = 100
"""How many payments, and how many refunds, an order names: the latest."""

State = Literal[
    "pending",
    "confirmed",
    "paid",
    "partially_fulfilled",
    "fulfilled",
    "shipped",
    "delivered",
    "completed",
    "held",
    "cancelled",
    "returned",
    "refunded",
    "disputed",
]
PaymentStatus = Literal[
    "unpaid", "processing", "authorized", "escrowed", "paid", "partially_refunded", "refunded"
]


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """What comes off a price."""

    type: Literal["percent", "fixed"]
    """`percent` of what is left of the price, or a `fixed` amount."""
    value: str
    """The percentage, or the amount: a decimal string."""
    code: str | None = None
    """The code it was given for."""
    amount: str
    """What came off: a decimal string in the order's currency, at most what there was."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order; amounts are decimal strings in its currency."""

    id: str
    """The line's id, `li_…`."""
    product: Ref[Product] | None = None
    """The product; null for what is in no catalogue."""
    sku: str | None = None
    """The product's own code, as it was then."""
    name: str
    """What was bought, as it was called then."""
    quantity: int
    """How many pieces."""
    unit_price: str
    """What one piece costs, without tax."""
    tax_rate: str | None = None
    """The tax on it in percent: a decimal string; null where it has no rate of its own."""
    discount: Discount | None = None
    """What comes off this line alone."""
    subtotal: str
    """The price of all pieces."""
    discount_total: str
    """What comes off, this line's part of the order's discounts included."""
    tax_total: str
    """The tax on the rest."""
    total: str
    """What the line comes to; all lines and the shipping sum to the order's total."""
    quantity_fulfilled: int = 0
    """How many pieces have left."""
    quantity_returned: int = 0
    """How many of those have come back."""
    metadata: dict[str, str] = {}
    """Pairs of your own."""

    @property
    def left(self) -> int:
        """How many pieces are still to be fulfilled."""
        return self.quantity - self.quantity_fulfilled

    @property
    def returnable(self) -> int:
        """How many pieces may come back."""
        return self.quantity_fulfilled - self.quantity_returned


class OrderShipping(msgspec.Struct, frozen=True, kw_only=True):
    """How an order is sent."""

    method: str | None = None
    """Your word for how: `express`."""
    carrier: str | None = None
    """Who carries it."""
    amount: str
    """What that costs: a decimal string in the order's currency."""


class Pieces(msgspec.Struct, frozen=True, kw_only=True):
    """Some pieces of one line."""

    id: str
    """The line's id."""
    quantity: int
    """How many pieces."""


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """Pieces that came back."""

    created: Time
    """When, Unix seconds."""
    items: list[Pieces]
    """Which, and how many."""
    reason: str | None = None
    """Why."""
    restocked: bool
    """Whether they are on the shelf again."""
    amount_refunded: str
    """What was given back for them: a decimal string."""


@noun(
    prefix="ord",
    rank=500,
    path="orders",
    scope="orders:read",
    filters=("status", "payment_status", "customer", "number", "total", "currency"),
    unique=("number",),
    table_name="sales_order",
)
class Order(Noun, tag="order", frozen=True, kw_only=True):
    """What a customer buys, until it is paid, sent and theirs.

    Its totals are computed here: each discount and each rate of tax is rounded once, half to even,
    and parted among the lines, which sum to the total exactly. Pieces of products that are counted
    are reserved for it until they leave, or it is cancelled.
    """

    listed_at: ClassVar = "orders/list"
    tells: ClassVar = EVENTS
    lifecycle: ClassVar[Lifecycle] = LIFECYCLE

    number: str
    """Your number for it, or one that was made; no two of your orders have the same."""
    status: State
    """How far it has come."""
    payment_status: PaymentStatus = "unpaid"
    """How far its money has come: `processing` while a processor is asked, `authorized` where a
    card's money is set aside, `escrowed` where ssUSD is held until delivery."""
    version: int = 1
    """How often it was changed, and once more: send it as `If-Match`, or as `version`."""
    allowed_transitions: Annotated[list[str], COMPUTED] = []
    """What you may do with it now."""
    held_from: State | None = None
    """The state that it goes back to when it is released; null where it is not held."""
    customer: Ref[Customer] | None = None
    """Who buys."""
    currency: str
    """The currency of all amounts."""
    items: list[Item]
    """What is bought."""
    shipping_address: Address | None = None
    """Where it goes to."""
    billing_address: Address | None = None
    """Where the bill goes to."""
    shipping: OrderShipping | None = None
    """How it is sent."""
    discounts: list[Discount] = []
    """What comes off the whole order, one after the other."""
    tax: Money | None = None
    """The tax on the whole order, where you gave it; null where it follows from the lines."""
    subtotal: Money
    """The price of all lines."""
    discount_total: Money
    """What comes off that."""
    tax_total: Money
    """The tax on the rest."""
    shipping_total: Money
    """What sending it costs."""
    total: Money
    """What it comes to."""
    amount_paid: Money
    """How much was paid, or is in escrow for it."""
    amount_due: Money
    """How much is still to be paid."""
    amount_refunded: Money
    """How much of what was paid was given back, or is to be; to a card, once its processor has
    agreed."""
    escrow: bool = False
    """Whether a payment in ssUSD is held until the order is completed."""
    payments: list[Ref[Payment]] = []
    """The latest payments, up to a hundred, newest last."""
    refunds: list[Ref[Refund]] = []
    """The latest refunds of them, up to a hundred, newest last."""
    fulfillments: Annotated[list[str], refers("fulfillment")] = []
    """What was sent, newest last."""
    returns: list[Return] = []
    """What came back, newest last."""
    source: str | None = None
    """Where it came from, in your words."""
    notes: str | None = None
    """Your notes."""
    hold_reason: str | None = None
    """Why it is held."""
    cancel_reason: str | None = None
    """Why it was cancelled; `expired` where nobody paid it in time."""
    dispute_reason: str | None = None
    """Why it was disputed."""
    expires_at: Time
    """When it is cancelled if it is not paid by then."""
    confirmed_at: Time | None = None
    """When it was confirmed."""
    paid_at: Time | None = None
    """When it was paid."""
    fulfilled_at: Time | None = None
    """When the last piece left."""
    shipped_at: Time | None = None
    """When it was shipped."""
    delivered_at: Time | None = None
    """When it was delivered."""
    dispute_until: Time | None = None
    """Until when it can be disputed; null before its delivery."""
    completed_at: Time | None = None
    """When it was completed."""
    cancelled_at: Time | None = None
    """When it was cancelled."""
    client_secret: Annotated[str | None, COMPUTED] = None
    """With it a payer confirms the payment that was asked for: in the answer that made that, and
    null ever after."""
    counted: Annotated[list[str], HIDDEN] = []
    """The lines whose pieces are counted, by their ids."""
    given_back: Annotated[dict[str, int], HIDDEN] = {}
    """How much of each payment was given back, in the smallest unit, by the payment's id."""
    under_way: Annotated[str | None, HIDDEN] = None
    """The payment whose money is asked for or set aside, and not yet taken."""

    @staticmethod
    async def complete(reading: Reading, found: list[Order]) -> list[Order]:
        """The same with what may be done with them now."""
        return [shown(each, reading.now) for each in found]

    @staticmethod
    def complete_in(tx: Tx, found: list[Order]) -> list[Order]:
        """The same within a verb."""
        return [shown(each, tx.now) for each in found]


TABLE = Order.__noun__.table
BY_NUMBER = TABLE.index("number")
_NUMBER_LENGTH = 12
"""Of a number that is made: the last characters of the id, which are random."""
_STAMPS: Final[dict[str, str]] = {
    state: f"{state}_at"
    for state in (
        *("confirmed", "paid", "fulfilled", "shipped", "delivered", "completed", "cancelled"),
    )
}
"""The field that says when a state was entered."""


def made_number(id_: str) -> str:
    """A number for an order that was given none, `7KQZ-M3XT-0VWA`: 60 random bits of its id."""
    tail = id_[-_NUMBER_LENGTH:].upper()
    return "-".join((tail[:4], tail[4:8], tail[8:]))


def need(needs: Needs, caller: Caller, id_: str) -> None:
    """An order to be changed."""
    needs.row(TABLE.key, (caller.account, caller.livemode, id_), lock=True)


def allowed(order: Order, now: int) -> list[str]:
    """What its owner may do with an order now."""
    verbs = of_caller(order.status)
    if not _may_dispute(order, now):
        verbs = [verb for verb in verbs if verb != "dispute"]
    if order.status == "held" and has_left(order):
        verbs.remove("cancel")
    return verbs


def _may_dispute(order: Order, now: int) -> bool:
    return order.dispute_until is None or now <= order.dispute_until


def has_left(order: Order) -> bool:
    """Whether any piece of it has left."""
    return any(item.quantity_fulfilled for item in order.items)


def shown(order: Order, now: int) -> Order:
    """An order with what may be done with it now."""
    return msgspec.structs.replace(order, allowed_transitions=allowed(order, now))


def add(tx: Tx, order: Order, *, account: str | None = None) -> Order:
    """Keep a new order."""
    return tx.add(shown(order, tx.now), account=account)


def change(
    tx: Tx, order: Order, *, event: str | None = None, account: str | None = None, **fields: Any
) -> Order:
    """Change an order, as every change of one is made: its version goes up with it."""
    after: Any = msgspec.structs.replace(order, **fields)
    return tx.change(
        order,
        account=account,
        event=event or "order.updated",
        was={"allowed_transitions": allowed(order, tx.now)},
        version=order.version + 1,
        allowed_transitions=allowed(after, tx.now),
        **fields,
    )


def advance(  # noqa: PLR0913 - a move, always called by keyword
    tx: Tx,
    order: Order,
    verb: str,
    *,
    to: str | None = None,
    by: Actor = "caller",
    account: str | None = None,
    **fields: Any,
) -> Order:
    """Move an order by its table and tell of it. Raises `state_invalid`.

    `to` is the state that is entered where the table names several.
    """
    tx.require(order, verb)
    line = TRANSITIONS[order.status, verb]
    assert by in line.by, f"a {by} does not {verb}"
    status = LIFECYCLE.move(order.status, verb, to)
    event = line.event(order.status, status)
    stamp = _STAMPS.get(status)
    if verb != "release" and stamp is not None and status != order.status:
        fields = {stamp: tx.now, **fields}
    return change(tx, order, event=event, account=account, status=status, **fields)


def pieces_of(order: Order, pieces: dict[str, int]) -> list[Line]:
    """Pieces of an order's lines as stock knows them: those that are counted."""
    return [
        Line(item.product, pieces[item.id], f"items[{at}].quantity")
        for at, item in enumerate(order.items)
        if item.product is not None and item.id in order.counted and pieces.get(item.id)
    ]


def reserved(order: Order) -> list[Line]:
    """What is still reserved for an order."""
    return pieces_of(order, {item.id: item.left for item in order.items})
