"""Requests that race for one payment: one of them has it."""

from __future__ import annotations

import asyncio

from tests.areas.payments.scene import ask_for, balances, funded, pay, seen
from tests.stage import Stage


async def test_of_many_who_confirm_at_once_one_pays(stage: Stage) -> None:
    merchant = await stage.open_account()
    payers = [await funded(stage) for _ in range(6)]
    asked = await ask_for(stage, merchant)
    route = f"POST /payments/{asked['id']}/confirm"
    body = {"client_secret": asked["client_secret"]}
    replies = await asyncio.gather(
        *(stage.ask(route, payer.key, body) for payer in payers for _ in range(3))
    )
    assert sorted(reply.status for reply in replies) == [200] + [400] * 17
    left = sorted([await stage.available(payer) for payer in payers])
    assert left == ["1000.00"] * 5 + ["900.00"]
    assert await stage.available(merchant) == "99.99"


async def test_a_capture_and_a_cancellation_exclude_each_other(stage: Stage) -> None:
    for _ in range(8):
        payer = await funded(stage)
        made = await pay(stage, payer, capture=False)
        routes = [f"POST /payments/{made['id']}/{verb}" for verb in ("capture", "cancel")] * 3
        replies = await asyncio.gather(*(stage.ask(route, payer.key) for route in routes))
        assert sorted(reply.status for reply in replies) == [200] + [400] * 5
        status = (await seen(stage, made, payer))["status"]
        left = {"succeeded": "999.99", "canceled": "1000.00"}[status]
        assert await balances(stage, payer) == (left, "0.00")


async def test_payments_at_once_spend_what_there_is_and_no_more(stage: Stage) -> None:
    payer, friend = await funded(stage, "100.00"), await stage.open_account()
    body = {"amount": "9.00", "currency": "ssusd", "recipient": friend.wallet}
    replies = await asyncio.gather(
        *(stage.ask("POST /payments", payer.key, body) for _ in range(20))
    )
    assert sorted(reply.status for reply in replies) == [201] * 11 + [402] * 9
    assert await stage.available(payer) == "1.00"
    assert await stage.available(friend) == "98.89"
    await stage.audit()
