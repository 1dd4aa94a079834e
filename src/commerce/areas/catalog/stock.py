"""Stock for those who sell it: reserved, released, shipped and taken back within a verb of theirs.

A higher area says in its `needs` what it will move, `need(needs, caller, RESERVE, products)`, and
then moves it within its verb. All of it happens or none, with the rest of the verb. Each product
is one ledger transaction, whose source is the object that moved it, so that an order of many lines
of one product books it once. Products and balances are locked in the engine's one order, whatever
the order of lines, and a hot product is sold exactly within a batch, without a queue. The product
is locked too, so that a threshold just set, or a product just withdrawn, is not passed over; what
runs low is told with the sale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from commerce.areas.catalog import product as products
from commerce.areas.catalog.product import BY_SKU, TABLE, Product
from commerce.books import chart, stock
from commerce.books.stock import Cause
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.ledger.account import LedgerAccount

ROWS_A_PRODUCT = 5
"""About as many rows as moving one product writes: a transaction, two entries, two balances."""

Account = Callable[[str, bool, str], LedgerAccount]


class Move(NamedTuple):
    """What one kind of move reads and writes: balances, and the product where it is looked at."""

    accounts: tuple[Account, ...]
    of_product: bool


RESERVE = Move((chart.stock_available, chart.stock_reserved), of_product=True)
RELEASE = Move((chart.stock_available, chart.stock_reserved), of_product=False)
SHIP = Move((chart.stock_reserved, chart.stock_shipped), of_product=False)
TAKE_BACK = Move((chart.stock_source, chart.stock_available, chart.stock_shipped), of_product=True)


class Line(NamedTuple):
    """Some pieces of a product, and the parameter that asks for them: `items[0].quantity`."""

    product: str
    quantity: int
    param: str = "quantity"


def need(needs: Needs, caller: Caller, move: Move, ids: Iterable[str]) -> None:
    """All that a move of these products reads and writes."""
    for id_ in ids:
        of = (caller.account, caller.livemode, id_)
        if move.of_product:
            needs.row(TABLE.key, of, lock=True)
        for account in move.accounts:
            needs.balance(account(*of))


def need_sku(needs: Needs, caller: Caller, sku: str) -> None:
    """The product that `by_sku` finds. Its balances are known when it is: a round later."""
    needs.row(BY_SKU, (caller.account, caller.livemode, sku))


def by_id(tx: Tx, id_: str, *, param: str) -> Product:
    """A product to be ordered. Raises `resource_missing`, `state_invalid`."""
    return _for_sale(tx.get(Product, id_, param=param), param)


def by_sku(tx: Tx, sku: str, *, param: str) -> Product:
    """A product to be ordered, by its SKU. Raises `resource_missing`, `state_invalid`."""
    found = tx.find(Product, sku=sku)
    if found is None:
        raise ApiError("resource_missing", f"No product has the SKU '{sku[:64]}'.", param=param)
    return _for_sale(found, param)


def _for_sale(product: Product, param: str) -> Product:
    if products.living(product, param=param).active:
        return product
    message = f"The product '{product.id}' is 'inactive'; only one that is 'active' is 'ordered'."
    raise ApiError("state_invalid", message, param=param)


def reserve(tx: Tx, cause: Cause, lines: Sequence[Line]) -> list[Line]:
    """Promise pieces to whoever asks for them; gives the lines whose products are counted.

    Those, and no others, are released or shipped later: keep which they were, for a product may
    be tracked, or not any more, by then. Raises `out_of_stock` for the first line that finds too
    little, which counts what lines before it took; `resource_missing`.
    """
    counted: list[Line] = []
    asked: dict[str, int] = {}
    found: dict[str, Product] = {}
    for line in lines:
        product = products.living(tx.get(Product, line.product, param=line.param), param=line.param)
        if not product.inventory.tracked:
            continue
        counted.append(line)
        if product.id not in found:
            found[product.id] = products.lock(tx, product.id)
        asked[product.id] = asked.get(product.id, 0) + line.quantity
        available = found[product.id].inventory.available
        assert available is not None
        if asked[product.id] > available:
            left = available - asked[product.id] + line.quantity
            message = (
                f"Only {left} of '{product.name}' are left, and {line.quantity} were asked for."
            )
            raise ApiError("out_of_stock", message, param=line.param)
    for id_, quantity in asked.items():
        tx.post(stock.reserved(products.stock_of(tx, id_), quantity, cause))
        before = found[id_]
        products.tell(tx, before, products.shown(before, products.figures(tx, id_)))
    return counted


def release(tx: Tx, cause: Cause, lines: Iterable[Line]) -> None:
    """Take back promises that `reserve` made: the pieces can be ordered again."""
    for id_, quantity in _summed(lines):
        tx.post(stock.released(products.stock_of(tx, id_), quantity, cause))


def ship(tx: Tx, cause: Cause, lines: Iterable[Line]) -> None:
    """Let pieces leave that `reserve` had promised."""
    for id_, quantity in _summed(lines):
        tx.post(stock.shipped(products.stock_of(tx, id_), quantity, cause))


def take_back(tx: Tx, cause: Cause, lines: Iterable[Line], *, restock: bool) -> None:
    """Take pieces back that `ship` had let go.

    They are on the shelf again if they are to be restocked, and the product was not deleted.
    """
    for id_, quantity in _summed(lines):
        there = restock and not tx.lock(Product, id_).deleted
        tx.post(stock.returned(products.stock_of(tx, id_), quantity, cause, restocked=there))


def _summed(lines: Iterable[Line]) -> list[tuple[str, int]]:
    """How many pieces of each product: each is booked once."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.product] = found.get(line.product, 0) + line.quantity
    return list(found.items())
