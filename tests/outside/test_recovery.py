"""What nobody knows is asked about until somebody does: never done twice, never guessed."""

import asyncio

import pytest

from commerce.engine.agenda import JOB, Job
from commerce.engine.answers import ANSWER
from commerce.engine.outside import errand
from commerce.store.memory import Memory
from commerce.store.session import CommitUnknown, StoreUnavailable
from tests.engine.world import Steps, World, settle
from tests.outside import parcel as parcels_module
from tests.outside.parcel import Office, Parcel, Stop, outside
from tests.outside.scene import ACCOUNT, Scene, read, refusal
from tests.outside.test_pending import parcels


def parcel(memory: Memory) -> Parcel:
    (found,) = parcels(memory)
    return found


def jobs(memory: Memory) -> list[Job]:
    return [Job.of(row) for row in memory.rows(JOB).all()]


def impatient(scene: Scene) -> None:
    scene.world.engine.outside._seconds_max = 0.05


# Silence


async def test_a_call_that_takes_too_long_is_answered_as_unknown_and_resolved_later(
    scene: Scene, office: Office, memory: Memory
) -> None:
    impatient(scene)
    office.hook = Stop("after")
    first = await scene.send("k")
    now = scene.world.now()
    assert first.status == 201
    assert (read(first)["status"], read(first)["unknown_since"]) == ("processing", now)
    assert (await scene.key("k")).status == "completed"
    assert await scene.recover(59) == 0
    assert await scene.recover(1) == 1
    assert (parcel(memory).status, parcel(memory).unknown_since) == ("sent", None)
    assert jobs(memory) == []
    again = await scene.send("k")
    assert (again.body, again.replayed) == (first.body, True)
    assert len(office.took) == 1


async def test_a_call_that_never_arrived_is_finished_as_failed_and_not_made_again(
    scene: Scene, office: Office, memory: Memory
) -> None:
    impatient(scene)
    stop = office.hook = Stop("before")
    await scene.send("k")
    await scene.recover()
    assert (parcel(memory).status, parcel(memory).failure_code) == ("failed", "processing_error")
    stop.release()
    await settle()
    assert office.seen == []


async def test_an_error_of_the_other_side_says_nothing_of_what_it_did(
    scene: Scene, office: Office, memory: Memory
) -> None:
    async def fail(_: str) -> None:
        raise ConnectionResetError

    office.hook = fail
    first = await scene.send("k")
    assert read(first)["unknown_since"] == scene.world.now()
    assert parcel(memory).status == "processing"


async def test_who_stays_silent_is_asked_with_growing_pauses_until_they_speak(
    scene: Scene, office: Office, memory: Memory
) -> None:
    async def fail(_: str) -> None:
        raise ConnectionResetError

    office.hook = fail
    await scene.send("k")
    since, pauses = parcel(memory).unknown_since, []
    due = jobs(memory)[0].due_at or 0
    for _ in range(14):
        assert await scene.recover(due - scene.world.now()) == 1
        (job,) = jobs(memory)
        pauses.append((job.due_at or 0) - due)
        due = job.due_at or 0
        assert (parcel(memory).status, parcel(memory).unknown_since) == ("processing", since)
    assert pauses == [min(2**times, 3600) for times in range(14)]
    office.took[parcel(memory).id] = "track-late"
    del office.hook
    office.hook = Stop("never")
    assert await scene.recover(3600) == 1
    assert (parcel(memory).status, parcel(memory).tracking) == ("sent", "track-late")
    assert jobs(memory) == []


# Processes that die, and commits that are lost


async def abandon(scene: Scene) -> None:
    """Have a process end as if it had been killed: what is outside never comes back."""
    for task in list(scene.world.engine.errands._tasks):
        task.cancel()
    await settle()


@pytest.mark.parametrize("point", ["before", "after"])
async def test_what_a_process_that_died_had_asked_is_finished_by_another(
    scene: Scene, other: Scene, office: Office, memory: Memory, point: str
) -> None:
    stop = office.hook = Stop(point)
    asked = asyncio.create_task(refusal(scene.send("k")))
    await stop.arrived()
    await abandon(scene)
    assert await asked == "unavailable"
    assert parcel(memory).status == "processing"
    assert (await other.key("k")).status == "in_progress"
    await other.recover()
    found = {"before": ("failed", 402), "after": ("sent", 201)}[point]
    again = await other.send("k")
    assert (parcel(memory).status, again.status) == found
    assert again.replayed
    assert read(again).get("parcel", read(again).get("id")) == parcel(memory).id
    assert len(parcels(memory)) == 1


async def test_while_the_other_side_is_silent_after_a_crash_the_answer_says_so(
    scene: Scene, other: Scene, office: Office, memory: Memory
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(refusal(scene.send("k")))
    await stop.arrived()
    await abandon(scene)
    await asked

    async def fail(_: str) -> None:
        raise ConnectionResetError

    office.hook = fail
    await other.recover()
    assert parcel(memory).unknown_since == other.world.now()
    first = await other.send("k")
    assert (first.status, read(first)["status"]) == (201, "processing")
    office.hook = Stop("never")
    await other.recover(3600)
    assert parcel(memory).status == "sent"
    assert (await other.send("k")).body == first.body


async def test_an_answer_that_is_expanded_is_so_when_another_process_gives_it(
    scene: Scene, other: Scene, office: Office
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(refusal(scene.send("k", "me", ("customer",), customer="cust_x")))
    await stop.arrived()
    await abandon(scene)
    await asked
    await other.recover()
    again = await other.send("k", "me", ("customer",), customer="cust_x")
    # Nobody of that id is there, so it stays one; the answer is kept by itself all the same.
    assert (read(again)["customer"], read(again)["status"]) == ("cust_x", "sent")


@pytest.mark.parametrize("kept", [True, False])
async def test_a_second_commit_whose_answer_is_lost_is_asked_about(
    scene: Scene, office: Office, steps: Steps, memory: Memory, kept: bool
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    steps.fail("committed" if kept else "commit", CommitUnknown("lost"))
    stop.release()
    first = await asked
    assert read(first)["status"] == "sent"
    assert (await scene.send("k")).body == first.body
    assert len(office.seen) == len(parcels(memory)) == 1
    await settle()
    assert jobs(memory) == []


@pytest.mark.parametrize("kept", [True, False])
async def test_a_first_commit_whose_answer_is_lost_is_asked_about_before_anything_is(
    scene: Scene, office: Office, steps: Steps, memory: Memory, kept: bool
) -> None:
    steps.fail("committed" if kept else "commit", CommitUnknown("lost"))
    assert read(await scene.send("k"))["status"] == "sent"
    assert len(office.seen) == len(parcels(memory)) == 1
    assert office.seen[0].key == parcel(memory).id


async def test_a_second_commit_that_cannot_be_made_is_made_by_the_recovery(
    scene: Scene, office: Office, steps: Steps, memory: Memory
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(refusal(scene.send("k")))
    await stop.arrived()
    steps.fail("write", StoreUnavailable("gone"))
    stop.release()
    assert await asked == "unavailable"
    assert parcel(memory).status == "processing"
    await scene.recover()
    again = await scene.send("k")
    assert (again.status, read(again)["status"], again.replayed) == (201, "sent", True)
    assert len(office.seen) == 1


@pytest.mark.parametrize("key", ["k", None])
async def test_who_comes_back_after_the_recovery_finds_it_done(
    scene: Scene, other: Scene, office: Office, memory: Memory, key: str | None
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(scene.send(key))
    await stop.arrived()
    await other.recover()
    assert parcel(memory).status == "sent"
    version = memory.rows(Parcel.__noun__.table).all()[0][3]
    stop.release()
    if key is None:
        assert await refusal(asked) == "unavailable"
    else:
        assert read(await asked)["status"] == "sent"
        assert (await scene.send(key)).body == (await asked).body
    assert memory.rows(Parcel.__noun__.table).all()[0][3] == version


async def test_two_workers_that_ask_at_once_finish_it_once(
    scene: Scene, other: Scene, office: Office, memory: Memory
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(refusal(scene.send("k")))
    await stop.arrived()
    await abandon(scene)
    await asked
    scene.world.clock.advance(60)
    await asyncio.gather(scene.worker.turn(), other.worker.turn())
    assert parcel(memory).status == "sent"
    assert memory.rows(Parcel.__noun__.table).all()[0][3] == 2
    assert jobs(memory) == []


async def test_a_key_that_was_forgotten_and_used_anew_keeps_its_own_answer(
    scene: Scene, other: Scene, office: Office, memory: Memory
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(refusal(scene.send("k")))
    await stop.arrived()
    await abandon(scene)
    await asked
    scene.world.clock.advance(24 * 60 * 60 + 1)
    stop = office.hook = Stop("after")
    second = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    assert await other.worker.turn() == 1
    assert (await other.key("k")).status == "in_progress"
    stop.release()
    await second
    assert {each.status for each in parcels(memory)} == {"sent"}
    assert read(await second)["id"] != office.asked[0]
    assert (await scene.send("k")).body == (await second).body


async def test_a_key_that_was_forgotten_meanwhile_stays_so(
    scene: Scene, other: Scene, office: Office, memory: Memory
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(refusal(scene.send("k")))
    await stop.arrived()
    await abandon(scene)
    await asked
    await memory.forget(ANSWER, [(ACCOUNT, False, "k")], created_before=2**40)
    await other.recover()
    assert parcel(memory).status == "sent"
    assert await refusal(other.key("k")) == "resource_missing"


async def test_who_comes_back_while_the_recovery_clears_up_changes_nothing_either(
    scene: Scene, other: Scene, office: Office, steps: Steps, memory: Memory
) -> None:
    stop = office.hook = Stop("after")
    asked = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    held = steps.hold("forget")
    recovering = asyncio.create_task(other.recover())
    await held.arrived()
    assert [job.due_at for job in jobs(memory)] == [None]
    stop.release()
    assert read(await asked)["status"] == "sent"
    held.release()
    await recovering
    assert memory.rows(Parcel.__noun__.table).all()[0][3] == 2


# An engine that closes


async def test_an_engine_that_closes_waits_for_who_is_outside(
    memory: Memory, office: Office
) -> None:
    stop = office.hook = Stop("after")
    async with World(memory).running() as world:
        asked = asyncio.create_task(Scene(world, outside(office)).send("k"))
        await stop.arrived()
        asyncio.get_running_loop().call_later(0.1, stop.release)
    assert read(await asked)["status"] == "sent"


async def test_an_engine_that_closes_leaves_to_the_recovery_what_takes_too_long(
    memory: Memory, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errand, "CLOSING_SECONDS", 0.05)
    stop = office.hook = Stop("after")
    async with World(memory).running() as world:
        asked = asyncio.create_task(refusal(Scene(world, outside(office)).send("k")))
        await stop.arrived()
    assert await asked == "unavailable"
    async with World(memory, world.clock).running() as next_world:
        await Scene(next_world, outside(office)).recover()
    assert parcel(memory).status == "sent"


async def test_a_verb_that_fails_to_finish_is_tried_again_and_tells_nobody_a_story(
    scene: Scene, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = parcels_module.deliver.__finish__._replace(run=_break)  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr(parcels_module.deliver, "__finish__", broken)
        with pytest.raises(ZeroDivisionError):
            await scene.send("k")
    assert parcel(memory).status == "processing"
    await scene.recover()
    assert parcel(memory).status == "sent"


def _break(*_: object) -> None:
    raise ZeroDivisionError
