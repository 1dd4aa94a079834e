"""A seller: what a higher area does with stock, within verbs of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from commerce.app import App
from commerce.areas.catalog import stock
from commerce.areas.catalog.stock import RELEASE, RESERVE, SHIP, TAKE_BACK, Line, Move
from commerce.books.stock import Cause
from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.engine import Engine
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx

_numbers = itertools.count(1)
Pieces = Mapping[str, int] | Iterable[tuple[str, int]]


def lines(pieces: Pieces) -> list[Line]:
    """Lines as an order has them."""
    pairs = pieces.items() if isinstance(pieces, Mapping) else pieces
    return [
        Line(product, quantity, f"items[{at}].quantity")
        for at, (product, quantity) in enumerate(pairs)
    ]


class Seller:
    """Moves stock of one account through one process."""

    def __init__(self, app: App | Engine, account: str) -> None:
        self.engine = app if isinstance(app, Engine) else app.engine
        self.account = account

    def command(
        self, pieces: Pieces, move: Move, verb: Callable[[Tx, Cause, list[Line]], Any]
    ) -> Command:
        """A verb that moves these pieces, for a reason of its own."""
        wanted = lines(pieces)
        cause = Cause(f"sale_{next(_numbers)}")
        caller = Caller(self.account, livemode=False, request_id="req_1")

        def needs(needs: Needs) -> None:
            stock.need(needs, caller, move, [line.product for line in wanted])

        def run(tx: Tx) -> Answer:
            return Answer(200, repr(verb(tx, cause, wanted)).encode())

        weight = stock.ROWS_A_PRODUCT * len(wanted)
        return Command(caller, run, needs, weight=weight)

    async def reserve(self, pieces: Pieces) -> str:
        """Promise pieces; raises `out_of_stock`. Gives the lines that are counted."""
        answer = await self.engine.submit(self.command(pieces, RESERVE, stock.reserve))
        return answer.body.decode()

    async def release(self, pieces: Pieces) -> None:
        """Take promises back."""
        await self.engine.submit(self.command(pieces, RELEASE, stock.release))

    async def ship(self, pieces: Pieces) -> None:
        """Let pieces go."""
        await self.engine.submit(self.command(pieces, SHIP, stock.ship))

    async def take_back(self, pieces: Pieces, *, restock: bool = True) -> None:
        """Take pieces back."""

        def verb(tx: Tx, cause: Cause, wanted: list[Line]) -> None:
            stock.take_back(tx, cause, wanted, restock=restock)

        await self.engine.submit(self.command(pieces, TAKE_BACK, verb))
