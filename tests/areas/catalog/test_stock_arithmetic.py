"""Whatever is done with stock, in whatever batches, no piece appears, is lost or is sold twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from commerce.areas.catalog import adjustment, offer, stock
from commerce.areas.catalog.product import Figures, Inventory, with_figures
from commerce.areas.catalog.stock import RELEASE, RESERVE, SHIP, TAKE_BACK
from commerce.books import stock as books
from commerce.books.stock import Cause, Stock
from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.outbox import EVENT
from commerce.kernel.errors import ApiError
from commerce.ledger.account import BALANCE
from commerce.ledger.entry import ENTRY, Booking, net
from commerce.resource.operation import Operation
from commerce.resource.parameter import Price
from commerce.store.memory import Memory
from tests.areas.catalog.seller import Seller
from tests.engine.world import World

ACCOUNT = "acct_1"
STATES = ("available", "reserved", "shipped")
ONE = Stock(ACCOUNT, livemode=False, product="prod_1")
quantities = st.integers(1, 10**12)
BOOKINGS = st.one_of(
    st.builds(books.received, st.just(ONE), quantities, number=st.just(1), memo=st.just("m")),
    st.builds(
        books.adjusted,
        st.just(ONE),
        quantities | quantities.map(lambda n: -n),
        number=st.just(1),
        memo=st.just("m"),
    ),
    st.builds(books.reserved, st.just(ONE), quantities, st.just(Cause("ord_1"))),
    st.builds(books.released, st.just(ONE), quantities, st.just(Cause("ord_1", "2"))),
    st.builds(books.shipped, st.just(ONE), quantities, st.just(Cause("ful_1"))),
    st.builds(
        books.returned, st.just(ONE), quantities, st.just(Cause("ord_1")), restocked=st.booleans()
    ),
)


@given(BOOKINGS)
def test_every_booking_of_stock_moves_its_amount_between_two_accounts(booking: Booking) -> None:
    amounts = net(booking)
    assert sorted(amounts.values()) == [-booking.amount, booking.amount]
    assert booking.amount > 0
    assert (booking.type, booking.currency) == ("stock", "unit:prod_1")
    assert {account.currency for account in amounts} == {"unit:prod_1"}
    assert {account.owner for account in amounts} == {ACCOUNT}
    unguarded = {account.code for account in amounts if not account.guarded}
    assert unguarded <= {"stock:source"}


class Move(NamedTuple):
    """One thing that is done to two products: a verb, and how many pieces of each."""

    verb: str
    first: int
    second: int


MOVES = st.builds(
    Move,
    st.sampled_from(
        ["adjust", "take", "reserve", "release", "ship", "restock", "discard", "reserve twice"]
    ),
    st.integers(1, 6),
    st.integers(1, 6),
)
BATCHES = st.lists(st.lists(MOVES, min_size=1, max_size=5), max_size=6)


def moved(model: Counter[tuple[int, str]], move: Move) -> Counter[tuple[int, str]] | None:
    """The pieces there are after a move, by product and state; None where it is refused."""
    after = Counter(model)
    pieces = [(0, move.first), (1, move.second)]
    if move.verb in ("adjust", "take"):
        pieces = pieces[:1]
    if move.verb == "reserve twice":
        pieces = [*pieces, (0, move.second)]
    paths: dict[str, tuple[str | None, str | None]] = {
        "adjust": (None, "available"),
        "take": ("available", None),
        "reserve": ("available", "reserved"),
        "reserve twice": ("available", "reserved"),
        "release": ("reserved", "available"),
        "ship": ("reserved", "shipped"),
        "restock": ("shipped", "available"),
        "discard": ("shipped", None),
    }
    source, target = paths[move.verb]
    for product, quantity in pieces:
        if source is not None:
            after[product, source] -= quantity
        if target is not None:
            after[product, target] += quantity
    return None if min(after.values(), default=0) < 0 else after


def asked(seller: Seller, ids: list[str], move: Move) -> Command:
    """The command that a move is."""
    if move.verb in ("adjust", "take"):
        change = move.first if move.verb == "adjust" else -move.first
        params = adjustment.AdjustInventory(id=ids[0], adjustment=change, reason="other")
        operation: Operation = vars(adjustment.adjust)["__operation__"]
        caller = Caller(ACCOUNT, livemode=False)

        def run(tx: Any) -> Answer:
            adjustment.adjust(tx, params)
            return Answer(200, b"")

        needs = operation.needs
        assert needs is not None
        return Command(caller, run, lambda wanted: needs(wanted, caller, params))
    pieces = [(ids[0], move.first), (ids[1], move.second)]
    if move.verb == "reserve twice":
        pieces = [*pieces, (ids[0], move.second)]
    if move.verb in ("restock", "discard"):
        restock = move.verb == "restock"
        return seller.command(
            pieces,
            TAKE_BACK,
            lambda tx, cause, lines: stock.take_back(tx, cause, lines, restock=restock),
        )
    move_, verb = {
        "reserve": (RESERVE, stock.reserve),
        "reserve twice": (RESERVE, stock.reserve),
        "release": (RELEASE, stock.release),
        "ship": (SHIP, stock.ship),
    }[move.verb]
    return seller.command(pieces, move_, verb)


async def played(batches: list[list[Move]]) -> None:
    memory = Memory()
    async with World(memory).running() as world:
        params = offer.CreateProduct(
            name="x",
            unit_price=Price("1.00"),
            inventory=offer.InventoryGiven(on_hand=9, low_stock_threshold=3),
        )
        made = [await world.operate(offer.create, params, ACCOUNT) for _ in range(2)]
        ids = [each.id for each in made]
        seller = Seller(world.engine, ACCOUNT)
        model = Counter({(0, "available"): 9, (1, "available"): 9})
        told: Counter[str] = Counter()
        for batch in batches:
            answers = await world.submit(*[asked(seller, ids, move) for move in batch])
            for move, answer in zip(batch, answers, strict=True):
                after = moved(model, move)
                assert isinstance(answer, ApiError if after is None else Answer), (move, answer)
                if after is not None:
                    told.update(lacks(model, after, move))
                    model = after
        seen = {row[2:4]: row[6] for row in memory.rows(BALANCE).all()}
        for at, id_ in enumerate(ids):
            unit = f"unit:{id_}"
            for state in STATES:
                assert seen.get((f"stock:{id_}:{state}", unit), 0) == model[at, state]
            assert seen["stock:source", unit] == sum(model[at, state] for state in STATES)
            (whole,) = made[at].complete_in(Reads(memory), [made[at]])
            assert whole.inventory.on_hand == model[at, "available"] + model[at, "reserved"]
        sums: Counter[str] = Counter()
        for row in memory.rows(ENTRY).all():
            sums[row[3]] += row[6]
        assert set(sums.values()) <= {0}
        events = Counter(row[6] for row in memory.rows(EVENT).all())
        assert Counter({k: v for k, v in events.items() if k.startswith("inventory.")}) == told


class Reads:
    """What fills in figures: rows of the store."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.caller = Caller(ACCOUNT, livemode=False)

    def rows(self, index: Any, keys: list[Any]) -> list[Any]:
        """The rows there are."""
        found = [self._memory.rows(BALANCE).at(index, key) for key in keys]
        return [row for row in found if row is not None]


def lacks(
    before: Counter[tuple[int, str]], after: Counter[tuple[int, str]], move: Move
) -> list[str]:
    """The events of a move: for each product whose supply is worse than before."""

    def level(available: int) -> int:
        return 0 if available == 0 else 1 if available <= 3 else 2

    names = {0: "inventory.out_of_stock", 1: "inventory.low_stock"}
    products = (0,) if move.verb in ("adjust", "take") else (0, 1)
    pairs = [(level(before[at, "available"]), level(after[at, "available"])) for at in products]
    return [names[now] for then, now in pairs if now < then]


@settings(max_examples=80, deadline=None)
@given(BATCHES)
def test_stock_is_what_a_model_of_it_says_after_any_moves_in_any_batches(
    batches: list[list[Move]],
) -> None:
    asyncio.run(played(batches))


@given(
    st.builds(
        with_figures,
        st.builds(
            Inventory,
            tracked=st.booleans(),
            low_stock_threshold=st.none() | st.integers(0, 9),
        ),
        st.builds(Figures, st.integers(0, 9), st.integers(0, 9)),
    )
)
def test_what_is_on_hand_is_what_is_reserved_and_what_is_available(
    inventory: Inventory,
) -> None:
    if not inventory.tracked:
        assert (inventory.on_hand, inventory.reserved, inventory.available) == (None, None, None)
        assert inventory.level == 2
        return
    assert inventory.reserved is not None
    assert inventory.available is not None
    assert inventory.on_hand == inventory.reserved + inventory.available
    low = inventory.available <= (inventory.low_stock_threshold or 0)
    assert inventory.level == (0 if not inventory.available else 1 if low else 2)
    assert msgspec.json.decode(msgspec.json.encode(inventory)) == msgspec.structs.asdict(inventory)
