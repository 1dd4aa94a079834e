"""Refunds: how much, from whom, and what waits for money."""

from __future__ import annotations

import asyncio

import pytest

from tests.areas.payments.scene import (
    HOUR,
    REFUND,
    ask_for,
    balances,
    funded,
    kinds,
    paid_by,
    pay,
    seen,
)
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def payer(stage: Stage) -> Party:
    return await funded(stage)


async def test_a_refund_goes_to_the_wallet_that_paid_and_the_fee_is_not_returned(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    paid = await paid_by(stage, merchant, payer)
    route = f"POST /payments/{paid['id']}/refund"
    first = await stage.done(
        route,
        merchant.key,
        amount="30.00",
        reason="requested_by_customer",
        metadata={"why": "late"},
    )
    shown = {
        "object": "refund",
        "payment": paid["id"],
        "amount": "30.00",
        "currency": "ssusd",
        "status": "succeeded",
        "reason": "requested_by_customer",
        "recipient": payer.wallet,
        "metadata": {"why": "late"},
    }
    assert {name: first[name] for name in shown} == shown
    assert await seen(stage, first, merchant) == first
    assert await stage.entries(first["transaction"]["id"]) == {
        (merchant.id, f"wallet:{merchant.wallet}:available"): 30_000_000,
        (payer.id, f"wallet:{payer.wallet}:available"): -30_000_000,
    }
    now = await seen(stage, paid, merchant)
    assert (now["amount_refunded"], now["refunds"]) == ("30.00", [first["id"]])
    assert (now["status"], now["fees"]) == ("succeeded", {"processing_fee": "0.01"})
    await stage.fund(merchant.wallet, "100.00")
    rest = await stage.done(REFUND, merchant.key, payment=paid["id"])
    assert rest["amount"] == "70.00"
    assert await stage.available(payer) == "1000.00"
    assert await stage.available(merchant) == "99.99"
    await refused(stage, route, merchant.key, {}, 400, "state_invalid", "'succeeded'")
    assert (await kinds(stage, merchant, paid))[-2:] == ["payment.refunded"] * 2
    assert await kinds(stage, merchant, first) == ["refund.created"]
    moved = await stage.get(f"/stablecoin/transactions/{rest['transaction']['id']}", payer.key)
    assert (moved["type"], moved["amount"]) == ("refund", "70.00")


async def test_the_guards_of_a_refund_come_in_their_order(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    asked = await ask_for(stage, merchant)
    paid = await paid_by(stage, merchant, payer)
    await stage.block(payer.wallet)
    await climb(
        stage,
        REFUND,
        merchant.key,
        Rung({}, 400, "parameter_missing", "payment"),
        Rung({"payment": "pay_none", "amount": "x"}, 404, "resource_missing", "payment"),
        Rung({"payment": asked["id"]}, 400, "state_invalid", "payment", "'requires_action'"),
        Rung({"payment": paid["id"]}, 400, "amount_invalid", "amount"),
        Rung({"amount": "100.000001"}, 400, "amount_invalid", "amount", "100.00"),
        Rung({"amount": "100.00"}, 403, "sanctioned_party", "payment", payer.wallet),
    )
    await stage.block(payer.wallet, blocked=False)
    key = await stage.done(
        "POST /api_keys",
        merchant.key,
        type="restricted",
        scopes=["payments:write"],
        limits={"per_transaction": "50.00"},
    )
    body = {"payment": paid["id"], "amount": "50.01"}
    await refused(stage, REFUND, key["secret"], body, 402, "limit_exceeded", "per transaction")
    await refused(stage, REFUND, payer.key, body, 404, "resource_missing")


async def test_a_refund_without_money_waits_for_it_and_counts_meanwhile(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    paid = await paid_by(stage, merchant, payer)
    friend = await stage.open_account()
    transfer = {"to": friend.wallet, "amount": "50.00"}
    await stage.done("POST /stablecoin/transfer", merchant.key, **transfer)
    waiting = await stage.done(REFUND, merchant.key, payment=paid["id"], amount="60.00")
    assert (waiting["status"], waiting["transaction"]) == ("pending", None)
    assert (await seen(stage, paid, merchant))["amount_refunded"] == "60.00"
    body = {"payment": paid["id"], "amount": "40.01"}
    await refused(stage, REFUND, merchant.key, body, 400, "amount_invalid", "40.00")
    assert await balances(stage, merchant) == ("49.98", "0.00")

    stage.clock.advance(10)
    await stage.app.worker.turn()
    assert (await seen(stage, waiting, merchant))["status"] == "pending"
    await stage.fund(merchant.wallet, "100.00")
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    await stage.app.worker.turn()
    done = await seen(stage, waiting, merchant)
    assert done["status"] == "succeeded"
    assert done["sources"][0]["transaction"] == done["transaction"]["id"]
    assert await stage.available(payer) == "960.00"
    assert await stage.available(merchant) == "89.98"
    assert await kinds(stage, merchant, waiting) == ["refund.created", "refund.updated"]
    assert await stage.rows("SELECT * FROM job WHERE subject = $1", waiting["id"]) == []


async def test_a_pending_refund_waits_for_a_blocked_address_to_be_let_go(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    paid = await paid_by(stage, merchant, payer)
    waiting = await stage.done(REFUND, merchant.key, payment=paid["id"])
    assert waiting["status"] == "pending"
    await stage.fund(merchant.wallet, "100.00")
    await stage.block(payer.wallet)
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    assert (await seen(stage, waiting, merchant))["status"] == "pending"
    await stage.block(payer.wallet, blocked=False)
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    assert (await seen(stage, waiting, merchant))["status"] == "succeeded"


async def test_what_was_captured_is_all_that_is_given_back(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    held = await paid_by(stage, merchant, payer, capture=False)
    capture = f"POST /payments/{held['id']}/capture"
    await stage.done(capture, merchant.key, amount="20.00")
    await stage.fund(merchant.wallet, "100.00")
    done = await stage.done(REFUND, merchant.key, payment=held["id"])
    assert done["amount"] == "20.00"
    assert await balances(stage, payer) == ("1000.00", "0.00")


async def test_a_refund_to_oneself_moves_nothing(stage: Stage, payer: Party) -> None:
    paid = await pay(stage, payer, "1000.00")
    done = await stage.done(REFUND, payer.key, payment=paid["id"])
    assert (done["status"], done["transaction"]) == ("succeeded", None)
    assert await stage.available(payer) == "999.99"


async def test_what_was_paid_to_a_stranger_is_not_taken_from_its_wallet(
    stage: Stage, payer: Party, merchant: Party
) -> None:
    paid = await pay(stage, payer, recipient=merchant.wallet)
    body = {"payment": paid["id"]}
    await refused(stage, REFUND, payer.key, body, 403, "address_not_owned", merchant.wallet)
    asked = await paid_by(stage, merchant, payer, recipient=(await stage.open_account()).wallet)
    await stage.fund(merchant.wallet, "100.00")
    before = await stage.available(merchant)
    done = await stage.done(REFUND, merchant.key, payment=asked["id"], amount="1.00")
    assert [each["wallet"] for each in done["sources"]] == [merchant.wallet]
    assert float(before) - float(await stage.available(merchant)) == 1


async def test_a_storm_of_refunds_gives_back_what_there_is_and_no_more(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    paid = await paid_by(stage, merchant, payer)
    await stage.fund(merchant.wallet, "100.00")
    body = {"payment": paid["id"], "amount": "7.00"}
    replies = await asyncio.gather(
        *(stage.ask(REFUND, merchant.key, body) for _ in range(30)),
    )
    made = [reply.json for reply in replies if reply.status == 201]
    assert len(made) == 14
    codes = {reply.error["code"] for reply in replies if reply.status != 201}
    assert codes == {"amount_invalid"}
    now = await seen(stage, paid, merchant)
    assert now["amount_refunded"] == "98.00"
    assert set(now["refunds"]) == {each["id"] for each in made}
    assert await stage.available(payer) == "998.00"


async def test_refunds_are_listed_by_their_payment(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    paid = await paid_by(stage, merchant, payer)
    other = await paid_by(stage, merchant, payer, "5.00")
    made = [
        await stage.done(REFUND, merchant.key, payment=each["id"], amount="1.00", reason=reason)
        for each, reason in ((paid, "duplicate"), (paid, "fraudulent"), (other, "duplicate"))
    ]

    async def ids(query: str) -> list[str]:
        page = await stage.get(f"/refunds?{query}", merchant.key)
        return [each["id"] for each in page["data"]]

    first, second, third = (each["id"] for each in made)
    assert await ids(f"payment={paid['id']}") == [second, first]
    assert await ids("reason=duplicate") == [third, first]
    assert await ids("status=pending") == []
    path = f"/payments/{paid['id']}?expand[]=refunds"
    expanded = await stage.get(path, merchant.key)
    assert [each["amount"] for each in expanded["refunds"]] == ["1.00", "1.00"]


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
