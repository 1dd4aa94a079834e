"""How long a command may be kept waiting, whatever the store does: there is always an end."""

import asyncio

import pytest

from commerce.engine import engine as engine_module
from commerce.engine import lane as lane_module
from commerce.kernel.errors import ApiError
from commerce.ledger.account import BALANCE
from commerce.resource import reading as reading_module
from commerce.resource.reading import Reader
from commerce.store.memory import Memory
from commerce.store.session import CommitUnknown, LockTimeout, StoreUnavailable
from tests.engine.world import Steps, World, codes, moving, purse, settle

CASH, MINE = purse("cash"), purse("mine", guarded=True)
KEY = MINE.shard(0)


async def test_who_is_too_old_is_not_tried_alone_when_the_batch_could_not_be_kept(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them may wait for the same lock, one after another."""
    assert lane_module.ALONE_SECONDS_MAX == 10.0
    steps.fail("load", LockTimeout(), LockTimeout())
    answers = await world.submit(*(moving(CASH, MINE) for _ in range(3)))
    assert codes(answers[1:]) == ["200", "200"], "the young ones are tried"
    monkeypatch.setattr(lane_module, "ALONE_SECONDS_MAX", -1)
    steps.fail("load", LockTimeout())
    answers = await world.submit(*(moving(CASH, MINE) for _ in range(3)))
    assert codes(answers) == ["unavailable"] * 3
    assert {
        answer.headers["Retry-After"] for answer in answers if isinstance(answer, ApiError)
    } == {"1"}
    assert await world.balance(MINE) == 2, "nothing was done for them"


async def test_what_became_of_a_commit_is_not_asked_for_ever_when_each_answer_fails_slowly(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lane_module.OUTCOME_SECONDS_MAX == 10.0
    monkeypatch.setattr(lane_module, "OUTCOME_SECONDS_MAX", -1)
    steps.fail("commit", CommitUnknown())
    steps.fail("outcome", *[StoreUnavailable()] * 2)
    assert codes(await world.submit(moving(CASH, MINE))) == ["unavailable"]
    assert steps.count()["outcome"] == 1


async def test_those_whose_batch_was_lost_are_told_before_the_line_is_closed(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codes(await world.submit(moving(CASH, MINE))) == ["200"]
    session = world.engine._lanes[0]._session
    assert session is not None
    closing, close = asyncio.Event(), session.close

    async def close_slowly() -> None:
        await closing.wait()
        await close()

    monkeypatch.setattr(session, "close", close_slowly)
    steps.fail("load", StoreUnavailable())
    asking = asyncio.create_task(world.submit(moving(CASH, MINE)))
    done, _ = await asyncio.wait([asking], timeout=2)
    closing.set()
    assert done == {asking}
    assert codes(await asking) == ["unavailable"]
    assert codes(await world.submit(moving(CASH, MINE))) == ["200"]


async def test_a_key_is_waited_for_so_long_in_all_however_many_requests_had_it_before(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "WAIT_SECONDS", 0.5)
    loop, began, held = asyncio.get_running_loop(), 0.0, steps.hold("load")
    first = asyncio.create_task(world.submit(moving(CASH, MINE, key="k")))
    await held.arrived()
    began = loop.time()
    copies = [asyncio.create_task(world.submit(moving(CASH, MINE, key="k"))) for _ in range(2)]
    await asyncio.sleep(0.4)
    steps.fail("load", StoreUnavailable())
    again = steps.hold("load")
    held.release()
    assert codes(await first) == ["unavailable"]
    # One of them has the key now, and for the other one that is no new beginning.
    done, waiting = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    assert [codes(each.result()) for each in done] == [["idempotency_key_in_use"]]
    assert loop.time() - began < 0.75
    again.release()
    assert [codes(await each) for each in waiting] == [["200"]]


@pytest.mark.parametrize(("seconds", "told"), [(-1.0, 3), (5.0, 2)])
async def test_who_stands_in_line_behind_a_read_in_vain_is_told_so_too(
    memory: Memory,
    steps: Steps,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    told: int,
) -> None:
    """Each who took the place would wait as long again; what failed at once is asked again."""
    monkeypatch.setattr(reading_module, "IN_VAIN_SECONDS", seconds)
    reader, asking, gates = Reader(memory), [], []
    for _ in range(reading_module.QUERIES_AT_ONCE_MAX):
        gates.append(steps.hold("read"))
        asking.append(asyncio.create_task(reader.point(BALANCE.key, KEY)))
        await gates[-1].arrived()
    asking.append(asyncio.create_task(reader.point(BALANCE.key, KEY)))
    await settle()
    steps.fail("read", StoreUnavailable(), StoreUnavailable())
    for gate in gates:
        gate.release()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in found].count(StoreUnavailable) == told
    assert steps.count()["read"] == 5 - told
