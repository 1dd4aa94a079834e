"""How stock is booked: every piece that comes, is promised, leaves, and comes back.

| what happens | debit → credit |
|---|---|
| received, or found by a count | `stock:source` → `stock:P:available` |
| written off | `stock:P:available` → `stock:source` |
| reserved | `stock:P:available` → `stock:P:reserved` |
| released | `stock:P:reserved` → `stock:P:available` |
| shipped | `stock:P:reserved` → `stock:P:shipped` |
| returned to the shelf | `stock:P:shipped` → `stock:P:available` |
| returned and not fit to be sold again | `stock:P:shipped` → `stock:source` |
"""

from __future__ import annotations

from typing import NamedTuple

from commerce.books import chart
from commerce.ledger.account import LedgerAccount
from commerce.ledger.entry import Booking, Posting


class Stock(NamedTuple):
    """Whose product, in which mode."""

    owner: str
    livemode: bool
    product: str


class Cause(NamedTuple):
    """The object that moves stock.

    `step` tells apart what one object does several times to one product: an order that reserves
    anew after it was changed, for instance. Each step is booked at most once.
    """

    id: str
    step: str | None = None


def received(stock: Stock, quantity: int, *, number: int, memo: str) -> Booking:
    """Pieces have come in. `number` says which change of the product's stock this is: 1, 2, 3."""
    return adjusted(stock, quantity, number=number, memo=memo)


def adjusted(stock: Stock, change: int, *, number: int, memo: str) -> Booking:
    """What is on the shelf turns out to be more (`change` above zero), or less."""
    source, available = chart.stock_source(*stock), chart.stock_available(*stock)
    debit, credit = (source, available) if change > 0 else (available, source)
    cause = Cause(stock.product)
    return _booking(f"adjusted:{number}", cause, debit, credit, abs(change), memo)


def reserved(stock: Stock, quantity: int, cause: Cause) -> Booking:
    """Promise pieces to an order: they stay on the shelf, and nobody else can have them."""
    available, held = chart.stock_available(*stock), chart.stock_reserved(*stock)
    return _booking(_name("reserved", stock, cause), cause, available, held, quantity)


def released(stock: Stock, quantity: int, cause: Cause) -> Booking:
    """Take a promise back: whoever comes first can have the pieces."""
    available, held = chart.stock_available(*stock), chart.stock_reserved(*stock)
    return _booking(_name("released", stock, cause), cause, held, available, quantity)


def shipped(stock: Stock, quantity: int, cause: Cause) -> Booking:
    """Pieces that were promised have left."""
    held, gone = chart.stock_reserved(*stock), chart.stock_shipped(*stock)
    return _booking(_name("shipped", stock, cause), cause, held, gone, quantity)


def returned(stock: Stock, quantity: int, cause: Cause, *, restocked: bool) -> Booking:
    """Pieces have come back, onto the shelf or into the bin."""
    gone = chart.stock_shipped(*stock)
    back = chart.stock_available(*stock) if restocked else chart.stock_source(*stock)
    return _booking(_name("returned", stock, cause), cause, gone, back, quantity)


def _name(verb: str, stock: Stock, cause: Cause) -> str:
    return ":".join((verb, stock.product, *([] if cause.step is None else [cause.step])))


def _booking(  # noqa: PLR0913, PLR0917 - what a booking consists of
    name: str,
    cause: Cause,
    debit: LedgerAccount,
    credit: LedgerAccount,
    quantity: int,
    memo: str | None = None,
) -> Booking:
    posting = Posting(debit, credit, quantity)
    return Booking(name, "stock", cause.id, debit.currency, quantity, (posting,), memo=memo)
