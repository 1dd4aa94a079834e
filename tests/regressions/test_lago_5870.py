"""lago #5870: the same request, sent again, credits twice.

A wallet is topped up twice by one request that a client sends again, since nothing says that it is
the same one. Here the key does, one after the other and at once, for what is credited to the
merchant and for what is given back to the card.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

from tests.areas.payments.card.scene import CREATE
from tests.areas.payments.funds.scene import funds
from tests.areas.payments.returns.scene import REFUND
from tests.stage import Stage


async def test_a_request_that_is_sent_again_credits_once(stage: Stage) -> None:
    merchant = await stage.open_account()
    before = Decimal((await funds(stage, merchant))["usd"][1])
    paying = {"amount": "100.00", "currency": "usd", "payment_method": "pm_card_visa"}
    asked = [stage.ask(CREATE, merchant.key, paying, Idempotency_Key="top-up") for _ in range(4)]
    answers = [*await asyncio.gather(*asked)]
    answers.append(await stage.ask(CREATE, merchant.key, paying, Idempotency_Key="top-up"))
    assert {answer.status for answer in answers} == {201}
    (paid,) = {answer.json["id"] for answer in answers}
    after = Decimal((await funds(stage, merchant))["usd"][1])
    assert after - before == Decimal("96.80")

    back = {"payment": paid, "amount": "30.00"}
    asked = [stage.ask(REFUND, merchant.key, back, Idempotency_Key="back") for _ in range(4)]
    answers = [*await asyncio.gather(*asked)]
    answers.append(await stage.ask(REFUND, merchant.key, back, Idempotency_Key="back"))
    assert len({answer.body for answer in answers}) == 1
    assert answers[0].status == 201
    now = await stage.get(f"/payments/{paid}", merchant.key)
    assert now["amount_refunded"] == "30.00"
    held = await stage.rows(
        "SELECT asked, count(*) AS times FROM test_call WHERE account = $1 AND created > 0"
        " AND id <> 'pay_test_456' GROUP BY asked ORDER BY asked",
        merchant.id,
    )
    assert [(row["asked"], row["times"]) for row in held] == [("charge", 1), ("refund", 1)]
    await stage.audit()
