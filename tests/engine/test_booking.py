"""Whatever is booked in whatever batches, entries balance, chain and keep above the floor."""

import asyncio
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commerce.engine.command import Command
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.ledger.account import BALANCE
from commerce.ledger.entry import AMOUNT_MAX, ENTRY, TRANSACTION, Booking, Posting, Unbalanced
from commerce.store.memory import Memory
from tests.engine.world import World, command, moving, name, needing, purse

ACCOUNTS = [
    purse("cash")._replace(debit_normal=True),
    purse("loan")._replace(debit_normal=True, guarded=True),
    purse("mine", guarded=True),
    purse("yours", guarded=True),
    purse("fees", sharded=True),
]
postings = st.builds(
    Posting, st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS), st.integers(1, 20)
)
bookings = st.lists(postings, min_size=1, max_size=3)
batches = st.lists(st.lists(bookings, max_size=4), max_size=5)


def booked(postings: list[Posting]) -> Command:
    """A command that books these, and is refused where an account would fall below its floor."""
    one = Booking("moved", "transfer", name(), "ssusd", 1, tuple(postings))
    return command(lambda tx: tx.post(one).id, needs=needing(*ACCOUNTS))


async def book(batches: list[list[list[Posting]]]) -> tuple[Memory, list[list[Posting]]]:
    """The store after these batches, and the bookings that were not refused."""
    memory = Memory()
    kept: list[list[Posting]] = []
    async with World(memory).running() as world:
        for batch in batches:
            answers = await world.submit(*[booked(postings) for postings in batch])
            pairs = zip(batch, answers, strict=True)
            kept += [one for one, answer in pairs if not isinstance(answer, Exception)]
    return memory, kept


@settings(max_examples=60, deadline=None)
@given(batches)
def test_the_ledger_holds_its_invariants_whatever_is_asked_of_it(
    batches: list[list[list[Posting]]],
) -> None:
    memory, kept = asyncio.run(book(batches))
    entries = sorted(memory.rows(ENTRY).all())
    assert len(memory.rows(TRANSACTION).all()) == len(kept)
    sums: dict[str, int] = defaultdict(int)
    last: dict[tuple[object, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
    debit_normal = {row[:4]: row[4] for row in memory.rows(BALANCE).all()}
    for *account, number, transaction, amount, after, _ in entries:
        key = tuple(account)
        sums[transaction] += amount
        before, balance = last[key]
        assert number == before + 1
        assert after == balance + (amount if debit_normal[key] else -amount)
        last[key] = (number, after)
    assert set(sums.values()) <= {0}
    for row in memory.rows(BALANCE).all():
        assert (row[7], row[6]) == last[row[:4]]
        assert row[6] >= 0 or not row[5]
        debited = sum(p.amount for one in kept for p in one if row[2] == p.debit.shard(0)[2])
        credited = sum(p.amount for one in kept for p in one if row[2] == p.credit.shard(0)[2])
        assert row[6] == (debited - credited if row[4] else credited - debited)


async def test_a_balance_that_would_overflow_is_refused_and_left_as_it_was(world: World) -> None:
    source, full = purse("source"), purse("full", guarded=True)
    await world.submit(moving(source, full, AMOUNT_MAX))
    (answer,) = await world.submit(moving(purse("other"), full))
    assert isinstance(answer, ApiError)
    assert answer.code == "limit_exceeded"
    assert await world.balance(full) == AMOUNT_MAX


async def test_one_source_is_booked_once_under_each_name(world: World) -> None:
    postings = (Posting(purse("a"), purse("b"), 1),)

    def verb(booking: Booking) -> Command:
        def run(tx: Tx) -> str:
            return tx.post(booking).id

        return command(run, needs=needing(purse("a"), purse("b")))

    burned = Booking("burned", "redeem", "red_1", "ssusd", 1, postings)
    first, second = await world.submit(verb(burned), verb(burned._replace(name="completed")))
    assert not isinstance(first, Exception)
    assert not isinstance(second, Exception)
    (again,) = await world.submit(verb(burned))
    assert isinstance(again, Exception)
    assert await world.balance(purse("b")) == 2


@pytest.mark.parametrize("amount", [0, -5])
async def test_a_posting_of_nothing_is_never_booked(world: World, amount: int) -> None:
    (answer,) = await world.submit(moving(purse("a"), purse("b"), amount))
    assert isinstance(answer, Unbalanced)
    assert await world.balance(purse("b")) == 0
