"""Adjustments: pieces received, counted or lost, each a ledger transaction with its reason."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from commerce.areas.catalog import product as products
from commerce.areas.catalog.offer import QUANTITY_MAX, Count
from commerce.areas.catalog.product import Product
from commerce.books import chart, stock
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id, Memo, Rejected

Reason = Literal[
    "received", "counted", "corrected", "returned", "damaged", "lost", "given_away", "other"
]
Change = Annotated[int, msgspec.Meta(ge=-QUANTITY_MAX, le=QUANTITY_MAX)]


class AdjustInventory(Params, frozen=True, kw_only=True):
    """A change of what is on the shelf: `adjustment`, or `on_hand`."""

    id: Id
    """The product's id."""
    adjustment: Change | UnsetType = UNSET
    """How many pieces more, or below zero how many fewer, there are to be ordered."""
    on_hand: Count | UnsetType = UNSET
    """How many pieces there are on the shelf, counted; those that are reserved included."""
    reason: Reason
    """Why, as the ledger transaction says in its `memo`."""
    note: Memo | None = None
    """Your words to it, up to 256 characters, which follow the reason in the `memo`."""

    def __post_init__(self) -> None:
        """Refuse both of them, none of them, and nothing."""
        if (self.adjustment is UNSET) == (self.on_hand is UNSET):
            message = "Send 'adjustment' or 'on_hand', one of them."
            code = "parameter_missing" if self.adjustment is UNSET else "parameter_invalid"
            raise Rejected(ApiError(code, message, param="adjustment"))
        if self.adjustment == 0:
            message = "'adjustment' must not be zero."
            raise Rejected(ApiError("parameter_invalid", message, param="adjustment"))


async def example(example: Example) -> dict[str, object]:
    """A delivery of forty."""
    made = await example.call(
        "POST /products", name="Linen shirt", unit_price="39.00", inventory={"on_hand": 2}
    )
    return {"id": made["id"], "adjustment": 40, "reason": "received", "note": "Delivery 118"}


def _need(needs: Needs, caller: Caller, params: AdjustInventory) -> None:
    products.need(needs, caller, params.id)
    needs.balance(chart.stock_source(caller.account, caller.livemode, params.id))


@operation(
    Product,
    "POST /products/{id}/inventory",
    scope="products:write",
    params=AdjustInventory,
    needs=_need,
    example=example,
)
def adjust(tx: Tx, params: AdjustInventory) -> Product:
    """Say that there are more pieces of a product, or fewer, and why.

    Each adjustment is a ledger transaction: `GET /stablecoin/transactions?type=stock` lists them,
    by `source` those of one product. What is reserved by orders cannot be taken away.
    """
    product = products.lock(tx, params.id)
    if not product.inventory.tracked:
        message = "The stock of this product is 'untracked': set 'inventory.tracked' first."
        raise ApiError("state_invalid", message, param="id")
    available, reserved = products.figures(tx, product.id)
    if params.on_hand is not UNSET:
        change, param = params.on_hand - available - reserved, "on_hand"
    else:
        assert params.adjustment is not UNSET
        change, param = params.adjustment, "adjustment"
    if available + change < 0:
        message = f"Only {available} pieces can be taken away; {reserved} more are reserved."
        raise ApiError("out_of_stock", message, param=param)
    if not change:
        return product
    number = product.adjustments + 1
    memo = params.reason if params.note is None else f"{params.reason}: {params.note}"
    book = stock.received if params.reason == "received" and change > 0 else stock.adjusted
    tx.post(book(products.stock_of(tx, product.id), change, number=number, memo=memo))
    return products.change(tx, product, event="product.updated", adjustments=number)
