"""What is offered: products made, changed and deleted."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from commerce.areas.catalog import product as products
from commerce.areas.catalog.product import (
    BY_SKU,
    Dimensions,
    Figures,
    Inventory,
    LengthUnit,
    Product,
    Weight,
    WeightUnit,
    with_figures,
)
from commerce.books import chart, stock
from commerce.books.stock import Stock
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.country import check_country
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.wording import MUST
from commerce.resource.example import Example
from commerce.resource.operation import Deleted, Params, operation
from commerce.resource.parameter import (
    Id,
    Measure,
    Metadata,
    Price,
    Rejected,
    changed,
    kept,
    priced,
)

QUANTITY_MAX = 10**9
"""Pieces that one request may add, take away or count."""
T = TypeVar("T")


def _shaped(pattern: str, must: str) -> msgspec.Meta:
    return msgspec.Meta(pattern=pattern, extra={MUST: must})


ProductName = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
TaxCategory = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
HsCode = Annotated[str, _shaped("^[0-9]{6,10}$", "6 to 10 digits")]
Country = Annotated[
    str,
    msgspec.Meta(min_length=2, max_length=2, extra={MUST: "a two-letter country code, as 'US'"}),
]
Count = Annotated[int, msgspec.Meta(ge=0, le=QUANTITY_MAX)]


class WeightGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one piece weighs."""

    value: Measure
    """How much, above zero, with at most 3 digits after the point."""
    unit: WeightUnit
    """`g`, `kg`, `oz` or `lb`."""


class DimensionsGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large one piece is."""

    length: Measure
    """The longest side, above zero, with at most 3 digits after the point."""
    width: Measure
    """The second side."""
    height: Measure
    """The third side."""
    unit: LengthUnit
    """`mm`, `cm`, `m`, `in` or `ft`, of all three."""


class InventoryGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many there are at first."""

    tracked: bool = True
    """Whether pieces are counted."""
    on_hand: Count = 0
    """Pieces on the shelf at first; booked as `received`."""
    low_stock_threshold: Count | None = None
    """At how many available pieces to send `inventory.low_stock`."""


class InventoryTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How pieces are to be counted from now on; what is left out stays."""

    tracked: bool | UnsetType = UNSET
    """Whether pieces are counted. Figures are kept while they are not."""
    low_stock_threshold: Count | UnsetType | None = UNSET
    """At how many available pieces to send `inventory.low_stock`; null for never."""


class CreateProduct(Params, frozen=True, kw_only=True):
    """A product to offer."""

    name: ProductName
    """What it is called."""
    sku: Sku | None = None
    """Your own code for it, up to 64 characters; no two of your products have the same."""
    unit_price: Price
    """What one piece costs, in major units."""
    currency: str = SSUSD
    """The currency of the price: `ssusd`, or a lower-case ISO 4217 code."""
    tax_category: TaxCategory | None = None
    """What kind of goods it is to the tax engine."""
    hs_code: HsCode | None = None
    """Its number in the Harmonized System: 6 to 10 digits."""
    country_of_origin: Country | None = None
    """The country it was made in, by its two letters in ISO 3166."""
    weight: WeightGiven | None = None
    """What one piece weighs."""
    dimensions: DimensionsGiven | None = None
    """How large one piece is."""
    inventory: InventoryGiven | None = None
    """How many there are at first; without it, pieces are not counted."""
    active: bool = True
    """Whether it can be ordered."""
    metadata: Metadata = {}
    """Pairs of your own."""

    def __post_init__(self) -> None:
        """Refuse a price that its currency has not, and pieces that are not counted."""
        try:
            priced(self.unit_price, self.currency, param="unit_price")
        except ApiError as error:
            raise Rejected(error) from None
        given = self.inventory
        if given is not None and given.on_hand and not given.tracked:
            message = "'inventory.on_hand' is of stock that is tracked."
            refusal = ApiError("parameter_invalid", message, param="inventory.on_hand")
            raise Rejected(refusal)


class UpdateProduct(Params, frozen=True, kw_only=True):
    """What is to change of a product; what is left out stays, and null removes."""

    id: Id
    """The product's id."""
    name: ProductName | UnsetType = UNSET
    """What it is called."""
    sku: Sku | UnsetType | None = UNSET
    """Your own code for it."""
    unit_price: Price | UnsetType = UNSET
    """What one piece costs, in major units."""
    currency: str | UnsetType = UNSET
    """The currency of the price; another one than before needs its `unit_price`."""
    tax_category: TaxCategory | UnsetType | None = UNSET
    """What kind of goods it is to the tax engine."""
    hs_code: HsCode | UnsetType | None = UNSET
    """Its number in the Harmonized System: 6 to 10 digits."""
    country_of_origin: Country | UnsetType | None = UNSET
    """The country it was made in, by its two letters in ISO 3166."""
    weight: WeightGiven | UnsetType | None = UNSET
    """What one piece weighs."""
    dimensions: DimensionsGiven | UnsetType | None = UNSET
    """How large one piece is."""
    inventory: InventoryTerms | UnsetType = UNSET
    """How pieces are counted. How many there are is adjusted by `POST /products/{id}/inventory`."""
    active: bool | UnsetType = UNSET
    """Whether it can be ordered."""
    metadata: Metadata = {}
    """Pairs to set; an empty string or null removes a pair."""


class OneProduct(Params, frozen=True, kw_only=True):
    """Which product."""

    id: Id
    """The product's id."""


async def example(example: Example) -> dict[str, object]:
    """A shirt, of which there are twenty."""
    return {
        "name": "Linen shirt",
        "sku": example.name(),
        "unit_price": "39.00",
        "currency": "usd",
        "hs_code": "620520",
        "country_of_origin": "PT",
        "weight": {"value": "0.28", "unit": "kg"},
        "dimensions": {"length": "32", "width": "24", "height": "3", "unit": "cm"},
        "inventory": {"on_hand": 20, "low_stock_threshold": 5},
    }


async def one_example(example: Example) -> dict[str, object]:
    """A product that was made for this."""
    made = await example.call("POST /products", name="Linen shirt", unit_price="39.00")
    return {"id": made["id"]}


async def update_example(example: Example) -> dict[str, object]:
    """Another price, and a threshold."""
    inventory = {"low_stock_threshold": 3}
    return {**await one_example(example), "unit_price": "35.00", "inventory": inventory}


def _need_sku(needs: Needs, caller: Caller, sku: str | UnsetType | None) -> None:
    if isinstance(sku, str):
        needs.row(BY_SKU, (caller.account, caller.livemode, sku))


def _require_free(tx: Tx, sku: str | None) -> None:
    """Refuse a code that another product has. Raises `duplicate_reference`."""
    found = None if sku is None else tx.find(Product, sku=sku)
    if found is not None:
        message = f"The SKU '{sku}' is that of {found.id} already."
        raise ApiError("duplicate_reference", message, param="sku")


def _need_create(needs: Needs, caller: Caller, params: CreateProduct) -> None:
    _need_sku(needs, caller, params.sku)


@operation(
    Product,
    "POST /products",
    scope="products:write",
    params=CreateProduct,
    needs=_need_create,
    example=example,
)
def create(tx: Tx, params: CreateProduct) -> Product:
    """Offer a product."""
    _require_free(tx, params.sku)
    given = params.inventory or InventoryGiven(tracked=False)
    id_ = tx.new_id("prod")
    if given.tracked:
        products.open_shelf(tx, id_, new=True)
    if given.on_hand:
        _receive_first(tx, products.stock_of(tx, id_), given.on_hand)
    inventory = Inventory(tracked=given.tracked, low_stock_threshold=given.low_stock_threshold)
    return tx.add(
        Product(
            id=id_,
            livemode=tx.caller.livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            name=params.name,
            sku=params.sku,
            unit_price=priced(params.unit_price, params.currency, param="unit_price"),
            currency=params.currency,
            tax_category=params.tax_category,
            hs_code=params.hs_code,
            country_of_origin=_origin(params.country_of_origin),
            weight=_weight(params.weight),
            dimensions=_dimensions(params.dimensions),
            inventory=with_figures(inventory, Figures(given.on_hand, 0)),
            active=params.active,
            adjustments=1 if given.on_hand else 0,
        )
    )


def _receive_first(tx: Tx, of: Stock, quantity: int) -> None:
    """Book what a new product begins with: its source is as new as it is."""
    tx.found(chart.stock_source(*of))
    tx.post(stock.received(of, quantity, number=1, memo="received"))


def _origin(given: str | None) -> str | None:
    """A country, if one is named. Raises `parameter_invalid`."""
    return None if given is None else check_country(given, param="country_of_origin")


def _weight(given: WeightGiven | None) -> Weight | None:
    return None if given is None else Weight(value=str(given.value), unit=given.unit)


def _dimensions(given: DimensionsGiven | None) -> Dimensions | None:
    if given is None:
        return None
    sides = {name: str(getattr(given, name)) for name in ("length", "width", "height")}
    return Dimensions(**sides, unit=given.unit)


def _need_update(needs: Needs, caller: Caller, params: UpdateProduct) -> None:
    products.need(needs, caller, params.id)
    _need_sku(needs, caller, params.sku)


@operation(
    Product,
    "PATCH /products/{id}",
    scope="products:write",
    params=UpdateProduct,
    needs=_need_update,
    example=update_example,
)
def update(tx: Tx, params: UpdateProduct) -> Product:
    """Change a product. Orders that there are already keep the price they were made at."""
    product = products.lock(tx, params.id)
    fields = _changes(product, params)
    if "sku" in fields:
        _require_free(tx, fields["sku"])
    if "inventory" in fields and fields["inventory"].tracked:
        products.open_shelf(tx, product.id, new=False)
    return products.change(tx, product, event="product.updated", **fields) if fields else product


def _changes(product: Product, params: UpdateProduct) -> dict[str, Any]:
    """What a request changes of a product, as the product keeps it."""
    inventory = product.inventory
    if params.inventory is not UNSET:
        terms = msgspec.structs.asdict(params.inventory)
        named = {name: value for name, value in terms.items() if value is not UNSET}
        inventory = msgspec.structs.replace(inventory, **named)
    asked: dict[str, Any] = {
        **_price(product, params),
        "name": params.name,
        "sku": params.sku,
        "tax_category": params.tax_category,
        "hs_code": params.hs_code,
        "country_of_origin": _or_unset(params.country_of_origin, _origin),
        "weight": _or_unset(params.weight, _weight),
        "dimensions": _or_unset(params.dimensions, _dimensions),
        "inventory": inventory,
        "active": params.active,
        "metadata": changed(product.metadata, params.metadata),
    }
    return {
        name: value
        for name, value in asked.items()
        if value is not UNSET and value != getattr(product, name)
    }


def _or_unset(given: Any, kept_as: Any) -> Any:
    return UNSET if given is UNSET else kept_as(given)


def _price(product: Product, params: UpdateProduct) -> dict[str, Any]:
    """The price a request gives. Raises `parameter_missing` for another currency without one."""
    currency = product.currency if params.currency is UNSET else params.currency
    if params.unit_price is not UNSET:
        price = priced(params.unit_price, currency, param="unit_price")
        return {"unit_price": price, "currency": currency}
    if currency != product.currency:
        message = "Another 'currency' needs its 'unit_price'."
        raise ApiError("parameter_missing", message, param="unit_price")
    return {}


def _need_delete(needs: Needs, caller: Caller, params: OneProduct) -> None:
    products.need(needs, caller, params.id)
    needs.balance(chart.stock_source(caller.account, caller.livemode, params.id))


@operation(
    Deleted,
    "DELETE /products/{id}",
    scope="products:write",
    params=OneProduct,
    needs=_need_delete,
    example=one_example,
)
def delete(tx: Tx, params: OneProduct) -> Product:
    """Delete a product for good: its SKU is free again, and pieces still on the shelf written off.

    Refused while pieces are reserved: orders are waiting for them. Set `active` to false to stop
    selling what is left.
    """
    product = products.lock(tx, params.id)
    available, reserved = products.figures(tx, product.id)
    if reserved:
        message = (
            f"{reserved} pieces are reserved by orders: cancel or fulfil these first. A product"
            " that is 'active' enters 'deleted' with none reserved."
        )
        raise ApiError("state_invalid", message, param="id")
    number = product.adjustments
    if available:
        number += 1
        of = products.stock_of(tx, product.id)
        tx.post(stock.adjusted(of, -available, number=number, memo="deleted"))
    gone = {"deleted": True, "active": False, "sku": None, "adjustments": number}
    return products.change(tx, product, event="product.deleted", **gone)
