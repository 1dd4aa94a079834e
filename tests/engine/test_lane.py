"""When the store fails: conflicts are tried again, lost commits asked about, the rest told."""

import asyncio
from typing import Any

import pytest

from commerce.engine import engine as engine_module
from commerce.engine import lane as lane_module
from commerce.engine.answers import ANSWER, Answer
from commerce.engine.lane import CONFLICTS_MAX
from commerce.kernel.errors import ApiError
from commerce.ledger.directory import ADDRESS, Address
from commerce.ledger.entry import TRANSACTION
from commerce.store.memory import Memory
from commerce.store.session import CommitUnknown, Conflict, LockTimeout, StoreUnavailable
from tests.engine.world import Steps, World, codes, command, moving, purse, settle

CASH, MINE = purse("cash"), purse("mine", guarded=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask as often as ever what became of a commit, but sooner."""
    monkeypatch.setattr(lane_module, "OUTCOME_PAUSE_SECONDS", 0)


def refused(answer: Answer | BaseException) -> ApiError:
    """The refusal that an answer must be."""
    assert isinstance(answer, ApiError)
    return answer


# Conflicts


@pytest.mark.parametrize("step", ["load", "write"])
async def test_a_conflict_is_tried_again_three_times(world: World, steps: Steps, step: str) -> None:
    assert CONFLICTS_MAX == 3
    steps.fail(step, *[Conflict("deadlock")] * 3)
    assert codes(await world.submit(moving(CASH, MINE))) == ["200"]
    assert await world.balance(MINE) == 1
    assert world.tally.conflicts == 3


async def test_a_fourth_conflict_is_unavailable_and_nothing_was_done(
    world: World, steps: Steps, memory: Memory
) -> None:
    steps.fail("write", *[Conflict("deadlock")] * 4)
    (answer,) = await world.submit(moving(CASH, MINE, key="k"))
    assert (refused(answer).code, refused(answer).status) == ("unavailable", 503)
    assert refused(answer).headers == {"Retry-After": "1"}
    assert memory.rows(TRANSACTION).all() == memory.rows(ANSWER).all() == []
    assert codes(await world.submit(moving(CASH, MINE, key="k"))) == ["200"]


async def test_a_batch_of_too_many_conflicts_is_run_one_by_one(world: World, steps: Steps) -> None:
    steps.fail("write", *[Conflict("deadlock")] * 8)
    answers = await world.submit(*[moving(CASH, MINE) for _ in range(3)])
    assert codes(answers) == ["unavailable", "200", "200"]
    assert await world.balance(MINE) == 2
    assert world.tally.singles == 1


async def test_a_lock_that_is_not_given_is_not_waited_for_again(world: World, steps: Steps) -> None:
    steps.fail("load", LockTimeout())
    assert codes(await world.submit(moving(CASH, MINE))) == ["unavailable"]


# The store is away


async def test_a_session_lost_while_idle_is_opened_again_unnoticed(
    world: World, steps: Steps, memory: Memory
) -> None:
    await world.submit(moving(CASH, MINE))
    steps.fail("begin", StoreUnavailable())
    assert codes(await world.submit(moving(CASH, MINE))) == ["200"]
    assert steps.count()["session"] == 2
    assert memory.lanes == {0}


@pytest.mark.parametrize("step", ["session", "begin", "find", "load", "write"])
async def test_a_store_that_goes_away_is_unavailable_and_undoes_all(
    world: World, steps: Steps, memory: Memory, step: str
) -> None:
    party, recipient = await world.open("100.00"), await world.open()
    other = World(memory, world.clock)
    async with other.running():
        steps.taken.clear()
        steps.fail(step, StoreUnavailable())
        asked = [other.transfer(party, recipient, "1.00", key) for key in ("a", "b")]
        assert codes(await other.submit(*asked)) == ["unavailable"] * 2
        assert await other.available(party) == 100_000_000
        assert memory.locks == {}
        assert codes(await other.submit(*asked)) == ["201"] * 2
        assert steps.count()["session"] == 2, "a line that failed is not used again"


async def test_a_store_that_goes_away_while_a_key_is_asked_for_ends_no_lane(
    world: World, steps: Steps
) -> None:
    steps.fail("load", LockTimeout())
    steps.fail("held", StoreUnavailable())
    assert codes(await world.submit(moving(CASH, MINE, key="k"))) == ["unavailable"]
    assert codes(await world.submit(moving(CASH, MINE, key="k"))) == ["200"]


async def test_a_replay_that_cannot_be_read_is_unavailable(world: World, steps: Steps) -> None:
    await world.submit(moving(CASH, MINE, key="k"))
    steps.fail("read", StoreUnavailable())
    assert codes(await world.submit(moving(CASH, MINE, key="k"))) == ["unavailable"]
    assert codes(await world.submit(moving(CASH, MINE, key="k"))) == ["200"]
    assert await world.balance(MINE) == 1


# Lost commits


async def test_a_lost_commit_that_took_effect_is_answered_and_not_run_again(
    world: World, steps: Steps
) -> None:
    steps.fail("committed", CommitUnknown())
    answers = await world.submit(moving(CASH, MINE), moving(CASH, MINE, key="k"))
    assert codes(answers) == ["200", "200"]
    assert await world.balance(MINE) == 2
    assert steps.count()["write"] == 1


async def test_a_lost_commit_that_was_undone_is_run_again(world: World, steps: Steps) -> None:
    steps.fail("commit", CommitUnknown())
    answers = await world.submit(moving(CASH, MINE), moving(CASH, MINE, key="k"))
    assert codes(answers) == ["200", "200"]
    assert await world.balance(MINE) == 2
    assert steps.count()["write"] == 2


async def test_a_lost_commit_is_asked_about_until_the_store_can_say(
    world: World, steps: Steps
) -> None:
    steps.fail("committed", CommitUnknown())
    steps.fail("outcome", *[StoreUnavailable()] * 5)
    assert codes(await world.submit(moving(CASH, MINE))) == ["200"]
    assert await world.balance(MINE) == 1
    assert steps.count()["outcome"] == 6


@pytest.mark.parametrize("step", ["commit", "committed"])
@pytest.mark.parametrize("reason", ["silent", "ignorant"])
async def test_a_lost_commit_nobody_can_tell_of_is_unavailable_and_never_run_again(
    world: World, steps: Steps, memory: Memory, step: str, reason: str
) -> None:
    steps.fail(step, CommitUnknown())
    tries = lane_module.OUTCOME_TRIES
    if reason == "silent":
        steps.fail("outcome", *[StoreUnavailable()] * tries)
    else:
        memory.outcomes = _Forgetful()
    answers = await world.submit(moving(CASH, MINE), moving(CASH, MINE, key="k"))
    assert codes(answers) == ["unavailable", "unavailable"]
    assert steps.count()["write"] == 1
    assert steps.count()["outcome"] == tries
    assert await world.balance(MINE) == (2 if step == "committed" else 0)
    # With its key it is asked for again, safely.
    assert codes(await world.submit(moving(CASH, MINE, key="k"))) == ["200"]
    assert await world.balance(MINE) == (2 if step == "committed" else 1)


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_commit_that_was_lost_in_a_crash_is_run_again_though_its_id_was_given_anew(
    world: World, steps: Steps, memory: Memory, key: str | None
) -> None:
    steps.fail("commit", CommitUnknown())
    memory.outcomes = _Anew()
    assert codes(await world.submit(moving(CASH, MINE, key=key))) == ["200"]
    assert await world.balance(MINE) == 1
    assert steps.count()["write"] == 2


async def test_a_refusal_that_was_lost_in_a_crash_is_decided_and_remembered_again(
    world: World, steps: Steps, memory: Memory
) -> None:
    steps.fail("commit", CommitUnknown())
    memory.outcomes = _Anew()
    (answer,) = await world.submit(moving(MINE, CASH, key="k"))
    assert isinstance(answer, Answer)
    assert answer.status == 402
    assert len(memory.rows(ANSWER).all()) == 1
    assert steps.count()["write"] == 2


async def test_what_wrote_no_row_of_its_own_is_taken_for_kept_as_the_store_says(
    world: World, steps: Steps
) -> None:
    blocked = Address(False, "stranger", None, blocked=True)
    steps.fail("committed", CommitUnknown())
    answers = await world.submit(command(lambda tx: tx.list_address(blocked)))
    assert codes(answers) == ["200"]
    assert steps.count()["write"] == 1
    assert await world.store.find(ADDRESS.key, [(False, "stranger")]) == [tuple(blocked)]


class _Anew(list):  # type: ignore[type-arg]
    """A store that crashed, and gave the ids that it had forgotten to transactions it kept."""

    def __getitem__(self, at: Any) -> Any:
        return "committed"


class _Forgetful(list):  # type: ignore[type-arg]
    """A store that took over from another, and does not know its transactions."""

    def __len__(self) -> int:
        return 0


# The end


async def test_closing_finishes_what_was_submitted(memory: Memory, steps: Steps) -> None:
    world = World(memory, weight_max=2)
    world.engine.start()
    held = steps.hold("commit")
    asked = [asyncio.create_task(world.engine.submit(moving(CASH, MINE))) for _ in range(6)]
    await held.arrived()
    closing = asyncio.create_task(world.engine.close())
    await settle()
    assert not closing.done()
    with pytest.raises(ApiError, match="unavailable"):
        await world.engine.submit(moving(CASH, MINE, key="late"))
    held.release()
    await closing
    assert [task.result().status for task in asked] == [200] * 6
    assert await world.balance(MINE) == 6
    assert memory.lanes == set()


async def test_an_engine_that_never_served_closes_too(memory: Memory) -> None:
    async with World(memory, lanes=3).running():
        pass
    assert memory.lanes == set()


async def test_lanes_share_the_work_and_each_books_on_shards_of_its_own(
    memory: Memory, steps: Steps
) -> None:
    async with World(memory, lanes=2).running() as world:
        held = steps.hold("commit")
        first = asyncio.create_task(world.submit(command(lambda tx: tx.lane, key="1")))
        await held.arrived()
        (second,) = await world.submit(command(lambda tx: tx.lane, key="2"))
        held.release()
        (answer,) = await first
    assert isinstance(answer, Answer)
    assert isinstance(second, Answer)
    assert {answer.body, second.body} == {b"0", b"1"}


async def test_whoever_goes_away_disturbs_nobody(world: World, steps: Steps) -> None:
    held = steps.hold("commit")
    asked = [asyncio.create_task(world.engine.submit(moving(CASH, MINE))) for _ in range(3)]
    await held.arrived()
    asked[1].cancel()
    held.release()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [Answer, asyncio.CancelledError, Answer]
    assert await world.balance(MINE) == 3


async def test_who_waits_too_long_for_a_batch_is_told_to_try_again_and_nothing_was_done(
    world: World, steps: Steps, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "QUEUE_SECONDS_MAX", 0.02)
    monkeypatch.setattr(engine_module, "SWEEP_SECONDS", 0.01)
    held = steps.hold("load")
    first = asyncio.create_task(world.submit(moving(CASH, MINE)))
    await held.arrived()
    (answer,) = await world.submit(moving(CASH, MINE, key="k"))
    assert (refused(answer).code, refused(answer).headers) == ("unavailable", {"Retry-After": "1"})
    assert not first.done()
    held.release()
    assert codes(await first) == ["200"]
    assert await world.balance(MINE) == 1
    assert memory.rows(ANSWER).all() == []
    assert codes(await world.submit(moving(CASH, MINE, key="k"))) == ["200"]
    assert await world.balance(MINE) == 2
