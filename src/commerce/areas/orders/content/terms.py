"""Terms: what requests say of an order beside its items, read into what an order keeps."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec

from commerce.areas.customers.customer import CreateCustomer
from commerce.areas.orders.content.totals import Cut
from commerce.areas.orders.order import Discount, Order, OrderShipping
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.parameter import Percent, Price, percent, priced

AUTOMATIC = "automatic"
DISCOUNTS_MAX = 20

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Number = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Notes = Annotated[str, msgspec.Meta(max_length=5000)]
Reason = Annotated[str, msgspec.Meta(max_length=500)]


class CustomerGiven(CreateCustomer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer to make with the order."""


class DiscountGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to come off."""

    type: Literal["percent", "fixed"]
    """`percent` of what is left of the price, or a `fixed` amount, of which what is left of the
    price is taken at most."""
    value: Price
    """The percentage, up to 100, or the amount, in major units."""
    code: Word | None = None
    """The code it is given for, up to 64 characters."""


Discounts = Annotated[list[DiscountGiven], msgspec.Meta(max_length=DISCOUNTS_MAX)]


class ShippingGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an order is to be sent."""

    method: Word | None = None
    """Your word for how: `express`."""
    carrier: Word | None = None
    """Who carries it."""
    amount: Price | None = None
    """What that costs, in major units; nothing by default."""


class DiscountTerms(NamedTuple):
    """A discount, before anybody knows what it comes to."""

    type: Literal["percent", "fixed"]
    value: str
    code: str | None

    def cut(self, currency: str) -> Cut:
        """What it takes off."""
        if self.type == "percent":
            return Cut(Percent(self.value).millionths)
        return Cut(None, Money.bound(self.value, currency, param="value").minor)

    def came_to(self, off: int, currency: str) -> Discount:
        """The discount as an order keeps it."""
        amount = Money(off, currency).text
        return Discount(type=self.type, value=self.value, code=self.code, amount=amount)


def terms_of(discount: Discount) -> DiscountTerms:
    """The terms of a discount that was kept."""
    return DiscountTerms(discount.type, discount.value, discount.code)


def discount_terms(given: DiscountGiven, currency: str, *, param: str) -> DiscountTerms:
    """A discount that a request asks for. Raises `parameter_invalid`, and what `priced` raises."""
    where = f"{param}.value"
    if given.type == "fixed":
        return DiscountTerms("fixed", priced(given.value, currency, param=where).text, given.code)
    part = percent(given.value, param=where)
    if not part.millionths:
        raise ApiError("parameter_invalid", f"'{where}' must be above zero.", param=where)
    return DiscountTerms("percent", str(part), given.code)


def shipping_kept(given: ShippingGiven | None, currency: str) -> OrderShipping | None:
    """How a request asks for an order to be sent. Raises what `priced` raises."""
    if given is None:
        return None
    amount = Money(0, currency)
    if given.amount is not None:
        amount = Money.bound(given.amount, currency, param="shipping.amount")
    return OrderShipping(method=given.method, carrier=given.carrier, amount=amount.text)


def shipping_cost(kept: OrderShipping | None, currency: str) -> int:
    """What sending costs."""
    return 0 if kept is None else Money.bound(kept.amount, currency, param="shipping.amount").minor


def tax_given(given: Price | None, currency: str) -> Money | None:
    """The tax on the whole order, if a request names it. Raises `parameter_invalid`."""
    if given is None:
        return None
    if given == AUTOMATIC:
        message = (
            "There is no tax engine here yet: send the amount of the tax, or a 'tax_rate' with"
            " each item."
        )
        raise ApiError("parameter_invalid", message, param="tax")
    return Money.bound(given, currency, param="tax")


def refuse_two_taxes(tax: Money | None, *, rated: str | None) -> None:
    """Refuse a tax on the whole order beside rates of lines. Raises `parameter_invalid`.

    `rated` is the parameter that gives a line a rate, if one does.
    """
    if tax is not None and rated is not None:
        message = "Send 'tax' for the whole order, or rates of tax for its lines, not both."
        raise ApiError("parameter_invalid", message, param=rated)


def money(text: str, order: Order) -> int:
    """An amount that an order keeps as text, in the smallest unit."""
    return Money.bound(text, order.currency, param="items").minor
