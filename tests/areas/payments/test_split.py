"""Payments to several, and the platform's share of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.areas.payments.scene import (
    CREATE,
    EXTERNAL,
    FEE,
    REFUND,
    acting,
    ask_for,
    balances,
    confirm,
    funded,
    pay,
    seen,
)
from tests.ladder import refused
from tests.stage import Party, Stage


@pytest.fixture
async def platform(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def payer(stage: Stage) -> Party:
    return await funded(stage)


async def seller(stage: Stage, platform: Party) -> Party:
    """An account connected to the platform."""
    made = await stage.done("POST /accounts", platform.key)
    return await stage.in_mode(made["id"], livemode=False)


def parts(*of: tuple[Party, str]) -> list[dict[str, Any]]:
    return [{"recipient": party.wallet, "amount": amount} for party, amount in of]


async def test_each_recipient_gets_its_part_less_its_part_of_the_fee(
    stage: Stage, platform: Party, payer: Party
) -> None:
    one, two = await seller(stage, platform), await seller(stage, platform)
    splits = parts((one, "70.00"), (two, "20.00"), (platform, "10.00"))
    splits[0]["type"] = "goods"
    asked = await ask_for(stage, platform, splits=splits)
    assert asked["recipient"] is None
    assert [each["net"] for each in asked["splits"]] == [None] * 3
    await confirm(stage, asked, payer)
    done = await seen(stage, asked, platform)
    assert [each["net"] for each in done["splits"]] == ["69.993", "19.998", "9.999"]
    assert [each["amount_captured"] for each in done["splits"]] == ["70.00", "20.00", "10.00"]
    assert [each["type"] for each in done["splits"]] == ["goods", None, None]
    assert await stage.available(one) == "69.993"
    assert await stage.available(two) == "19.998"
    assert await stage.available(platform) == "9.999"
    assert await stage.available(payer) == "900.00"
    ids = [each["transaction"] for each in done["splits"]]
    assert ids[0] == done["transaction"]["id"]
    assert await stage.entries(ids[0]) == {
        (payer.id, f"wallet:{payer.wallet}:available"): 69_993_000 + FEE,
        (one.id, f"wallet:{one.wallet}:available"): -69_993_000,
        ("network", "fees:processing"): -FEE,
    }
    for party, id_ in ((two, ids[1]), (payer, ids[1]), (platform, ids[2])):
        assert (await stage.get(f"/stablecoin/transactions/{id_}", party.key))["type"] == "payment"


async def test_a_refund_of_splits_is_proportional_and_sums_exactly(
    stage: Stage, platform: Party, payer: Party
) -> None:
    one, two = await seller(stage, platform), await seller(stage, platform)
    splits = parts((one, "0.50"), (two, "0.333333"), (platform, "0.166667"))
    asked = await ask_for(stage, platform, "1.00", splits=splits)
    await confirm(stage, asked, payer)
    for party in (one, two, platform):
        await stage.fund(party.wallet, "100.00")
    for amount in ("0.333333", "0.000001", "0.50", "0.166666"):
        done = await stage.done(REFUND, platform.key, payment=asked["id"], amount=amount)
        assert done["status"] == "succeeded"
    now = await seen(stage, asked, platform)
    given = [each["amount_refunded"] for each in now["splits"]]
    assert given == ["0.50", "0.333333", "0.166667"]
    assert await stage.available(payer) == "1000.00"
    left = [await stage.available(party) for party in (one, two, platform)]
    nets = [each["net"] for each in now["splits"]]
    lost = [round(100 - float(have) + float(net), 6) for have, net in zip(left, nets, strict=True)]
    assert lost == [0.5, 0.333333, 0.166667]


async def test_one_party_that_is_short_keeps_all_of_a_refund_waiting(
    stage: Stage, platform: Party, payer: Party
) -> None:
    one = await seller(stage, platform)
    splits = parts((one, "60.00"), (platform, "40.00"))
    asked = await ask_for(stage, platform, splits=splits)
    await confirm(stage, asked, payer)
    body = {"to": platform.wallet, "amount": "59.90"}
    await stage.done("POST /stablecoin/transfer", one.key, **body)
    done = await stage.done(REFUND, platform.key, payment=asked["id"], amount="10.00")
    assert done["status"] == "pending"
    assert await stage.available(payer) == "900.00"
    await stage.fund(one.wallet, "100.00")
    stage.clock.advance(3600)
    await stage.app.worker.turn()
    assert (await seen(stage, done, platform))["status"] == "succeeded"
    assert await stage.available(payer) == "910.00"


async def test_a_capture_of_less_pays_each_its_part_of_that(
    stage: Stage, platform: Party, payer: Party
) -> None:
    one = await seller(stage, platform)
    splits = parts((one, "75.00"), (platform, "25.00"))
    asked = await ask_for(stage, platform, splits=splits, capture=False)
    await confirm(stage, asked, payer)
    route = f"POST /payments/{asked['id']}/capture"
    done = await stage.done(route, platform.key, amount="40.00")
    assert [each["amount_captured"] for each in done["splits"]] == ["30.00", "10.00"]
    assert [each["net"] for each in done["splits"]] == ["29.9925", "9.9975"]
    assert await balances(stage, payer) == ("960.00", "0.00")


async def test_a_platform_takes_its_share_and_gives_its_part_of_it_back(
    stage: Stage, platform: Party, payer: Party
) -> None:
    shop = await seller(stage, platform)
    ask = acting(stage, platform, shop.id)
    body = {
        "amount": "100.00",
        "currency": "ssusd",
        "payment_method": EXTERNAL,
        "application_fee_amount": "10.00",
    }
    asked = (await ask(CREATE, body)).json
    await confirm(stage, asked, payer)
    done = await seen(stage, asked, shop)
    assert (done["net"], done["application_fee_amount"]) == ("89.99", "10.00")
    assert done["application_fee_recipient"] == platform.wallet
    assert await stage.available(shop) == "89.99"
    assert await stage.available(platform) == "10.00"
    page = await stage.get("/stablecoin/transactions?type=fee", platform.key)
    assert [(each["amount"], each["source"]) for each in page["data"]] == [("10.00", done["id"])]

    back = await stage.done(REFUND, shop.key, payment=done["id"], amount="50.00")
    assert [(each["wallet"], each["amount"]) for each in back["sources"]] == [
        (shop.wallet, "45.00"),
        (platform.wallet, "5.00"),
    ]
    assert (await seen(stage, asked, shop))["application_fee_refunded"] == "5.00"
    assert await stage.available(platform) == "5.00"
    assert await stage.available(payer) == "950.00"


async def test_a_platforms_share_is_of_what_is_captured(
    stage: Stage, platform: Party, payer: Party
) -> None:
    shop = await seller(stage, platform)
    ask = acting(stage, platform, shop.id)
    body = {
        "amount": "100.00",
        "currency": "ssusd",
        "payment_method": EXTERNAL,
        "application_fee_amount": "99.98",
        "capture": False,
    }
    asked = (await ask(CREATE, body)).json
    await confirm(stage, asked, payer)
    route = f"POST /payments/{asked['id']}/capture"
    await refused(
        stage, route, shop.key, {"amount": "50.00"}, 400, "amount_invalid", "fees of 50.00"
    )
    done = await stage.done(route, shop.key)
    assert (done["net"], done["application_fee_amount"]) == ("0.01", "99.98")


async def test_only_a_platform_that_acts_for_another_has_a_share(
    stage: Stage, platform: Party, payer: Party
) -> None:
    shop = await seller(stage, platform)
    body = {"amount": "5.00", "currency": "ssusd", "application_fee_amount": "1.00"}
    for key in (platform.key, shop.key, payer.key):
        await refused(stage, CREATE, key, body, 400, "parameter_invalid", "platform")
    ask = acting(stage, platform, shop.id)
    for fee in ("4.99", "5.00"):
        reply = await ask(CREATE, body | {"application_fee_amount": fee})
        assert (reply.status, reply.error["param"]) == (400, "application_fee_amount")


async def test_splits_sum_to_the_amount_and_each_of_them_is_right(
    stage: Stage, platform: Party, payer: Party
) -> None:
    body = {"amount": "10.00", "currency": "ssusd"}
    for splits, code, says in (
        (parts((payer, "9.999999")), "amount_mismatch", "9.999999"),
        (parts((payer, "5.00"), (platform, "5.01")), "amount_mismatch", "10.01"),
        (parts((payer, "0.00"), (platform, "10.00")), "amount_invalid", "splits[0].amount"),
        ([{"recipient": "x", "amount": "10.00"}], "invalid_recipient", "splits[0].recipient"),
        ([], "parameter_invalid", "splits"),
        (parts(*[(payer, "0.10")] * 51), "parameter_invalid", "splits"),
    ):
        request = body | {"splits": splits}
        await refused(stage, CREATE, payer.key, request, 400, code, says)


async def test_a_part_smaller_than_its_fee_gets_nothing_and_the_rest_is_exact(
    stage: Stage, platform: Party, payer: Party
) -> None:
    splits = parts((platform, "0.000001"), (payer, "0.010001"))
    done = await pay(stage, payer, "0.010002", splits=splits)
    nets = [each["net"] for each in done["splits"]]
    assert sum(round(float(net) * 1_000_000) for net in nets) == 2
    assert done["net"] == "0.000002"


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
