"""What the engine says of its own work: to whoever traces it, in its log, by its numbers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from commerce.areas.identity.account import Account
from commerce.engine import lane as lane_module
from commerce.engine.agenda import JOB
from commerce.engine.answers import ANSWER, context
from commerce.engine.batch import Batch, refusal
from commerce.engine.lane import RESTARTS_MAX
from commerce.engine.outbox import EVENT
from commerce.engine.overlay import Miss, Needs, WorkingSet
from commerce.engine.sealer import Sealed, Sealer
from commerce.engine.tally import COMMANDS, SECONDS, WEIGHTS, Try
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.kernel.master_key import MasterKey
from commerce.ledger.account import BALANCE
from commerce.ledger.cap import CAP, COUNT_MAX, Cap
from commerce.ledger.directory import ADDRESS, Address
from commerce.ledger.entry import AMOUNT_MAX
from commerce.store.memory import Memory
from commerce.store.session import CommitUnknown, Conflict, LockTimeout, StoreUnavailable
from commerce.store.table import Writing
from tests.engine.world import Steps, World, booking, codes, command, moving, needing, purse, settle
from tests.process import eventually
from tests.store import row

CASH, MINE = purse("cash"), purse("mine", guarded=True)


def traced(world: World) -> list[Try]:
    """The tries at batches from now on."""
    tries: list[Try] = []
    world.engine.traced = tries.append
    return tries


# To whoever traces


async def test_the_phases_of_a_try_follow_each_other_without_a_gap(world: World) -> None:
    await world.submit(moving(CASH, MINE))
    tries = traced(world)
    await world.submit(moving(CASH, MINE), command(lambda tx: tx.balance(purse("unnamed"))))
    await world.submit(command(lambda tx: tx.now))
    kept, nothing = tries
    assert [span.phase for span in kept.phases.spans] == [
        *("begin", "load", "run", "load", "run", "write", "commit")
    ]
    assert [span.phase for span in nothing.phases.spans] == ["begin", "load", "run"]
    for each in tries:
        spans = each.phases.spans
        assert [span.ended for span in spans[:-1]] == [span.began for span in spans[1:]]
        assert all(span.began <= span.ended for span in spans)
    assert [len(each.works) for each in tries] == [2, 1]
    assert {each.outcome for each in tries} == {"kept"}


async def test_a_try_that_failed_is_told_of_by_the_error_that_ended_it(
    world: World, steps: Steps
) -> None:
    tries = traced(world)
    steps.fail("write", Conflict("deadlock"))
    await world.submit(moving(CASH, MINE))
    assert [each.outcome for each in tries] == ["Conflict", "kept"]


async def test_what_is_cached_is_announced_before_anybody_is_answered(world: World) -> None:
    heard: list[str] = []
    world.engine.announce = heard.append
    one = Address(False, "one", None, blocked=True)
    known: list[list[str]] = []
    future = asyncio.ensure_future(world.submit(command(lambda tx: tx.list_address(one))))
    future.add_done_callback(lambda _: known.append(list(heard)))
    await future
    await settle()
    assert known == [["address:one"]]
    await world.submit(moving(CASH, MINE))
    assert heard == ["address:one"]


# By its numbers


async def test_a_batch_is_counted_once_and_nothing_goes_wrong_on_the_way(world: World) -> None:
    before = world.tally.as_dict()
    await world.submit(moving(CASH, MINE, weight=3), moving(CASH, MINE, weight=4))
    after = world.tally.as_dict()
    counted = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert counted == {"batches": 1, "commands": 2}
    sums = [each._cells[each._sum] for each in (world.tally._commands, world.tally._weight)]
    assert sums == [2, 7]


def test_the_bounds_of_what_is_counted_only_rise() -> None:
    for bounds in (SECONDS, COMMANDS, WEIGHTS):
        assert list(bounds) == sorted(set(bounds))


def test_a_balance_is_as_large_as_its_column_and_no_larger() -> None:
    assert AMOUNT_MAX == COUNT_MAX == 9_223_372_036_854_775_807


async def test_a_second_try_is_one_retry(world: World, steps: Steps) -> None:
    steps.fail("write", Conflict("deadlock"), Conflict("deadlock"))
    await world.submit(moving(CASH, MINE))
    assert (world.tally.retries, world.tally.conflicts, world.tally.singles) == (2, 2, 0)


async def test_a_batch_that_restarts_without_an_end_is_given_up(world: World) -> None:
    number = 1_000

    def deeper(tx: Tx) -> int:
        nonlocal number
        number -= 1
        tx.balance(purse(f"p{number}"))
        return tx.balance(purse("z"))

    with capture_logs() as lines:
        (answer,) = await world.submit(command(deeper, needs=needing(purse("z"))))
    assert isinstance(answer, RuntimeError)
    assert world.tally.restarts == RESTARTS_MAX + 1
    assert [line["event"] for line in lines] == ["command_failed"]


# In its log


async def test_what_went_wrong_is_in_the_log_by_name(world: World, steps: Steps) -> None:
    def fail(_: Tx) -> None:
        raise LookupError("on purpose")

    with capture_logs() as lines:
        await world.submit(command(fail))
        steps.fail("write", StoreUnavailable())
        await world.submit(moving(CASH, MINE))
        steps.fail("write", *[Conflict("deadlock")] * 4)
        await world.submit(moving(CASH, MINE), moving(CASH, MINE))
        steps.fail("committed", CommitUnknown())
        await world.submit(moving(CASH, MINE))
    assert [line["event"] for line in lines] == [
        *("verb_failed", "store_unavailable", "batch_split", "commit_recovered")
    ]
    assert lines[-1]["outcome"] == "committed"


# Refusals


def test_a_refusal_names_the_request_it_was_given_to() -> None:
    for request_id, shown in (("req_1", "req_1"), (None, "")):
        made = refusal(ApiError("unavailable"), request_id, "https://x")
        assert json.loads(made.body)["error"]["request_id"] == shown


async def test_a_key_that_is_held_elsewhere_is_in_use_and_says_when_to_come_back(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held(_: Any) -> bool:
        return True

    monkeypatch.setattr(world.engine, "held", held)
    steps.fail("write", LockTimeout())
    (answer,) = await world.submit(moving(CASH, MINE, key="k"))
    assert isinstance(answer, ApiError)
    assert (answer.code, answer.headers) == ("idempotency_key_in_use", {"Retry-After": "1"})


async def test_another_request_under_a_key_that_was_used_is_refused_though_it_is_a_bad_one(
    world: World,
) -> None:
    await world.submit(moving(CASH, MINE, key="k"))

    def bad(_: Tx) -> None:
        raise ApiError("parameter_invalid", "It is bad.")

    with pytest.raises(ApiError) as refused:
        await world.engine.submit(command(bad, key="k", fingerprint=b"other"))
    assert refused.value.code == "idempotency_key_reused"


async def test_a_key_is_in_flight_while_its_request_runs(world: World, steps: Steps) -> None:
    held = steps.hold("write")
    asking = asyncio.create_task(world.submit(moving(CASH, MINE, key="k")))
    await held.arrived()
    assert world.engine.in_flight(("acct_1", False, "k")) is True
    assert world.engine.in_flight(("acct_1", False, "other")) is False
    held.release()
    await asking
    assert world.engine.in_flight(("acct_1", False, "k")) is False


def test_a_sealed_answer_is_bound_to_its_key_in_a_form_that_stays() -> None:
    assert context(("acct_1", False, "k")) == b"acct_1\x00False\x00k"


# Verbs


async def test_a_verb_locks_names_and_keeps_what_it_should(world: World) -> None:
    seen: dict[str, Any] = {}

    def look(tx: Tx) -> None:
        seen["booked"] = tx.post(booking(CASH, MINE)).id
        seen["terms"] = tx.fingerprint(b"payload")
        with pytest.raises(ApiError) as refused:
            tx.lock(Account, "acct_none")
        seen["param"] = refused.value.param

    await world.submit(command(look, needs=needing(CASH, MINE)))
    assert seen["booked"].startswith("txn_test_")
    assert seen["terms"] == MasterKey.parse("07" * 32).fingerprint("terms", b"payload")
    assert seen["param"] == "id"


async def test_a_cap_is_counted_under_its_lock_alone(world: World) -> None:
    cap = Cap("acct_1", livemode=False, meter="m", total=5)
    await world.submit(command(lambda tx: tx.use(cap, 1)))
    rounds = world.tally.rounds

    async def use(*, lock: bool) -> None:
        await world.submit(
            command(
                lambda tx: tx.use(cap, 1),
                needs=lambda needs: needs.row(CAP.key, cap.key, lock=lock),
            )
        )

    await use(lock=True)
    assert world.tally.rounds == rounds
    await use(lock=False)
    assert world.tally.rounds == rounds + 1


async def test_what_is_changed_is_locked_though_it_was_read_unlocked(
    world: World, memory: Memory
) -> None:
    party = await world.open()
    table = Account.__noun__.table
    key = (party.id, False, party.id)

    def rename(tx: Tx) -> None:
        tx.change(tx.get(Account, party.id), name=f"at {tx.now}")

    def unlocked(needs: Needs) -> None:
        needs.row(table.key, key)

    rounds = world.tally.rounds
    await world.submit(command(rename, needs=unlocked, account=party.id))
    assert world.tally.rounds == rounds + 1
    assert {event[3] for event in memory.rows(EVENT).all()} == {1}, "an event has one version"

    job = ("acct_1", False, "try", "subject")
    await world.submit(command(lambda tx: tx.defer("try", "subject", b"{}", at=tx.now)))
    rounds = world.tally.rounds
    await world.submit(command(lambda tx: tx.job(job), needs=lambda needs: needs.row(JOB.key, job)))
    assert world.tally.rounds == rounds + 1


async def test_a_row_that_a_verb_missed_is_locked_next_time_only_if_anybody_wants_that(
    world: World, memory: Memory
) -> None:
    batch = Batch(world.engine.means, [], 0)
    session = batch.session = await memory.session()
    await session.begin()
    key = (False, "one")
    wanted = []
    for lock in (False, True, False):
        await batch._load_more(WorkingSet(), [Miss(ADDRESS.key, key, lock=lock)])
        wanted.append(batch.extra[ADDRESS.key][key])
    assert wanted == [False, True, True]
    await session.rollback()
    await session.close()


# Lost commits


async def test_a_line_on_which_a_commit_was_lost_is_not_used_again(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "OUTCOME_PAUSE_SECONDS", 0.03)
    await world.submit(moving(CASH, MINE))
    opened = steps.count()["session"]
    steps.fail("committed", CommitUnknown())
    steps.fail("outcome", StoreUnavailable(), StoreUnavailable())
    began = asyncio.get_running_loop().time()
    assert codes(await world.submit(moving(CASH, MINE))) == ["200"]
    assert asyncio.get_running_loop().time() - began >= 0.06
    await world.submit(moving(CASH, MINE))
    assert steps.count()["session"] == opened + 1


async def test_an_answer_under_a_key_tells_by_its_whole_row_whether_it_is_ours(
    world: World, memory: Memory
) -> None:
    ours, theirs = row.answer("acct_1", "k"), row.answer("acct_1", "k", body='{"a": 1}')
    await row.keep(memory, row.inserted((ANSWER, theirs)))
    lane = world.engine._lanes[0]
    assert await lane._is_there(Writing({ANSWER: [ours]}, {}, ())) is False
    assert await lane._is_there(Writing({ANSWER: [theirs]}, {}, ())) is True
    assert await lane._is_there(Writing({BALANCE: [row.balance("a", 1)]}, {}, ())) is True


# The sealer


async def test_a_sealer_has_no_height_before_the_first_block(memory: Memory, world: World) -> None:
    assert await Sealer(memory, world.now, [False]).state(False) == Sealed(0, 0)


@pytest.mark.parametrize(
    ("error", "event"),
    [(StoreUnavailable(), "sealing_waits"), (LookupError("on purpose"), "sealing_failed")],
)
async def test_a_sealer_hangs_up_when_its_store_fails_and_when_it_is_told_to_stop(
    world: World, steps: Steps, error: Exception, event: str
) -> None:
    await world.submit(moving(CASH, MINE))
    opened = steps.count()["session"]
    sealer = Sealer(world.store, world.now, [False])

    async def sealed() -> bool:
        return (await sealer.state(False)).height == 1

    steps.fail("horizon", error)
    with capture_logs() as lines:
        task = asyncio.create_task(sealer.run())
        await eventually(sealed)
        sealer.stop()
        await task
    assert [line["event"] for line in lines] == [event]
    assert steps.count()["session"] == opened + 2
    assert sealer._session is None


async def test_a_block_that_cannot_be_written_holds_nobody_up(
    memory: Memory, steps: Steps, world: World
) -> None:
    await world.submit(moving(CASH, MINE))
    sealer = Sealer(memory, world.now, [False])
    steps.fail("write", Conflict("deadlock"))
    with pytest.raises(Conflict):
        await sealer.turn()
    assert memory.running == set()
    assert len(await sealer.turn()) == 1
    await sealer._hang_up()
