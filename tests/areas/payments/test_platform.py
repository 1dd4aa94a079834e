"""A platform that pays its own seller, and what is blamed when a party is blocked."""

from __future__ import annotations

import pytest

from tests.areas.payments.scene import (
    CREATE,
    EXTERNAL,
    REFUND,
    acting,
    balances,
    confirm,
    funded,
)
from tests.areas.payments.test_split import parts, seller
from tests.stage import Party, Stage


@pytest.fixture
async def platform(stage: Stage) -> Party:
    return await funded(stage)


@pytest.mark.parametrize("capture", [True, False])
async def test_a_platform_that_pays_its_seller_gets_its_share_back_and_the_audit_knows(
    stage: Stage, platform: Party, capture: bool
) -> None:
    one = await seller(stage, platform)
    body = {"amount": "100.00", "currency": "ssusd", "application_fee_amount": "5.00"}
    ask = acting(stage, platform, one.id)
    asked = (await ask(CREATE, {**body, "payment_method": EXTERNAL, "capture": capture})).json
    await confirm(stage, asked, platform)
    if not capture:
        await stage.done(f"POST /payments/{asked['id']}/capture", one.key)
    assert await balances(stage, platform) == ("905.00", "0.00")
    assert await balances(stage, one) == ("94.99", "0.00")
    await stage.done(REFUND, one.key, payment=asked["id"], amount="20.00")
    assert await balances(stage, platform) == ("924.00", "0.00")
    await stage.audit()


async def test_the_only_split_is_blamed_by_its_name(stage: Stage, platform: Party) -> None:
    friend = await stage.open_account()
    await stage.block(friend.wallet)
    body = {"amount": "10.00", "currency": "ssusd", "splits": parts((friend, "10.00"))}
    for method in ({"type": "ssusd"}, EXTERNAL):
        reply = await stage.ask(CREATE, platform.key, {**body, "payment_method": method})
        assert reply.error["code"] == "sanctioned_party"
        assert reply.error["param"] == "splits[0].recipient"


async def test_a_payment_made_before_is_blamed_by_its_id(stage: Stage, platform: Party) -> None:
    one, payer = await seller(stage, platform), await funded(stage)
    friend = await stage.open_account()
    splits = parts((one, "60.00"), (friend, "40.00"))
    body = {"amount": "100.00", "currency": "ssusd", "splits": splits, "capture": False}
    body |= {"payment_method": EXTERNAL, "application_fee_amount": "5.00"}
    asked = (await acting(stage, platform, one.id)(CREATE, body)).json
    confirming = {"client_secret": asked["client_secret"]}
    route = f"POST /payments/{asked['id']}"
    blocked = (403, "sanctioned_party")
    for party in (friend, platform):
        await stage.block(party.wallet)
        reply = await stage.ask(f"{route}/confirm", payer.key, confirming)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (*blocked, "id")
        await stage.block(party.wallet, blocked=False)
    await confirm(stage, asked, payer)
    for party in (friend, platform):
        await stage.block(party.wallet)
        reply = await stage.ask(f"{route}/capture", one.key)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (*blocked, "id")
        await stage.block(party.wallet, blocked=False)
