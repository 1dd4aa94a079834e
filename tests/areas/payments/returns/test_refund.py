"""Refunds to cards: whose money it is, what the processor says, and what waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from commerce.gateways.cards import port
from commerce.gateways.cards.port import Verdict
from tests.areas.payments.card.scene import charge, heard, network, recover, silence
from tests.areas.payments.funds.scene import funds
from tests.areas.payments.returns.scene import (
    AT_ONCE,
    OWED,
    REFUND,
    available,
    booked,
    has,
    merchant_of,
    pass_days,
    pending,
    refuse,
    run_all,
)
from tests.areas.payments.scene import HOUR, kinds, seen
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await merchant_of(stage)


async def test_a_refund_draws_on_what_has_not_settled_of_this_payment(
    stage: Stage, merchant: Party
) -> None:
    await has(stage, merchant, "50.00")
    await charge(stage, merchant, amount="200.00")
    paid = await charge(stage, merchant)
    before = await funds(stage, merchant)
    route = f"POST /payments/{paid['id']}/refund"
    reply = await stage.ask(route, merchant.key, {"amount": "30.00", "metadata": {"why": "late"}})
    assert reply.status == 201
    made = reply.json
    shown = {
        "object": "refund",
        "payment": paid["id"],
        "amount": "30.00",
        "currency": "usd",
        "status": "succeeded",
        "recipient": None,
        "metadata": {"why": "late"},
        "failure_code": None,
        "unknown_since": None,
        "processor_response": {
            "processor": "test",
            "reference": f"rf_{made['id']}",
            "status": "succeeded",
        },
        "sources": [
            {
                "wallet": merchant.wallet,
                "amount": "30.00",
                "unsettled": "30.00",
                "transaction": made["transaction"]["id"],
            }
        ],
    }
    assert {name: made[name] for name in shown} == shown
    assert "parts" not in made
    assert await seen(stage, made, merchant) == made
    assert await booked(stage, made["id"]) == [
        ("refunded:1", {pending(merchant): 30_00, OWED: -30_00})
    ]
    now = await seen(stage, paid, merchant)
    assert (now["amount_refunded"], now["refunds"]) == ("30.00", [made["id"]])
    assert (now["status"], now["fees"]) == ("succeeded", {"processing_fee": "3.20"})
    assert await kinds(stage, merchant, made) == ["refund.created", "refund.updated"]
    assert (await kinds(stage, merchant, paid))[-1] == "payment.refunded"

    rest = await stage.done(REFUND, merchant.key, payment=paid["id"])
    assert (rest["amount"], rest["sources"][0]["unsettled"]) == ("70.00", "66.80")
    assert (await booked(stage, rest["id"]))[0][1] == {
        pending(merchant): 66_80,
        available(merchant): 3_20,
        OWED: -70_00,
    }
    after = await funds(stage, merchant)
    assert float(before["usd"][1]) - float(after["usd"][1]) == pytest.approx(96.80)
    assert float(before["usd"][0]) - float(after["usd"][0]) == pytest.approx(3.20)
    await refused(stage, route, merchant.key, {}, 400, "state_invalid", "refunded whole")


async def test_after_its_settlement_a_refund_draws_on_what_is_available(
    stage: Stage, merchant: Party
) -> None:
    paid = await charge(stage, merchant)
    await stage.done(REFUND, merchant.key, payment=paid["id"], amount="10.00")
    await pass_days(stage)
    await charge(stage, merchant, amount="200.00")
    made = await stage.done(REFUND, merchant.key, payment=paid["id"], amount="20.00")
    assert made["sources"][0]["unsettled"] == "0.00"
    assert await booked(stage, made["id"]) == [
        ("refunded:1", {available(merchant): 20_00, OWED: -20_00})
    ]
    assert (await funds(stage, merchant))["usd"][0] == "66.80"


async def test_a_refund_without_money_waits_for_it_and_asks_the_processor_once(
    stage: Stage, merchant: Party
) -> None:
    paid = await charge(stage, merchant)
    waiting = await stage.done(REFUND, merchant.key, payment=paid["id"])
    assert (waiting["status"], waiting["transaction"]) == ("pending", None)
    assert waiting["sources"][0]["unsettled"] is None
    assert await booked(stage, waiting["id"]) == []
    now = await seen(stage, paid, merchant)
    assert (now["amount_refunded"], now["refunds"]) == ("100.00", [waiting["id"]])
    asked = "SELECT verdict FROM test_call WHERE id = $1"
    await recover(stage, 10)
    assert (await seen(stage, waiting, merchant))["status"] == "pending"
    assert await stage.rows(asked, waiting["id"]) == []

    await has(stage, merchant, "3.20")
    stage.clock.advance(HOUR)
    await run_all(stage)
    done = await seen(stage, waiting, merchant)
    assert done["status"] == "succeeded"
    assert done["processor_response"]["reference"] == f"rf_{waiting['id']}"
    assert done["sources"][0]["transaction"] == done["transaction"]["id"]
    assert len(await stage.rows(asked, waiting["id"])) == 1
    events = ["refund.created", "refund.updated", "refund.updated"]
    assert await kinds(stage, merchant, waiting) == events
    assert [name for name, _ in await booked(stage, waiting["id"])] == ["refunded:1"]
    left = await stage.rows("SELECT * FROM job WHERE due_at <= $1", stage.clock.now_ms() // 1000)
    assert left == []


@pytest.mark.parametrize("settled", [False, True])
async def test_what_the_processor_refuses_is_where_it_was_and_can_be_refunded_again(
    stage: Stage, merchant: Party, settled: bool
) -> None:
    await has(stage, merchant, "10.00")
    paid = await charge(stage, merchant)
    before = await funds(stage, merchant)
    owed = (await network(stage, "usd"))[OWED[1]]

    async def say_no(call: port.Refund) -> Verdict:
        """Refuse, after its payment has settled or before."""
        if settled:
            stage.clock.advance(30)
            await run_all(stage)
        return await refuse(call)

    if settled:
        stage.clock.advance(paid["available_on"] - 30 - stage.clock.now_ms() // 1000)
        await run_all(stage)

    with heard(stage, say_no, port.Refund):
        reply = await stage.ask(REFUND, merchant.key, {"payment": paid["id"]})
    assert (reply.status, reply.error["code"]) == (402, "processing_error")
    failed = await stage.get(f"/refunds/{reply.error['refund']}", merchant.key)
    assert (failed["status"], failed["failure_code"]) == ("failed", "processing_error")
    assert failed["processor_response"]["status"] == "declined"
    assert await kinds(stage, merchant, failed) == ["refund.created", "refund.updated"]
    now = await seen(stage, paid, merchant)
    assert now["amount_refunded"] == "0.00"
    (_, taken), (name, restored) = await booked(stage, failed["id"])
    assert name == "restored:1"
    if settled:
        assert restored == {available(merchant): -100_00, OWED: 100_00}
    else:
        assert restored == {account: -amount for account, amount in taken.items()}
        assert await funds(stage, merchant) == before
        assert (await network(stage, "usd"))[OWED[1]] == owed
    again = await stage.done(REFUND, merchant.key, payment=paid["id"])
    assert (again["status"], again["amount"]) == ("succeeded", "100.00")


async def test_what_became_of_a_refund_is_asked_until_it_is_known(
    stage: Stage, merchant: Party
) -> None:
    await has(stage, merchant, "10.00")
    paid = await charge(stage, merchant)
    with heard(stage, silence, port.Refund, port.Find):
        made = await stage.done(REFUND, merchant.key, payment=paid["id"])
        assert (made["status"], made["unknown_since"]) == ("pending", made["created"])
        assert made["transaction"] is not None
        await recover(stage, 61)
        assert (await seen(stage, made, merchant))["unknown_since"] == made["created"]
    await recover(stage, 120)
    done = await seen(stage, made, merchant)
    assert (done["status"], done["unknown_since"]) == ("succeeded", None)
    assert [name for name, _ in await booked(stage, made["id"])] == ["refunded:1"]


async def test_the_guards_of_a_refund_to_a_card_come_in_their_order(
    stage: Stage, merchant: Party
) -> None:
    held = await charge(stage, merchant, capture=False)
    paid = await charge(stage, merchant)
    await stage.block(merchant.wallet)
    await climb(
        stage,
        REFUND,
        merchant.key,
        Rung({"payment": held["id"]}, 400, "state_invalid", "payment", "'requires_capture'"),
        Rung({"payment": paid["id"], "amount": "x"}, 400, "amount_invalid", "amount"),
        Rung({"amount": "1.001"}, 400, "amount_precision", "amount"),
        Rung({"amount": "100.01"}, 400, "amount_invalid", "amount", "100.00"),
        Rung({"amount": "1.00"}, 403, "sanctioned_party", "payment", merchant.wallet),
    )
    await stage.block(merchant.wallet, blocked=False)


async def test_a_key_with_limits_gives_back_dollars_within_them_and_nothing_else(
    stage: Stage, merchant: Party
) -> None:
    body = {"type": "restricted", "scopes": ["payments:write"]}
    limits = {"per_transaction": "20.00"}
    key = (await stage.done("POST /api_keys", merchant.key, limits=limits, **body))["secret"]
    paid = await charge(stage, merchant)
    ask = {"payment": paid["id"], "amount": "20.01"}
    await refused(stage, REFUND, key, ask, 402, "limit_exceeded", "20.00 ssUSD per transaction")
    await stage.done(REFUND, key, **{**ask, "amount": "20.00"})
    other = await charge(stage, merchant, currency="eur")
    ask = {"payment": other["id"], "amount": "1.00"}
    await refused(stage, REFUND, key, ask, 402, "limit_exceeded", "do not count EUR")
    listed = {"recipients": [(await stage.open_account()).wallet], **body}
    key = (await stage.done("POST /api_keys", merchant.key, **listed))["secret"]
    ask = {"payment": paid["id"], "amount": "1.00"}
    await refused(stage, REFUND, key, ask, 402, "limit_exceeded", "cards")


async def test_a_storm_of_refunds_gives_back_what_was_charged_and_no_more(
    stage: Stage, merchant: Party
) -> None:
    await has(stage, merchant, "20.00")
    paid = await charge(stage, merchant)
    body = {"payment": paid["id"], "amount": "7.00"}
    replies = await asyncio.gather(*(stage.ask(REFUND, merchant.key, body) for _ in range(30)))
    made = [reply.json for reply in replies if reply.status == 201]
    assert len(made) == 14
    codes = {reply.error["code"] for reply in replies if reply.status != 201}
    assert codes == {"amount_invalid"}
    assert {each["status"] for each in made} == {"succeeded"}
    now = await seen(stage, paid, merchant)
    assert now["amount_refunded"] == "98.00"
    assert set(now["refunds"]) == {each["id"] for each in made}
    query = "SELECT count(*) AS asked FROM test_call WHERE asked = 'refund' AND account = $1"
    assert (await stage.rows(query, merchant.id))[0]["asked"] == 14


async def test_a_payment_that_settled_at_once_is_refunded_from_what_is_available(
    stage: Stage, merchant: Party
) -> None:
    paid = await charge(stage, merchant, AT_ONCE)
    made = await stage.done(REFUND, merchant.key, payment=paid["id"], amount="96.80")
    assert (made["status"], made["sources"][0]["unsettled"]) == ("succeeded", "0.00")
    assert (await funds(stage, merchant))["usd"] == ("0.00", "0.00", "0.00")


async def test_of_less_that_was_captured_that_is_given_back(stage: Stage, merchant: Party) -> None:
    held = await charge(stage, merchant, capture=False)
    await stage.done(f"POST /payments/{held['id']}/capture", merchant.key, amount="20.00")
    await has(stage, merchant, "5.00")
    made = await stage.done(REFUND, merchant.key, payment=held["id"])
    assert (made["status"], made["amount"]) == ("succeeded", "20.00")


async def test_a_repeated_request_gets_the_first_answer_and_gives_back_nothing(
    stage: Stage, merchant: Party
) -> None:
    paid = await charge(stage, merchant)
    ask: dict[str, Any] = {"payment": paid["id"], "amount": "40.00"}
    first = await stage.ask(REFUND, merchant.key, ask, Idempotency_Key="again")
    second = await stage.ask(REFUND, merchant.key, ask, Idempotency_Key="again")
    assert (second.status, second.body) == (201, first.body)
    assert second.headers["idempotent-replayed"] == "true"
    assert (await seen(stage, paid, merchant))["amount_refunded"] == "40.00"


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
