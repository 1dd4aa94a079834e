"""One key is one request: one effect and one answer, however often and wherever it is sent."""

import asyncio

import pytest

from commerce.areas.identity import api_key
from commerce.engine import engine as engine_module
from commerce.engine.answers import ANSWER, KEPT_SECONDS, Answer
from commerce.engine.outbox import EVENT
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.ledger.directory import ADDRESS
from commerce.store.memory import Memory
from tests.engine.world import FEE, Steps, World, code, codes, command, moving, purse, settle


def bodies(answers: list[Answer | BaseException]) -> set[bytes]:
    return {answer.body for answer in answers if isinstance(answer, Answer)}


async def test_a_repeated_key_moves_money_once_and_is_answered_byte_for_byte(world: World) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    first = await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))
    again = await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.object_id == first.object_id
    assert (first.replayed, again.replayed) == (False, True)
    assert await world.available(bob) == 10_000_000
    assert await world.available(alice) == 90_000_000 - FEE


async def test_without_a_key_a_repeated_request_is_another_one(world: World) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    for _ in range(2):
        await world.engine.submit(world.transfer(alice, bob, "10.00"))
    assert await world.available(bob) == 20_000_000


async def test_a_stored_answer_is_fetched_only_when_its_key_turns_out_to_be_taken(
    world: World, steps: Steps
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    steps.taken.clear()
    await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))
    assert steps.taken == ["begin", "load", "write", "commit", "committed"]
    steps.taken.clear()
    await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))
    # The answer, and the event in which its body stands.
    assert steps.taken == ["begin", "load", "write", "read", "read"]


async def test_a_body_that_an_event_holds_is_kept_once(world: World, memory: Memory) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    answer = await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))
    (kept,) = memory.rows(ANSWER).all()
    (event,) = [row for row in memory.rows(EVENT).all() if row[2] == kept[5]]
    assert kept[6:8] == (None, None)
    assert event[9].encode() == answer.body


async def test_a_key_that_comes_twice_at_once_is_one_request(world: World) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    twice = [world.transfer(alice, bob, "10.00", "k") for _ in range(3)]
    answers = await world.submit(*twice)
    assert codes(answers) == ["201"] * 3
    assert len(bodies(answers)) == 1
    assert await world.available(bob) == 10_000_000


async def test_a_key_in_flight_is_waited_for(world: World, steps: Steps) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    held = steps.hold("commit")
    first = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k")))
    await held.arrived()
    second = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k")))
    await settle()
    assert not second.done()
    held.release()
    assert (await second).body == (await first).body
    assert (await second).replayed
    assert await world.available(bob) == 10_000_000


async def test_a_key_whose_first_request_came_to_nothing_is_free_for_who_waited(
    world: World, steps: Steps
) -> None:
    refusals = [ApiError("resource_missing")]

    def verb(_: Tx) -> str:
        if refusals:
            raise refusals.pop()
        return "done"

    held = steps.hold("load")
    first = asyncio.create_task(world.submit(command(verb, key="k")))
    await held.arrived()
    second = asyncio.create_task(world.submit(command(verb, key="k")))
    await settle()
    held.release()
    assert codes([*await first, *await second]) == ["resource_missing", "200"]


async def test_a_key_in_flight_too_long_is_in_use_and_no_longer_once_answered(
    world: World, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine_module.WAIT_SECONDS == 5.0
    monkeypatch.setattr(engine_module, "WAIT_SECONDS", 0.02)
    alice, bob = await world.open("100.00"), await world.open()
    held = steps.hold("commit")
    first = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k")))
    await held.arrived()
    with pytest.raises(ApiError) as caught:
        await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))
    assert caught.value.code == "idempotency_key_in_use"
    assert caught.value.headers == {"Retry-After": "1"}
    held.release()
    await first
    assert (await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))).replayed
    assert await world.available(bob) == 10_000_000


async def test_a_key_in_flight_in_another_engine_is_waited_for(
    world: World, other: World, steps: Steps
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    held = steps.hold("commit")
    first = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k")))
    await held.arrived()
    second = asyncio.create_task(other.engine.submit(other.transfer(alice, bob, "10.00", "k")))
    await settle()
    assert not second.done()
    held.release()
    assert (await second).body == (await first).body
    assert (await second).replayed
    assert await world.available(bob) == 10_000_000


async def test_a_key_in_flight_in_another_engine_too_long_is_in_use(
    world: World, other: World, memory: Memory, steps: Steps
) -> None:
    memory.lock_timeout_seconds = 0.02
    held = steps.hold("commit")
    first = asyncio.create_task(world.engine.submit(command(lambda _: "first", key="k")))
    await held.arrived()
    answers = await other.submit(command(lambda _: "second", key="k"), command(lambda _: "third"))
    assert codes(answers) == ["idempotency_key_in_use", "200"]
    held.release()
    assert (await first).body == b"first"


async def test_a_row_held_too_long_is_not_a_key_in_use(
    world: World, other: World, memory: Memory, steps: Steps
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    memory.lock_timeout_seconds = 0.02
    held = steps.hold("commit")
    first = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k1")))
    await held.arrived()
    assert codes(await other.submit(other.transfer(alice, bob, "10.00", "k2"))) == ["unavailable"]
    held.release()
    await first
    assert codes(await other.submit(other.transfer(alice, bob, "10.00", "k2"))) == ["201"]


async def test_a_key_with_another_request_is_refused_whoever_holds_it(
    world: World, other: World, steps: Steps
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    held = steps.hold("commit")
    first = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k")))
    await held.arrived()
    there = asyncio.create_task(other.submit(other.transfer(alice, bob, "11.00", "k")))
    here = asyncio.create_task(world.submit(world.transfer(alice, bob, "12.00", "k")))
    await settle()
    held.release()
    await first
    later = await world.submit(world.transfer(alice, bob, "13.00", "k"))
    assert codes([*await there, *await here, *later]) == ["idempotency_key_reused"] * 3
    assert await world.available(bob) == 10_000_000


async def test_a_key_is_of_one_account(world: World) -> None:
    answers = await world.submit(
        command(lambda _: "mine", key="k"), command(lambda _: "yours", key="k", account="acct_2")
    )
    assert bodies(answers) == {b"mine", b"yours"}


async def test_a_taken_key_does_not_disturb_those_who_share_its_batch(world: World) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    await world.submit(world.transfer(alice, bob, "10.00", "k"))
    answers = await world.submit(
        world.transfer(alice, bob, "1.00", "new"),
        world.transfer(alice, bob, "10.00", "k"),
        world.transfer(alice, bob, "2.00"),
        world.transfer(alice, bob, "99.00", "k"),
    )
    assert codes(answers) == ["201", "201", "201", "idempotency_key_reused"]
    assert await world.available(bob) == 13_000_000


# Refusals


async def test_a_refusal_by_state_is_remembered_although_its_work_is_undone(
    world: World, memory: Memory
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    first = await world.engine.submit(world.transfer(alice, bob, "500.00", "k"))
    assert (first.status, code(first)) == (402, "insufficient_funds")
    assert len(memory.rows(ANSWER).all()) == 1
    await world.fund(alice, "1000.00")
    again = await world.engine.submit(world.transfer(alice, bob, "500.00", "k"))
    assert (again.status, again.body, again.replayed) == (402, first.body, True)
    assert await world.available(bob) == 0
    assert codes(await world.submit(world.transfer(alice, bob, "500.00", "new"))) == ["201"]


async def test_a_refused_request_leaves_only_its_answer_behind(
    world: World, memory: Memory
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    before = {table: rows.all() for table, rows in memory._tables.items() if table is not ANSWER}
    await world.submit(world.transfer(alice, bob, "500.00", "k"))
    after = {table: rows.all() for table, rows in memory._tables.items() if table is not ANSWER}
    assert after == before


async def test_a_refusal_that_a_later_try_may_change_is_not_remembered(
    world: World, memory: Memory
) -> None:
    refusals = [ApiError("resource_missing"), ApiError("sanctioned_party")]

    def verb(_: Tx) -> str:
        if refusals:
            raise refusals.pop(0)
        return "done"

    assert codes(await world.submit(command(verb, key="k"))) == ["resource_missing"]
    assert memory.rows(ANSWER).all() == []
    assert codes(await world.submit(command(verb, key="k"))) == ["sanctioned_party"]
    assert codes(await world.submit(command(verb, key="k"))) == ["sanctioned_party"]


@pytest.mark.parametrize("later", ["resource_missing", "parameter_invalid"])
async def test_a_retry_gets_its_first_answer_though_what_it_names_has_gone_since(
    world: World, later: str
) -> None:
    gone = False

    def verb(_: Tx) -> str:
        if gone:
            raise ApiError(later)
        return "done"

    first = await world.engine.submit(command(verb, key="k"))
    gone = True
    again = await world.engine.submit(command(verb, key="k"))
    assert (again.body, again.replayed) == (first.body, True)
    other = command(verb, key="k", fingerprint=b"other")
    assert codes(await world.submit(other)) == ["idempotency_key_reused"]
    assert codes(await world.submit(command(verb, key="new"))) == [later]


@pytest.mark.parametrize("later", ["api_key_revoked", "insufficient_permissions"])
async def test_a_caller_who_may_not_ask_any_more_gets_no_replay(world: World, later: str) -> None:
    refusals = [None, ApiError(later)]

    def verb(_: Tx) -> str:
        if refusal := refusals.pop(0):
            raise refusal
        return "done"

    assert codes(await world.submit(command(verb, key="k"))) == ["200"]
    assert codes(await world.submit(command(verb, key="k"))) == [later]


async def test_a_refusal_without_a_key_is_raised_and_forgotten(
    world: World, memory: Memory
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    with pytest.raises(ApiError, match="insufficient_funds"):
        await world.engine.submit(world.transfer(alice, bob, "500.00"))
    assert memory.rows(ANSWER).all() == []


# Time, and who went away


async def test_an_answer_is_remembered_for_a_day_and_then_forgotten(
    world: World, memory: Memory
) -> None:
    alice, bob = await world.open("100.00"), await world.open()
    await world.submit(world.transfer(alice, bob, "10.00", "k"))
    world.clock.advance(KEPT_SECONDS)
    assert (await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))).replayed
    world.clock.advance(1)
    answer = await world.engine.submit(world.transfer(alice, bob, "10.00", "k"))
    assert (answer.status, answer.replayed) == (201, False)
    assert await world.available(bob) == 20_000_000
    (kept,) = memory.rows(ANSWER).all()
    assert kept[9] == world.clock.now_ms() // 1000


async def test_whoever_goes_away_has_asked_all_the_same(world: World, steps: Steps) -> None:
    """The first is cancelled while it waits for its batch, and its key comes again."""
    alice, bob = await world.open("100.00"), await world.open()
    held = steps.hold("commit")
    busy = asyncio.create_task(world.submit(command(lambda _: "busy", key="busy")))
    await held.arrived()
    gone = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k")))
    await settle()
    gone.cancel()
    await settle()
    again = asyncio.create_task(world.engine.submit(world.transfer(alice, bob, "10.00", "k")))
    held.release()
    async with asyncio.timeout(5):
        answer = await again
    await busy
    assert answer.status == 201
    assert await world.available(bob) == 10_000_000


# Secrets


async def test_a_secret_is_remembered_sealed_and_replayed_byte_for_byte(
    world: World, memory: Memory
) -> None:
    alice = await world.open()
    params = api_key.CreateApiKey(type="secret")
    ask = world.call(api_key.create, alice.caller, params, "k")
    first = await world.engine.submit(ask)
    secret = first.body.partition(b'"secret":"')[2].partition(b'"')[0]
    assert api_key.well_formed(secret.decode())
    again = await world.engine.submit(ask)
    assert (again.body, again.replayed) == (first.body, True)
    (kept,) = memory.rows(ANSWER).all()
    assert kept[5:7] == (None, None)
    assert kept[7]
    for rows in memory._tables.values():
        assert secret.decode() not in repr(rows.all())
        assert secret not in b"".join(v for row in rows.all() for v in row if type(v) is bytes)


async def test_a_sealed_answer_opens_under_its_own_key_only(world: World, memory: Memory) -> None:
    alice = await world.open()
    params = api_key.CreateApiKey(type="secret")
    await world.submit(world.call(api_key.create, alice.caller, params, "k"))
    (kept,) = memory.rows(ANSWER).all()
    moved = (kept[0], kept[1], "stolen", *kept[3:])
    memory.rows(ANSWER).put(ANSWER.key.of(moved), moved)
    answers = await world.submit(world.call(api_key.create, alice.caller, params, "stolen"))
    assert isinstance(answers[0], ValueError)


async def test_rows_that_only_one_of_two_engines_can_make_are_made_once(
    world: World, other: World, steps: Steps
) -> None:
    """Both write a new wallet into the directory; the slower one is run again and finds it."""
    key = (False, "addr")

    def verb(tx: Tx) -> str:
        if tx._overlay.read(ADDRESS.key, key) is not None:
            return "found"
        tx._overlay.put(ADDRESS.key, key, (*key, "acct_1", False))
        return "made"

    held = steps.hold("commit")
    first = asyncio.create_task(world.engine.submit(command(verb)))
    await held.arrived()
    second = asyncio.create_task(other.engine.submit(command(verb)))
    await settle()
    held.release()
    assert ((await first).body, (await second).body) == (b"made", b"found")
    assert other.tally.conflicts == 1


async def test_an_answer_given_while_the_clock_was_set_back_is_kept_when_it_is_right_again(
    world: World,
) -> None:
    cash, mine = purse("cash"), purse("mine", guarded=True)
    await world.submit(moving(cash, mine))
    world.clock.advance(-2 * KEPT_SECONDS)
    await world.submit(moving(cash, mine, key="k"))
    world.clock.advance(2 * KEPT_SECONDS)
    (answer,) = await world.submit(moving(cash, mine, key="k"))
    assert isinstance(answer, Answer)
    assert answer.replayed
    assert await world.balance(mine) == 2
