"""The order that every test account begins with: of a customer's, paid by card."""

from __future__ import annotations

from commerce.areas.customers import customer as customers
from commerce.areas.identity.account import Account
from commerce.areas.orders import expiry
from commerce.areas.orders import order as orders
from commerce.areas.orders.content import basket
from commerce.areas.orders.content.basket import Entry
from commerce.areas.orders.order import Order
from commerce.areas.payments.card import sample
from commerce.areas.payments.payment import Payment
from commerce.engine.tx import Tx
from commerce.kernel.money import Money
from commerce.resource.example import fixture
from commerce.resource.ref import Ref

FIXTURE = sample.ORDER
"""The order, by the name that examples on the web and in tests know it by."""


@fixture
def plant(tx: Tx, account: Account) -> None:
    """A customer's order, which the payment pays that is there already."""
    price = sample.AMOUNT
    item = Entry("li_test_1", None, None, "Linen shirt", 1, price, None, None, {})
    nothing = Money(0, price.currency)
    order = Order(
        id=FIXTURE,
        livemode=False,
        created=tx.now,
        number="ORD-TEST-789",
        status="pending",
        customer=Ref[customers.Customer](customers.FIXTURE),
        currency=price.currency,
        amount_paid=nothing,
        amount_due=price,
        amount_refunded=nothing,
        expires_at=expiry.expires_at(tx),
        **basket.come_to([item], price.currency, discounts=[], tax=None, shipping=None),
    )
    made = orders.add(tx, order, account=account.id)
    orders.advance(
        tx,
        made,
        "pay",
        by="payment",
        account=account.id,
        payment_status="paid",
        payments=[Ref[Payment](sample.FIXTURE)],
        amount_paid=price,
        amount_due=nothing,
    )
