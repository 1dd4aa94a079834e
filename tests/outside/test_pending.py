"""A verb in two commits: what is kept first, what is asked, and what is answered."""

import asyncio

import pytest

from commerce.areas.customers import customer
from commerce.engine import engine as engine_module
from commerce.engine.agenda import JOB, Job
from commerce.engine.answers import ANSWER, RUNNING, Remembered
from commerce.engine.outbox import EVENT
from commerce.resource import expansion
from commerce.store.memory import Memory
from tests.engine.world import Steps, command, settle
from tests.outside.parcel import SECRET, Office, Parcel, Stop
from tests.outside.scene import ACCOUNT, Scene, read, refusal

PARCEL = Parcel.__noun__.table
EVENT_TYPE = EVENT.names.index("type")


def parcels(memory: Memory) -> list[Parcel]:
    return [Parcel.__noun__.thing(row) for row in memory.rows(PARCEL).all()]


def remembered(memory: Memory) -> list[Remembered]:
    return [Remembered.of(row) for row in memory.rows(ANSWER).all()]


async def test_the_answer_is_of_the_second_commit_and_a_retry_gets_the_same(
    scene: Scene, office: Office
) -> None:
    first = await scene.send("k")
    assert (first.status, first.replayed) == (201, False)
    assert read(first) | {"status": "sent", "tracking": "track-me"} == read(first)
    again = await scene.send("k")
    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    assert len(office.seen) == 1


async def test_before_anybody_is_asked_the_first_commit_is_there_for_everybody(
    scene: Scene, office: Office, memory: Memory
) -> None:
    stop = office.hook = Stop("before")
    asked = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    (parcel,) = parcels(memory)
    assert (parcel.status, parcel.unknown_since) == ("processing", None)
    (job,) = [Job.of(row) for row in memory.rows(JOB).all()]
    assert (job.subject, job.due_at) == (parcel.id, scene.world.now() + 60)
    (answer,) = remembered(memory)
    assert (answer.status, answer.object_id) == (RUNNING, parcel.id)
    assert (await scene.key("k")).status == "in_progress"
    stop.release()
    await asked
    assert (await scene.key("k")).status == "completed"
    assert (await scene.key("k")).object_id == parcel.id


async def test_what_is_finished_leaves_no_job_behind(scene: Scene, memory: Memory) -> None:
    await scene.send("k")
    await scene.send("k2", "nobody")
    await settle()
    assert memory.rows(JOB).all() == []
    assert await scene.recover() == 0


async def test_both_commits_tell_what_they_did_and_who_caused_it(
    scene: Scene, memory: Memory
) -> None:
    await scene.send("k")
    events = memory.rows(EVENT).all()
    assert [row[EVENT_TYPE] for row in events] == ["parcel.created", "parcel.sent"]
    assert {row[-2:] for row in events} == {("req_1", "k")}


async def test_a_decline_is_kept_and_answers_an_error_that_names_its_object(
    scene: Scene, memory: Memory
) -> None:
    first = await scene.send("k", "nobody")
    (parcel,) = parcels(memory)
    assert parcel.status == "failed"
    assert first.status == 402
    assert read(first)["code"] == "card_declined"
    assert read(first)["parcel"] == parcel.id
    assert read(first)["request_id"] == "req_1"
    again = await scene.send("k", "nobody")
    assert (again.status, again.body, again.replayed) == (402, first.body, True)
    assert (await scene.key("k")).object_id == parcel.id


async def test_without_a_key_each_request_is_another_one_and_nothing_is_remembered(
    scene: Scene, memory: Memory
) -> None:
    answers = [await scene.send(), await scene.send(None, "nobody")]
    assert [answer.status for answer in answers] == [201, 402]
    assert len(parcels(memory)) == 2
    assert remembered(memory) == []


async def test_what_is_asked_to_be_expanded_is_so_in_the_answer_that_is_remembered(
    scene: Scene,
) -> None:
    params = customer.CreateCustomer(name="Jenny")
    made = await scene.world.operate(customer.create, params, ACCOUNT)
    first = await scene.send("k", "me", ("customer",), customer=made.id)
    assert read(first)["customer"]["name"] == "Jenny"
    assert (await scene.send("k", "me", ("customer",), customer=made.id)).body == first.body
    assert read(await scene.send("k2", customer=made.id))["customer"] == made.id


async def test_what_is_too_large_to_be_expanded_does_not_undo_what_was_done_outside(
    scene: Scene, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = customer.CreateCustomer(name="Jenny")
    made = await scene.world.operate(customer.create, params, ACCOUNT)
    monkeypatch.setattr(expansion, "BYTES_MAX", 10)
    first = await scene.send("k", "me", ("customer",), customer=made.id)
    assert (first.status, read(first)["status"], read(first)["customer"]) == (201, "sent", made.id)
    assert (await scene.send("k", "me", ("customer",), customer=made.id)).body == first.body
    assert len(office.seen) == 1


async def test_what_may_not_be_kept_is_in_no_row_and_no_line(
    scene: Scene, office: Office, memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    office.hook = Stop("after")
    scene.world.engine.outside._seconds_max = 0.01
    await scene.send("k")
    assert office.seen[0].secret == SECRET
    assert SECRET not in repr(office.seen)
    assert SECRET not in "".join(repr(rows.all()) for rows in memory._tables.values())
    written = capsys.readouterr().out
    assert "outside_silent" in written
    assert SECRET not in written


# The same key again, meanwhile


async def test_a_retry_during_the_call_waits_for_the_answer(scene: Scene, office: Office) -> None:
    stop = office.hook = Stop("after")
    first = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    second = asyncio.create_task(scene.send("k"))
    await settle()
    assert not second.done()
    stop.release()
    assert (await second).body == (await first).body
    assert (await second).replayed
    assert len(office.seen) == 1


async def test_a_retry_during_the_call_in_another_process_waits_for_the_answer(
    scene: Scene, other: Scene, office: Office
) -> None:
    stop = office.hook = Stop("after")
    first = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    second = asyncio.create_task(other.send("k"))
    await asyncio.sleep(0.15)
    assert not second.done()
    assert (await other.key("k")).status == "in_progress"
    stop.release()
    assert (await second).body == (await first).body
    assert (await second).replayed
    assert len(office.seen) == 1


async def test_a_retry_during_a_long_call_is_told_that_the_key_is_in_use(
    scene: Scene, other: Scene, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine_module.WAIT_SECONDS == 5.0
    monkeypatch.setattr(engine_module, "WAIT_SECONDS", 0.2)
    stop = office.hook = Stop("after")
    first = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    for each in (scene, other):
        assert await refusal(each.send("k")) == "idempotency_key_in_use"
        assert await refusal(each.send("k", "elsewhere")) in {
            "idempotency_key_in_use",
            "idempotency_key_reused",
        }
    assert await refusal(other.send("k", "elsewhere")) == "idempotency_key_reused"
    stop.release()
    await first
    assert len(office.seen) == 1


async def test_who_goes_away_during_the_call_has_asked_all_the_same(
    scene: Scene, office: Office
) -> None:
    stop = office.hook = Stop("after")
    gone = asyncio.create_task(scene.send("k"))
    await stop.arrived()
    gone.cancel()
    await settle()
    again = asyncio.create_task(scene.send("k"))
    await settle()
    stop.release()
    assert read(await again)["status"] == "sent"
    assert (await again).replayed
    assert len(office.seen) == 1


async def test_a_verb_that_asks_nobody_takes_no_step_more(scene: Scene, steps: Steps) -> None:
    await scene.world.engine.submit(command(lambda _: "open the session"))
    steps.taken.clear()
    await scene.world.engine.submit(command(lambda _: "done", key="k"))
    assert steps.taken == ["begin", "load", "write", "commit", "committed"]
    steps.taken.clear()
    await scene.send("k2")
    await settle()
    both = ["begin", "load", "write", "commit", "committed"] * 2
    assert steps.taken == [*both, "forget"]
