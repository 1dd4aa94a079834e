"""Money set aside for a payment: captured whole or in part, or released."""

from __future__ import annotations

import pytest

from tests.areas.payments.scene import FEE, ask_for, balances, confirm, funded, kinds, pay, seen
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def payer(stage: Stage) -> Party:
    return await funded(stage)


async def test_what_is_set_aside_is_the_payers_and_cannot_be_spent(
    stage: Stage, payer: Party, merchant: Party
) -> None:
    made = await pay(stage, payer, "900.00", capture=False, recipient=merchant.wallet)
    assert (made["status"], made["captured"], made["net"]) == ("requires_capture", False, None)
    assert await balances(stage, payer) == ("100.00", "900.00")
    transfer = {"to": merchant.wallet, "amount": "100.00"}
    route = "POST /stablecoin/transfer"
    await refused(stage, route, payer.key, transfer, 402, "insufficient_funds")
    page = await stage.get(f"/stablecoin/transactions?source={made['id']}", payer.key)
    (held,) = page["data"]
    assert (held["type"], held["amount"], held["from"]) == ("reserve", "900.00", None)
    assert await kinds(stage, payer, made) == ["payment.created", "payment.requires_capture"]


async def test_a_capture_pays_the_recipient_and_releases_the_rest(
    stage: Stage, payer: Party, merchant: Party
) -> None:
    asked = await ask_for(stage, merchant, capture=False)
    await confirm(stage, asked, payer)
    assert await balances(stage, payer) == ("900.00", "100.00")
    route = f"POST /payments/{asked['id']}/capture"
    done = await stage.done(route, merchant.key, amount="60.00")
    assert (done["status"], done["captured"]) == ("succeeded", True)
    assert (done["amount"], done["amount_captured"], done["net"]) == ("100.00", "60.00", "59.99")
    assert await balances(stage, payer) == ("940.00", "0.00")
    assert await stage.available(merchant) == "59.99"
    assert await stage.entries(done["transaction"]["id"]) == {
        (payer.id, f"wallet:{payer.wallet}:locked"): 60_000_000,
        (merchant.id, f"wallet:{merchant.wallet}:available"): -59_990_000,
        ("network", "fees:processing"): -FEE,
    }
    assert await kinds(stage, merchant, asked) == [
        "payment.created",
        "payment.requires_action",
        "payment.processing",
        "payment.requires_capture",
        "payment.captured",
        "payment.succeeded",
    ]
    await refused(stage, route, merchant.key, {}, 400, "state_invalid", "'succeeded'")
    cancel = f"POST /payments/{asked['id']}/cancel"
    await refused(stage, cancel, merchant.key, {}, 400, "state_invalid", "'succeeded'")


async def test_a_capture_of_all_leaves_nothing_set_aside(stage: Stage, payer: Party) -> None:
    made = await pay(stage, payer, capture=False)
    await stage.done(f"POST /payments/{made['id']}/capture", payer.key)
    assert await balances(stage, payer) == ("999.99", "0.00")


async def test_the_guards_of_a_capture_come_in_their_order(
    stage: Stage, payer: Party, merchant: Party
) -> None:
    made = await pay(stage, payer, capture=False, recipient=merchant.wallet)
    await stage.block(payer.wallet)
    await climb(
        stage,
        f"POST /payments/{made['id']}/capture",
        payer.key,
        Rung({"amount": "x"}, 400, "amount_invalid", "amount"),
        Rung({"amount": "100.000001"}, 400, "amount_invalid", "amount", "100.00"),
        Rung({"amount": "0.01"}, 400, "amount_invalid", "amount", "0.01"),
        Rung({"amount": "0.010001"}, 403, "sanctioned_party", "id", payer.wallet),
    )
    await stage.block(payer.wallet, blocked=False)
    await stage.block(merchant.wallet)
    route = f"POST /payments/{made['id']}/capture"
    await refused(stage, route, payer.key, {}, 403, "sanctioned_party", merchant.wallet)
    await stage.done(f"POST /payments/{made['id']}/cancel", payer.key)
    assert await balances(stage, payer) == ("1000.00", "0.00")


async def test_a_canceled_payment_gives_back_what_was_set_aside(
    stage: Stage, payer: Party, merchant: Party
) -> None:
    asked = await ask_for(stage, merchant, capture=False)
    await confirm(stage, asked, payer)
    done = await stage.done(f"POST /payments/{asked['id']}/cancel", merchant.key)
    assert done["status"] == "canceled"
    assert await balances(stage, payer) == ("1000.00", "0.00")
    assert (await kinds(stage, merchant, asked))[-1] == "payment.canceled"
    capture = f"POST /payments/{asked['id']}/capture"
    await refused(stage, capture, merchant.key, {}, 400, "state_invalid", "'canceled'")


async def test_what_was_asked_for_and_canceled_can_not_be_paid(
    stage: Stage, payer: Party, merchant: Party
) -> None:
    asked = await ask_for(stage, merchant)
    done = await stage.done(f"POST /payments/{asked['id']}/cancel", merchant.key)
    assert (done["status"], done["next_action"]) == ("canceled", None)
    body = {"client_secret": asked["client_secret"]}
    route = f"POST /payments/{asked['id']}/confirm"
    await refused(stage, route, payer.key, body, 400, "state_invalid", "'canceled'")
    assert (await seen(stage, asked, merchant))["payment_method"]["wallet_address"] is None


async def test_a_payer_neither_captures_nor_cancels(
    stage: Stage, payer: Party, merchant: Party
) -> None:
    asked = await ask_for(stage, merchant, capture=False)
    await confirm(stage, asked, payer)
    for verb in ("capture", "cancel"):
        route = f"POST /payments/{asked['id']}/{verb}"
        await refused(stage, route, payer.key, {}, 404, "resource_missing")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
