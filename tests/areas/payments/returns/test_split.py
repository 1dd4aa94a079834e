"""Refunds of payments by card to several: everybody gives its part, in every currency."""

from __future__ import annotations

import random

import pytest

from commerce.gateways.cards import port
from commerce.kernel.money import Money
from tests.areas.payments.card.scene import charge, heard
from tests.areas.payments.funds.scene import funds
from tests.areas.payments.returns.scene import (
    REFUND,
    booked,
    has,
    merchant_of,
    parts,
    pass_days,
    refuse,
    seller_of,
)
from tests.areas.payments.scene import acting, seen
from tests.stage import Party, Stage


@pytest.fixture
async def platform(stage: Stage) -> Party:
    return await merchant_of(stage)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("currency", "whole"), [("jpy", "9973"), ("usd", "99.73"), ("kwd", "9.973")]
)
async def test_however_it_is_given_back_each_gives_exactly_its_part(
    stage: Stage, platform: Party, currency: str, whole: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same each time
    one, two = await seller_of(stage, platform), await seller_of(stage, platform)
    for party in (one, two, platform):
        await has(stage, party, "9999" if currency == "jpy" else "100.00", currency)
    total = Money.parse(whole, currency)
    of_each = total.split([chance.randint(1, 9) for _ in range(3)])
    parties = (one, two, platform)
    splits = parts(*zip(parties, (each.text for each in of_each), strict=True))
    paid = await charge(stage, platform, amount=whole, currency=currency, splits=splits)
    received = [await _held(stage, party, currency) for party in parties]
    left = total.minor
    while left:
        piece = min(left, chance.randint(1, total.minor // 2))
        amount = Money(piece, currency).text
        made = await stage.done(REFUND, platform.key, payment=paid["id"], amount=amount)
        assert made["status"] == "succeeded"
        gave = [Money.parse(each["amount"], currency).minor for each in made["sources"]]
        assert sum(gave) == piece
        left -= piece
        if chance.random() < 0.3:
            await pass_days(stage)
            received = [(before[0] + before[1], 0, 0) for before in received]
    now = await seen(stage, paid, platform)
    assert now["amount_refunded"] == whole
    given = [each["amount_refunded"] for each in now["splits"]]
    assert given == [each.text for each in of_each]
    for party, before, part in zip(parties, received, of_each, strict=True):
        after = await _held(stage, party, currency)
        assert sum(before) - sum(after) == part.minor


async def _held(stage: Stage, party: Party, currency: str) -> tuple[int, ...]:
    texts = (await funds(stage, party))[currency]
    return tuple(Money.bound(text, currency, param="x").minor for text in texts)


async def test_the_platform_gives_back_its_part_of_its_share_and_gets_it_again_if_refused(
    stage: Stage, platform: Party
) -> None:
    one = await seller_of(stage, platform)
    ask = acting(stage, platform, one.id)
    body = {
        "amount": "100.00",
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "application_fee_amount": "10.00",
    }
    paid = (await ask("POST /payments/create", body)).json
    assert (await funds(stage, platform))["usd"][1] == "10.00"
    half = {"payment": paid["id"], "amount": "50.00"}
    with heard(stage, refuse, port.Refund):
        assert (await ask(REFUND, half)).status == 402
    assert (await funds(stage, platform))["usd"][1] == "10.00"
    made = (await ask(REFUND, half)).json
    assert [each["amount"] for each in made["sources"]] == ["45.00", "5.00"]
    assert (await funds(stage, platform))["usd"][1] == "5.00"
    now = await seen(stage, paid, one)
    assert now["application_fee_refunded"] == "5.00"
    names = [name for name, _ in await booked(stage, made["id"])]
    assert names == ["refunded:1", "refunded:2"]
    history = await stage.get("/balance/history?limit=4", platform.key)
    changes = [each["change"]["pending"] for each in history["data"]]
    assert changes == ["-5.00", "5.00", "-5.00", "10.00"]
    await pass_days(stage)
    assert (await funds(stage, platform))["usd"] == ("5.00", "0.00", "0.00")


async def test_one_party_that_is_short_keeps_all_of_a_refund_waiting(
    stage: Stage, platform: Party
) -> None:
    one = await seller_of(stage, platform)
    splits = parts((one, "60.00"), (platform, "40.00"))
    paid = await charge(stage, platform, splits=splits)
    before = await funds(stage, platform)
    waiting = await stage.done(REFUND, platform.key, payment=paid["id"])
    assert waiting["status"] == "pending"
    assert await funds(stage, platform) == before
    for party in (one, platform):
        await has(stage, party, "5.00")
    await pass_days(stage, 1)
    assert (await seen(stage, waiting, platform))["status"] == "succeeded"


async def test_what_went_to_a_stranger_is_given_back_by_whoever_took_the_payment(
    stage: Stage, platform: Party
) -> None:
    stranger = await merchant_of(stage)
    paid = await charge(stage, platform, recipient=stranger.wallet)
    await has(stage, platform, "30.00")
    made = await stage.done(REFUND, platform.key, payment=paid["id"], amount="25.00")
    assert [each["wallet"] for each in made["sources"]] == [platform.wallet]
    assert made["sources"][0]["unsettled"] == "0.00"
    assert (await funds(stage, stranger))["usd"][1] == "96.80"


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
