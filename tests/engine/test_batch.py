"""Batches: what shares one, in which order it runs, and what one verb does to the others."""

import asyncio
from collections.abc import Callable

import pytest

from commerce.engine.answers import ANSWER, Answer
from commerce.engine.command import Command
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.ledger.account import BALANCE, LedgerAccount
from commerce.ledger.cap import Cap
from commerce.ledger.directory import ADDRESS
from commerce.ledger.entry import ENTRY, TRANSACTION
from commerce.store.memory import Memory
from tests.engine.world import (
    FEE,
    Steps,
    World,
    booking,
    codes,
    command,
    moving,
    name,
    needing,
    purse,
    settle,
)


async def test_what_arrives_together_is_one_transaction_in_four_steps(
    world: World, steps: Steps
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    steps.taken.clear()
    batches = world.tally.batches
    answers = await world.submit(*[world.transfer(alice, bob, "1.00", name()) for _ in range(20)])
    assert codes(answers) == ["201"] * 20
    assert steps.taken == ["begin", "load", "write", "commit", "committed"]
    assert world.tally.batches == batches + 1
    assert await world.available(bob) == 20_000_000


async def test_the_verbs_of_the_api_say_all_that_they_need(world: World) -> None:
    alice, bob = await world.open("100.00", key=True), await world.open(key=True)
    before = (world.tally.rounds, world.tally.restarts)
    await world.submit(world.transfer(alice, bob, "1.00"), world.transfer(bob, alice, "0.50"))
    assert (world.tally.rounds, world.tally.restarts) == before


async def test_a_batch_that_writes_nothing_does_not_commit(world: World, steps: Steps) -> None:
    assert codes(await world.submit(command(lambda tx: tx.now))) == ["200"]
    assert steps.taken == ["session", "begin", "load"]


async def test_verbs_run_in_the_order_of_arrival_each_seeing_those_before(world: World) -> None:
    """A hot wallet is exact: what is there for three is not there for a fourth."""
    alice, bob, carol = await world.open("100.00"), await world.open(), await world.open()
    answers = await world.submit(
        *[world.transfer(alice, bob, "33.00") for _ in range(4)],
        world.transfer(bob, carol, "98.00"),
    )
    assert codes(answers) == ["201"] * 3 + ["insufficient_funds", "201"]
    assert await world.available(alice) == 1_000_000 - 3 * FEE
    assert await world.available(bob) == 1_000_000 - FEE
    assert await world.available(carol) == 98_000_000


async def test_a_refusal_drops_all_that_its_verb_did_and_nothing_else(
    world: World, memory: Memory
) -> None:
    cash, mine = purse("cash"), purse("mine", guarded=True)
    cap = Cap("acct_1", livemode=False, meter="m", daily=100)

    def refused(tx: Tx) -> None:
        tx.post(booking(cash, mine, 5))
        tx.use(cap, 1)
        tx.post(booking(mine, cash, 6))

    answers = await world.submit(
        moving(cash, mine, 1), command(refused, needs=needing(cash, mine)), moving(mine, cash, 1)
    )
    assert codes(answers) == ["200", "insufficient_funds", "200"]
    assert await world.balance(mine) == 0
    assert len(memory.rows(TRANSACTION).all()) == 2
    assert sorted(row[4] for row in memory.rows(ENTRY).all()) == [1, 1, 2, 2]


async def test_a_verb_that_fails_otherwise_fails_alone(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    cash, mine = purse("cash"), purse("mine", guarded=True)

    def broken(tx: Tx) -> None:
        tx.post(booking(cash, mine, 5))
        raise ZeroDivisionError

    bad = command(broken, needs=needing(cash, mine), key="bad")
    answers = await world.submit(moving(cash, mine), bad, moving(cash, mine))
    assert [type(answer) for answer in answers] == [Answer, ZeroDivisionError, Answer]
    assert await world.balance(mine) == 2
    assert (world.tally.batches, world.tally.singles) == (1, 0)
    assert "verb_failed" in capsys.readouterr().out


async def test_a_failed_verb_leaves_its_key_to_be_tried_again(world: World) -> None:
    failures = [ZeroDivisionError()]

    def verb(_: Tx) -> str:
        if failures:
            raise failures.pop()
        return "done"

    (first,) = await world.submit(command(verb, key="k"))
    assert isinstance(first, ZeroDivisionError)
    assert codes(await world.submit(command(verb, key="k"))) == ["200"]


@pytest.mark.parametrize(
    ("weights", "batches"),
    [([6, 3, 2], 2), ([5, 5, 5, 5], 2), ([50, 1, 50], 3), ([3, 3, 3], 1), ([11, 11], 2)],
)
async def test_batches_are_bounded_by_weight(
    memory: Memory, weights: list[int], batches: int
) -> None:
    async with World(memory, weight_max=10).running() as world:
        await world.submit(*[moving(purse("a"), purse("b"), weight=each) for each in weights])
        assert world.tally.batches == batches
        assert world.tally.commands == len(weights)


# A batch that fails for a reason no verb gave


def unsettled(down: int) -> Callable[[Tx], None]:
    """A verb that touches another account each time it is run, above or below the last."""
    at = [10**6]

    def verb(tx: Tx) -> None:
        at[0] += down
        tx.balance(purse(f"p{at[0]}", guarded=True))

    return verb


@pytest.mark.parametrize("down", [1, -1])
async def test_a_verb_that_never_settles_fails_alone(world: World, down: int) -> None:
    cash, mine = purse("cash"), purse("mine", guarded=True)
    for account in (cash, mine):
        await world.submit(moving(purse("seed"), account))
    bad = command(unsettled(down))
    answers = await world.submit(moving(cash, mine), bad, moving(cash, mine))
    assert [type(answer) for answer in answers] == [Answer, RuntimeError, Answer]
    assert await world.balance(mine) == 3
    assert world.tally.singles == 1


async def test_a_row_the_store_refuses_harms_nobody_else(world: World, memory: Memory) -> None:
    cash, mine = purse("cash"), purse("mine", guarded=True)
    bad = command(lambda tx: tx._overlay.append(ADDRESS, (False, "x", None, None)))
    answers = await world.submit(moving(cash, mine, key="1"), bad, moving(cash, mine, key="2"))
    assert [type(answer).__name__ for answer in answers] == ["Answer", "WriteRefused", "Answer"]
    assert await world.balance(mine) == 2
    assert len(memory.rows(ANSWER).all()) == 2


# Misses and the order of locks


async def test_what_a_verb_did_not_say_it_needs_is_loaded_and_the_verb_run_again(
    world: World, steps: Steps
) -> None:
    low, high = purse("a", guarded=True), purse("b", guarded=True)
    runs: list[Tx] = []

    def verb(tx: Tx) -> int:
        runs.append(tx)
        tx.post(booking(low, purse("source")))
        return tx.balance(high)

    await world.submit(moving(purse("source"), low), moving(purse("source"), high))
    steps.taken.clear()
    answers = await world.submit(command(verb, needs=needing(low, purse("source"))))
    assert codes(answers) == ["200"]
    assert len(runs) == 2
    assert await world.balance(low) == 0


async def test_a_miss_above_what_is_locked_is_loaded_on_top(world: World, steps: Steps) -> None:
    accounts = await _funded(world)
    steps.taken.clear()
    await world.submit(_touching(accounts[0], accounts[1]))
    assert steps.taken == ["begin", "load", "load", "write", "commit", "committed"]
    assert (world.tally.rounds, world.tally.restarts) == (1, 0)


async def test_a_miss_below_what_is_locked_lets_everything_go_and_begins_again(
    world: World, memory: Memory, steps: Steps
) -> None:
    accounts = await _funded(world)
    steps.taken.clear()
    held = steps.hold("load")
    done = asyncio.create_task(world.submit(_touching(accounts[1], accounts[0])))
    await held.arrived()
    again = steps.hold("load")
    held.release()
    await again.arrived()
    assert memory.locks == {}
    again.release()
    assert codes(await done) == ["200"]
    assert steps.taken == ["begin", "load", "begin", "load", "write", "commit", "committed"]
    assert (world.tally.restarts, world.tally.conflicts) == (1, 0)


async def test_two_engines_that_miss_each_others_rows_do_not_deadlock(
    world: World, other: World, steps: Steps
) -> None:
    """Each holds the row that the other finds missing, and neither is told to try again."""
    low, high = await _funded(world)
    held = steps.hold("load")
    first = asyncio.create_task(world.submit(_touching(high, low)))
    await held.arrived()
    second_held = steps.hold("load")
    second = asyncio.create_task(other.submit(_touching(low, high)))
    await second_held.arrived()
    held.release()
    second_held.release()
    assert codes([*await first, *await second]) == ["200", "200"]
    assert (world.tally.conflicts, other.tally.conflicts) == (0, 0)
    assert await world.balance(low) == await world.balance(high) == 0


async def test_one_load_locks_by_rank_and_key_whatever_the_verbs_say_first(
    world: World, memory: Memory, steps: Steps
) -> None:
    low, high = await _funded(world)
    cap = Cap("acct_1", livemode=False, meter="m")
    await world.submit(command(lambda tx: tx.use(cap, 1)))
    held = steps.hold("write")

    def verb(tx: Tx) -> int:
        tx.use(cap, 1)
        return tx.balance(high) + tx.balance(low)

    def needs(needs: Needs) -> None:
        needs.cap(cap)
        needing(high, low)(needs)

    done = asyncio.create_task(world.submit(command(verb, needs=needs)))
    await held.arrived()
    locked = [(index.table.name, key[2]) for index, key in memory.locks]
    assert locked == [("ledger_balance", "a"), ("ledger_balance", "b"), ("ledger_cap", "m")]
    held.release()
    await done


async def test_answers_are_written_in_the_order_of_their_keys(
    world: World, memory: Memory, steps: Steps
) -> None:
    """Two batches with the same keys in two orders would deadlock on the unique index."""
    held = steps.hold("commit")
    done = asyncio.create_task(
        world.submit(*[command(lambda _: "", key=key) for key in ("c", "a", "b")])
    )
    await held.arrived()
    assert [key[2] for _, key in memory.locks] == ["a", "b", "c"]
    held.release()
    await done


async def test_engines_with_the_same_keys_in_opposite_order_answer_each_once(
    world: World, other: World, steps: Steps
) -> None:
    runs: list[str] = []

    def ask(key: str) -> Command:
        return command(lambda _: runs.append(key), key=key)

    held = steps.hold("commit")
    first = asyncio.create_task(world.submit(ask("a"), ask("b")))
    await held.arrived()
    second = asyncio.create_task(other.submit(ask("b"), ask("a")))
    await settle()
    held.release()
    assert codes([*await first, *await second]) == ["200"] * 4
    assert (world.tally.conflicts, other.tally.conflicts) == (0, 0)
    assert other.tally.replays == 2


async def _funded(world: World) -> tuple[LedgerAccount, LedgerAccount]:
    low, high = purse("a", guarded=True), purse("b", guarded=True)
    await world.submit(moving(purse("z"), low), moving(purse("z"), high))
    world.tally.rounds = 0
    return low, high


def _touching(said: LedgerAccount, unsaid: LedgerAccount) -> Command:
    """Empties both, having said that it needs the one only; the other end needs no lock."""
    sink = purse(f"A{name()}")  # sorts below both

    def verb(tx: Tx) -> None:
        for account in (said, unsaid):
            if tx.balance(account):
                tx.post(booking(account, sink))

    return command(verb, needs=needing(said, sink))


# Shards


async def test_an_account_that_all_touch_is_booked_on_a_shard_of_the_lane(
    world: World, other: World, steps: Steps, memory: Memory
) -> None:
    parties = [await world.open("100.00") for _ in range(4)]
    await other.submit(command(lambda _: ""))
    held = steps.hold("commit")
    first = asyncio.create_task(world.submit(world.transfer(parties[0], parties[1], "1.00")))
    await held.arrived()
    # The other engine is not kept waiting by the fees that the first one has booked.
    answers = await other.submit(other.transfer(parties[2], parties[3], "1.00"))
    assert codes(answers) == ["201"]
    assert not first.done()
    held.release()
    await first
    fees = {row[2]: row[6] for row in memory.rows(BALANCE).all() if row[2].startswith("fees")}
    assert fees == {"fees:network#0": FEE, "fees:network#1": FEE}


async def test_a_guarded_account_is_one_whatever_lane_books_on_it(
    world: World, other: World
) -> None:
    cash, mine = purse("cash"), purse("mine", guarded=True)
    await world.submit(moving(cash, mine, 3))
    await other.submit(moving(mine, cash, 2))
    assert await world.balance(mine, lane=0) == await world.balance(mine, lane=1) == 1
    with pytest.raises(ApiError, match="insufficient_funds"):
        await other.engine.submit(moving(mine, cash, 2))
