"""Products: what is sold, and how many of each there are, which the ledger alone knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec

from commerce.books import chart
from commerce.books.stock import Stock
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx, kind_of, missing
from commerce.kernel.money import Money
from commerce.ledger.account import BALANCE
from commerce.resource.noun import COMPUTED, HIDDEN, Noun, Part, noun
from commerce.resource.reading import Reading
from commerce.store.table import Key, Row

WeightUnit = Literal["g", "kg", "oz", "lb"]
LengthUnit = Literal["mm", "cm", "m", "in", "ft"]
_CODE_AT, _BALANCE_AT = BALANCE.names.index("code"), BALANCE.names.index("balance")


class Weight(Part, frozen=True, kw_only=True):
    """What one piece weighs."""

    value: str
    """How much: a decimal string."""
    unit: WeightUnit
    """`g`, `kg`, `oz` or `lb`."""


class Dimensions(Part, frozen=True, kw_only=True):
    """How large one piece is."""

    length: str
    """The longest side: a decimal string."""
    width: str
    """The second side."""
    height: str
    """The third side."""
    unit: LengthUnit
    """`mm`, `cm`, `m`, `in` or `ft`, of all three."""


class Inventory(Part, frozen=True, kw_only=True):
    """How many pieces there are. The ledger counts them; these figures are read from it."""

    tracked: bool
    """Whether pieces are counted. What is not tracked is never out of stock."""
    on_hand: Annotated[int | None, COMPUTED] = None
    """Pieces on the shelf: `reserved` and `available` together. Null where none are counted."""
    reserved: Annotated[int | None, COMPUTED] = None
    """Pieces on the shelf that orders were promised."""
    available: Annotated[int | None, COMPUTED] = None
    """Pieces on the shelf that can be ordered."""
    low_stock_threshold: int | None = None
    """When `available` falls to this or below it, `inventory.low_stock` is sent; null for never."""

    @property
    def level(self) -> int:
        """How good supply is: 2 is enough, 1 is low, 0 is out."""
        if self.available is None:
            return 2
        if self.available == 0:
            return 0
        return 1 if self.available <= (self.low_stock_threshold or 0) else 2


@noun(
    prefix="prod",
    rank=210,
    path="products",
    scope="products:read",
    filters=("active", "sku", "currency", "tax_category", "hs_code", "country_of_origin"),
    unique=("sku",),
)
class Product(Noun, tag="product", frozen=True, kw_only=True):
    """Something you sell.

    Once deleted, it answers `{"id", "object", "deleted": true}` for good, leaves the list, and can
    be neither changed nor ordered.
    """

    emits: ClassVar = (
        *("product.created", "product.updated", "product.deleted"),
        *("inventory.low_stock", "inventory.out_of_stock"),
    )

    name: str
    """What it is called."""
    sku: str | None = None
    """Your own code for it; no two of your products have the same."""
    unit_price: Money
    """What one piece costs, without tax, unless an order says otherwise."""
    currency: str
    """The currency of the price."""
    tax_category: str | None = None
    """What kind of goods it is to the tax engine."""
    hs_code: str | None = None
    """Its number in the Harmonized System, 6 to 10 digits, for customs."""
    country_of_origin: str | None = None
    """The country it was made in, by its two letters in ISO 3166."""
    weight: Weight | None = None
    """What one piece weighs."""
    dimensions: Dimensions | None = None
    """How large one piece is."""
    inventory: Inventory
    """How many there are. In an event, as it was right after."""
    active: bool = True
    """Whether it can be ordered."""
    deleted: Annotated[bool, HIDDEN] = False
    """Whether it was deleted."""
    adjustments: Annotated[int, HIDDEN] = 0
    """How often its stock was adjusted: each time is one ledger transaction."""

    @staticmethod
    async def complete(reading: Reading, found: list[Product]) -> list[Product]:
        """The same with their figures: one query for all of them."""
        keys = _keys(reading.caller.account, found)
        return _filled(found, await reading.find(BALANCE.key, keys) if keys else [])

    @staticmethod
    def complete_in(tx: Tx, found: list[Product]) -> list[Product]:
        """The same with their figures as a verb leaves them, unlocked."""
        return _filled(found, tx.rows(BALANCE.key, _keys(tx.caller.account, found)))


TABLE = Product.__noun__.table
BY_SKU = TABLE.index("sku")


class Figures(NamedTuple):
    """How many pieces of a product are on the shelf."""

    available: int
    reserved: int


def _keys(owner: str, found: Iterable[Product]) -> list[Key]:
    """The balances that the figures of these products are."""
    return [
        account[:4]
        for each in found
        if each.inventory.tracked
        for of in (chart.stock_available, chart.stock_reserved)
        for account in (of(owner, each.livemode, each.id),)
    ]


def _filled(found: list[Product], rows: Sequence[Row]) -> list[Product]:
    held: dict[str, int] = {row[_CODE_AT]: row[_BALANCE_AT] for row in rows}
    return [
        shown(
            each,
            Figures(*(held.get(f"stock:{each.id}:{name}", 0) for name in Figures._fields)),
        )
        for each in found
    ]


def shown(product: Product, figures: Figures) -> Product:
    """A product with these figures."""
    inventory = with_figures(product.inventory, figures)
    return msgspec.structs.replace(product, inventory=inventory)


def with_figures(inventory: Inventory, figures: Figures) -> Inventory:
    """Inventory with these figures, or with none where none are counted."""
    available, reserved = figures
    of = {"available": available, "reserved": reserved, "on_hand": available + reserved}
    counted = of if inventory.tracked else dict.fromkeys(of)
    return msgspec.structs.replace(inventory, **counted)


def stock_of(tx: Tx, product: str) -> Stock:
    """The caller's stock of a product, in the words of the books."""
    return Stock(tx.caller.account, tx.caller.livemode, product)


def need(needs: Needs, caller: Caller, product: str) -> None:
    """A product to be changed, with all that its figures are."""
    needs.row(TABLE.key, (caller.account, caller.livemode, product), lock=True)
    need_figures(needs, caller, product)


def need_figures(needs: Needs, caller: Caller, product: str) -> None:
    """The balances that `figures` reads."""
    of = (caller.account, caller.livemode, product)
    needs.balance(chart.stock_available(*of))
    needs.balance(chart.stock_reserved(*of))


def figures(tx: Tx, product: str) -> Figures:
    """How many there are now, after all that this verb has booked, locked."""
    stock = stock_of(tx, product)
    return Figures(
        tx.balance(chart.stock_available(*stock)), tx.balance(chart.stock_reserved(*stock))
    )


def living(product: Product, *, param: str = "id") -> Product:
    """A product that was not deleted. Raises `resource_missing`."""
    if product.deleted:
        raise missing(kind_of(Product), product.id, param=param)
    return product


def open_shelf(tx: Tx, product: str, *, new: bool) -> None:
    """Make the balances of a product whose pieces are counted from now on.

    They are there from the first, at zero, since a row that is not there cannot be locked: who
    found none could take nothing as reserved while somebody else reserves.
    """
    stock = stock_of(tx, product)
    for account in (chart.stock_available(*stock), chart.stock_reserved(*stock)):
        if new or tx.read(BALANCE.key, account[:4]) is None:
            tx.found(account)


def lock(tx: Tx, id_: str) -> Product:
    """A product to be changed or sold, with its figures. Raises `resource_missing`."""
    product = living(tx.lock(Product, id_))
    return shown(product, figures(tx, product.id))


def change(tx: Tx, before: Product, *, event: str, **fields: Any) -> Product:
    """Change a product, whole as it was before this verb, and tell of it and of a lack of stock.

    What the events show are the figures after all that was booked until now.
    """
    inventory = fields.pop("inventory", before.inventory)
    now = with_figures(inventory, figures(tx, before.id))
    was = {"inventory": before.inventory}
    return tell(tx, before, tx.change(before, event=event, was=was, inventory=now, **fields))


def tell(tx: Tx, before: Product, after: Product) -> Product:
    """Tell of a lack of stock where there is a worse one than before; gives the product after."""
    level = after.inventory.level
    if after.deleted or level >= before.inventory.level:
        return after
    event = "inventory.low_stock" if level else "inventory.out_of_stock"
    was = {"inventory": before.inventory}
    return tx.change(after, event=event, was=was, inventory=after.inventory)
