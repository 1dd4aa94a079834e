"""Scheduled transfers: set aside, made when due, once; cancelled, or failed by a block."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from commerce.areas.identity.account import main_wallet
from commerce.areas.stablecoin.movement import ExecuteTransfer
from commerce.areas.stablecoin.scheduled import execute
from commerce.areas.stablecoin.wallet import need_own_locked
from commerce.engine.caller import Caller
from commerce.engine.overlay import Directory, Needs
from commerce.jobs.worker import Worker
from commerce.kernel.errors import ApiError
from commerce.ledger.account import BALANCE
from commerce.store.session import StoreUnavailable
from tests.ladder import refused
from tests.stage import Party, Stage

ROUTE = "POST /stablecoin/transfer"
HOUR = 3600
OWN = f"acct_{'0' * 26}"


@pytest.fixture
async def friend(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def sender(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    return party


def now(stage: Stage) -> int:
    return stage.clock.now_ms() // 1000


async def schedule(stage: Stage, sender: Party, to: Party, **more: Any) -> dict[str, Any]:
    body = {"to": to.wallet, "amount": "40.00", "scheduled_at": now(stage) + HOUR}
    return await stage.done(ROUTE, sender.key, **(body | more))


async def balances(stage: Stage, party: Party) -> tuple[str, str, str]:
    found = (await stage.get("/stablecoin/balance", party.key))["balances"]
    return found["available"], found["locked"], found["total"]


async def kinds(stage: Stage, party: Party, id_: str) -> list[str]:
    return [event["type"] for event in await stage.events(party, id_)]


async def test_a_scheduled_transfer_sets_aside_its_cost_and_moves_it_when_due(
    stage: Stage, sender: Party, friend: Party
) -> None:
    made = await schedule(stage, sender, friend, memo="rent")
    assert (made["status"], made["transaction"], made["balance_after"]) == (
        *("scheduled", None, "59.99"),
    )
    assert await balances(stage, sender) == ("59.99", "40.01", "100.00")
    await stage.app.worker.turn()
    assert await balances(stage, friend) == ("0.00", "0.00", "0.00")

    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    await stage.app.worker.turn()

    done = await stage.get(f"/stablecoin/transfers/{made['id']}", sender.key)
    assert (done["status"], done["balance_after"]) == ("confirmed", "59.99")
    assert await balances(stage, sender) == ("59.99", "0.00", "59.99")
    assert await balances(stage, friend) == ("40.00", "0.00", "40.00")
    assert await stage.entries(done["transaction"]["id"]) == {
        (sender.id, f"wallet:{sender.wallet}:locked"): 40_010_000,
        (friend.id, f"wallet:{friend.wallet}:available"): -40_000_000,
        ("network", "fees:network"): -10_000,
    }
    types = ["stablecoin.transfer.scheduled", "stablecoin.transferred"]
    assert await kinds(stage, sender, made["id"]) == types
    assert await kinds(stage, friend, done["transaction"]["id"]) == ["stablecoin.received"]
    assert await stage.rows("SELECT * FROM job WHERE subject = $1", made["id"]) == []
    cancel = f"POST /stablecoin/transfers/{made['id']}/cancel"
    await refused(stage, cancel, sender.key, {}, 400, "state_invalid", "'confirmed'")


async def test_a_cancelled_one_gives_its_money_back_and_is_never_made(
    stage: Stage, sender: Party, friend: Party
) -> None:
    made = await schedule(stage, sender, friend)
    cancel = f"POST /stablecoin/transfers/{made['id']}/cancel"
    await refused(stage, cancel, friend.key, {}, 404, "resource_missing")
    done = await stage.done(cancel, sender.key)
    assert (done["status"], done["balance_after"]) == ("cancelled", "100.00")
    assert await balances(stage, sender) == ("100.00", "0.00", "100.00")
    await refused(stage, cancel, sender.key, {}, 400, "state_invalid", "'cancelled'")
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    assert await balances(stage, friend) == ("0.00", "0.00", "0.00")
    types = ["stablecoin.transfer.scheduled", "stablecoin.transfer.cancelled"]
    assert await kinds(stage, sender, made["id"]) == types


@pytest.mark.parametrize("side", ["sender", "friend"])
async def test_where_an_address_was_blocked_meanwhile_it_fails_and_the_money_is_back(
    stage: Stage, sender: Party, friend: Party, side: str
) -> None:
    made = await schedule(stage, sender, friend)
    await stage.block({"sender": sender, "friend": friend}[side].wallet)
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    failed = await stage.get(f"/stablecoin/transfers/{made['id']}", sender.key)
    assert (failed["status"], failed["failure_code"]) == ("failed", "sanctioned_party")
    assert await balances(stage, sender) == ("100.00", "0.00", "100.00")
    types = ["stablecoin.transfer.scheduled", "stablecoin.transfer.failed"]
    assert await kinds(stage, sender, made["id"]) == types


async def test_what_is_set_aside_cannot_be_spent_and_counts_against_the_limits(
    stage: Stage, friend: Party
) -> None:
    sender = await stage.open_account(verification="basic")
    await stage.fund(sender.wallet, "20000.00")
    for _ in range(2):
        await schedule(stage, sender, friend, amount="5000.00")
    body = {"to": friend.wallet, "amount": "1.00"}
    await refused(stage, ROUTE, sender.key, body, 402, "limit_exceeded", "a day")
    rich = await stage.open_account()
    await stage.fund(rich.wallet, "100.00")
    await schedule(stage, rich, friend, amount="99.00")
    await refused(stage, ROUTE, rich.key, body, 402, "insufficient_funds", "0.99")
    past = {**body, "scheduled_at": now(stage)}
    await refused(stage, ROUTE, rich.key, past, 400, "parameter_invalid", "in the future")


async def test_a_scheduled_batch_is_made_row_by_row(
    stage: Stage, sender: Party, friend: Party
) -> None:
    rows = [{"to": friend.wallet, "amount": "1.00"}] * 3
    made = await stage.done(ROUTE, sender.key, transfers=rows, scheduled_at=now(stage) + HOUR)
    assert {each["status"] for each in made["transfers"]} == {"scheduled"}
    assert await balances(stage, sender) == ("96.97", "3.03", "100.00")
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    now_ = await stage.get(f"/stablecoin/batch_transfers/{made['id']}", sender.key)
    assert {each["status"] for each in now_["transfers"]} == {"confirmed"}
    assert await balances(stage, friend) == ("3.00", "0.00", "3.00")


async def test_several_workers_make_each_transfer_once(
    stage: Stage, sender: Party, friend: Party
) -> None:
    rows = [{"to": friend.wallet, "amount": "0.50"}] * 60
    await stage.done(ROUTE, sender.key, transfers=rows, scheduled_at=now(stage) + HOUR)
    stage.clock.advance(HOUR)
    workers = [Worker(stage.app.engine, stage.app.worker.tasks) for _ in range(4)]
    await asyncio.gather(*(worker.turn() for worker in workers))
    assert await balances(stage, friend) == ("30.00", "0.00", "30.00")
    assert await stage.rows("SELECT * FROM job") == []


async def test_jobs_whose_worker_died_before_it_deleted_them_are_swept_by_the_next_one(
    stage: Stage, sender: Party, friend: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schedule(stage, sender, friend)
    left = await schedule(stage, sender, friend)
    await stage.rows("UPDATE job SET due_at = due_at + 3600 WHERE subject = $1", left["id"])
    stage.clock.advance(HOUR)

    async def dies(*_: object, **__: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(stage.app.store, "forget", dies)
        with pytest.raises(StoreUnavailable):
            await stage.app.worker.turn()
    assert len(await stage.rows("SELECT * FROM job WHERE due_at IS NULL")) == 1
    # A clock that was set back meanwhile does not keep it.
    stage.clock.advance(-2 * HOUR)
    await Worker(stage.app.engine, stage.app.worker.tasks).sweep()
    stage.clock.advance(2 * HOUR)
    assert [job["subject"] for job in await stage.rows("SELECT * FROM job")] == [left["id"]]
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    assert await stage.rows("SELECT * FROM job") == []


async def test_before_its_time_it_is_refused_and_a_job_that_fails_is_put_off(
    stage: Stage, sender: Party, friend: Party
) -> None:
    made = await schedule(stage, sender, friend)
    params = ExecuteTransfer(made["id"], sender.wallet, friend.wallet)
    with pytest.raises(ApiError, match="not due"):
        await stage.app.operate(execute, params, account=sender.id, livemode=False)
    early = "UPDATE job SET due_at = due_at - 3600 WHERE subject = $1"
    await stage.rows(early, made["id"])
    for attempts in (1, 2):
        await stage.app.worker.turn()
        (job,) = await stage.rows("SELECT * FROM job WHERE subject = $1", made["id"])
        assert (job["attempts"], job["problem"]) == (attempts, "state_invalid")
        assert job["due_at"] == now(stage) + attempts
        stage.clock.advance(attempts)
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    assert await balances(stage, friend) == ("40.00", "0.00", "40.00")


async def test_a_job_that_is_not_due_any_more_when_it_is_run_is_kept(
    stage: Stage, sender: Party, friend: Party
) -> None:
    await schedule(stage, sender, friend)
    stage.clock.advance(HOUR)
    turn = asyncio.create_task(stage.app.worker.turn())
    await asyncio.sleep(0)
    # While it is looked up the clock is set back, or another worker puts the job off.
    stage.clock.advance(-60)
    assert await turn == 1
    assert await balances(stage, friend) == ("0.00", "0.00", "0.00")
    stage.clock.advance(60)
    assert await stage.app.worker.turn() == 1
    assert await balances(stage, friend) == ("40.00", "0.00", "40.00")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()


def test_of_what_is_no_address_nothing_is_needed() -> None:
    needs = Needs(Directory(), 0)
    need_own_locked(needs, Caller(OWN, livemode=False), "no address")
    assert needs.wanted == {}
    address = main_wallet(OWN, livemode=False)
    need_own_locked(needs, Caller(OWN, livemode=False), address)
    assert [key[2] for key in needs.wanted[BALANCE.key]] == [f"wallet:{address}:locked"]
