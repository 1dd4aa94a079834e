"""Fulfillments as objects: pieces of an order that left together."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from commerce.areas.orders.order import Order, Pieces
from commerce.kernel.lifecycle import Lifecycle
from commerce.resource.noun import HIDDEN, Noun, Time, noun
from commerce.resource.ref import Ref


@noun(
    prefix="ful",
    rank=510,
    path="fulfillments",
    scope="orders:read",
    filters=("order", "status", "carrier", "tracking_number"),
)
class Fulfillment(Noun, tag="fulfillment", frozen=True, kw_only=True):
    """Pieces of an order that left together."""

    lifecycle: ClassVar = Lifecycle("fulfillment", "fulfilled  ship  shipped")

    order_id: Ref[Order] = msgspec.field(name="order")
    """The order."""
    status: Literal["fulfilled", "shipped"]
    """Whether they are with a carrier, or only packed. The order says when they were delivered."""
    items: list[Pieces]
    """Which, and how many."""
    carrier: str | None = None
    """Who carries them."""
    tracking_number: str | None = None
    """The carrier's number for them."""
    tracking_url: str | None = None
    """Where the carrier tells of them."""
    notify_customer: bool = False
    """Whether you asked that the customer be told: whoever receives the events tells them."""
    shipped_at: Time | None = None
    """When they were given to the carrier."""
    counted: Annotated[list[str], HIDDEN] = []
    """The products whose stock they were taken from."""
