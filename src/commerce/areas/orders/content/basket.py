"""The basket: items that requests name, found in the catalogue, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from commerce.areas.catalog import stock
from commerce.areas.catalog.product import Product
from commerce.areas.orders.content import terms
from commerce.areas.orders.content.terms import DiscountGiven, DiscountTerms
from commerce.areas.orders.content.totals import Line, LineTotal, Totals, add_up
from commerce.areas.orders.order import Item, Order, OrderShipping
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.money import MAJOR_MAX, Money
from commerce.resource.parameter import Metadata, Percent, Price, kept, priced
from commerce.resource.ref import Ref

ITEMS_MAX = 250
QUANTITY_MAX = 1_000_000

Quantity = Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MAX)]
ItemName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class ItemGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be bought: a product by its id or its SKU, or a name with a price."""

    product: Ref[Product] | None = None
    """The product."""
    sku: Sku | None = None
    """The product's SKU, instead of its id."""
    name: ItemName | None = None
    """What it is called, if it is no product."""
    quantity: Quantity = 1
    """How many pieces, 1 to 1,000,000."""
    unit_price: Price | None = None
    """What one piece costs, without tax: the product's price unless you say otherwise."""
    tax_rate: Percent | None = None
    """The tax on it in percent, as `8.25`."""
    discount: DiscountGiven | None = None
    """What comes off this line alone."""
    metadata: Metadata = {}
    """Pairs of your own."""


Items = Annotated[list[ItemGiven], msgspec.Meta(min_length=1, max_length=ITEMS_MAX)]


class Entry(NamedTuple):
    """An item whose price is known, before anybody knows what it comes to."""

    id: str
    product: Ref[Product] | None
    sku: str | None
    name: str
    quantity: int
    unit_price: Money
    tax_rate: str | None
    discount: DiscountTerms | None
    metadata: dict[str, str]

    def line(self) -> Line:
        """The same in numbers."""
        currency = self.unit_price.currency
        return Line(
            self.unit_price.minor * self.quantity,
            None if self.discount is None else self.discount.cut(currency),
            None if self.tax_rate is None else Percent(self.tax_rate).millionths,
        )

    def came_to(self, total: LineTotal) -> Item:
        """The item as an order keeps it."""
        currency = self.unit_price.currency

        def text(minor: int) -> str:
            return Money(minor, currency).text

        cut = self.discount
        return Item(
            id=self.id,
            product=self.product,
            sku=self.sku,
            name=self.name,
            quantity=self.quantity,
            unit_price=self.unit_price.text,
            tax_rate=self.tax_rate,
            discount=None if cut is None else cut.came_to(total.own_cut, currency),
            subtotal=text(total.price),
            discount_total=text(total.cut),
            tax_total=text(total.tax),
            total=text(total.total),
            metadata=self.metadata,
        )


def need(needs: Needs, caller: Caller, items: Sequence[ItemGiven]) -> None:
    """All that is read and reserved of items."""
    products = [item.product for item in items if item.product is not None]
    stock.need(needs, caller, stock.RESERVE, products)
    for item in items:
        if item.sku is not None:
            stock.need_sku(needs, caller, item.sku)


def entries(tx: Tx, items: Sequence[ItemGiven], currency: str) -> list[Entry]:
    """The items of a request, found in the catalogue.

    Raises `parameter_invalid`, `parameter_missing`, `resource_missing`, `state_invalid`,
    `currency_unsupported`, and what `priced` raises, naming the item.
    """
    return [
        _entry(tx, item, currency, param=f"items[{number}]") for number, item in enumerate(items)
    ]


def _entry(tx: Tx, item: ItemGiven, currency: str, *, param: str) -> Entry:
    product = _product(tx, item, param)
    price = _price(item, product, currency, param)
    discount = None
    if item.discount is not None:
        discount = terms.discount_terms(item.discount, currency, param=f"{param}.discount")
    return Entry(
        id=tx.new_id("li"),
        product=None if product is None else product.ref,
        sku=None if product is None else product.sku,
        name=item.name or "" if product is None else product.name,
        quantity=item.quantity,
        unit_price=price,
        tax_rate=None if item.tax_rate is None else str(item.tax_rate),
        discount=discount,
        metadata=kept(item.metadata),
    )


def _product(tx: Tx, item: ItemGiven, param: str) -> Product | None:
    named = [name for name in ("product", "sku", "name") if getattr(item, name) is not None]
    if len(named) > 1:
        message = f"Send one of 'product', 'sku' and 'name', not {' and '.join(named)}."
        raise ApiError("parameter_invalid", message, param=f"{param}.{named[1]}")
    if item.product is not None:
        return stock.by_id(tx, item.product, param=f"{param}.product")
    if item.sku is not None:
        return stock.by_sku(tx, item.sku, param=f"{param}.sku")
    if item.name is None:
        message = f"'{param}' needs a 'product', a 'sku', or a 'name' with its 'unit_price'."
        raise ApiError("parameter_missing", message, param=f"{param}.product")
    return None


def _price(item: ItemGiven, product: Product | None, currency: str, param: str) -> Money:
    if item.unit_price is not None:
        return priced(item.unit_price, currency, param=f"{param}.unit_price")
    if product is None:
        message = f"'{param}' is no product, so it needs its 'unit_price'."
        raise ApiError("parameter_missing", message, param=f"{param}.unit_price")
    if product.currency != currency:
        message = f"'{product.name}' has its price in {product.currency}; the order is in"
        raise ApiError("currency_unsupported", f"{message} {currency}.", param=f"{param}.product")
    return product.unit_price


def entries_of(order: Order) -> list[Entry]:
    """The items of an order, as they were asked for."""
    return [
        Entry(
            id=item.id,
            product=item.product,
            sku=item.sku,
            name=item.name,
            quantity=item.quantity,
            unit_price=Money.bound(item.unit_price, order.currency, param="items"),
            tax_rate=item.tax_rate,
            discount=None if item.discount is None else terms.terms_of(item.discount),
            metadata=item.metadata,
        )
        for item in order.items
    ]


def come_to(
    entries: Sequence[Entry],
    currency: str,
    *,
    discounts: Sequence[DiscountTerms],
    tax: Money | None,
    shipping: OrderShipping | None,
) -> dict[str, Any]:
    """What items come to, as fields of an order.

    Raises `parameter_invalid` for a tax on the whole beside rates, `amount_invalid` for more than
    10^12 major units.
    """
    rated = next((at for at, each in enumerate(entries) if each.tax_rate is not None), None)
    where = None if rated is None else f"items[{rated}].tax_rate"
    terms.refuse_two_taxes(tax, rated=where)
    most = MAJOR_MAX * UNIT[currency]
    lines = [entry.line() for entry in entries]
    for number, line in enumerate(lines):
        if line.price > most:
            raise _too_much(f"items[{number}].quantity")
    cost = terms.shipping_cost(shipping, currency)
    cuts = [each.cut(currency) for each in discounts]
    totals = add_up(lines, cuts, tax=None if tax is None else tax.minor, shipping=cost)
    if max(totals.total, totals.subtotal) > most:
        raise _too_much("items")
    return {
        "items": [entry.came_to(total) for entry, total in zip(entries, totals.lines, strict=True)],
        "discounts": [
            each.came_to(off, currency) for each, off in zip(discounts, totals.cuts, strict=True)
        ],
        "tax": tax,
        "shipping": shipping,
        **_sums(totals, currency),
    }


def _sums(totals: Totals, currency: str) -> dict[str, Money]:
    found = {
        "subtotal": totals.subtotal,
        "discount_total": totals.cut,
        "tax_total": totals.tax,
        "shipping_total": totals.shipping,
        "total": totals.total,
    }
    return {name: Money(minor, currency) for name, minor in found.items()}


def _too_much(param: str) -> ApiError:
    message = f"'{param}' comes to more than 10^12 major units."
    return ApiError("amount_invalid", message, param=param)
