"""blnk #182: a hold that was refused is committed all the same, and moves money.

A transaction that is to be held is refused for want of money, is kept, and can be committed later
as if it had been held.
"""

from __future__ import annotations

from tests.areas.payments.card.scene import DECLINED, ask
from tests.areas.payments.card.scene import balances as of_card
from tests.areas.payments.scene import CREATE, balances, funded
from tests.stage import Stage


async def test_a_hold_without_money_leaves_nothing_that_could_be_captured(stage: Stage) -> None:
    party = await funded(stage, "100.00")
    before = (await stage.get("/payments", party.key))["data"]
    body = {"amount": "700.00", "currency": "ssusd", "capture": False}
    refused = await stage.ask(CREATE, party.key, body)
    assert (refused.status, refused.error["code"]) == (402, "insufficient_funds")
    assert (await stage.get("/payments", party.key))["data"] == before

    await stage.fund(party.wallet, "1000.00")
    again = await stage.ask(CREATE, party.key, body | {"amount": "600.00"})
    assert again.status == 201
    assert await balances(stage, party) == ("500.00", "600.00")
    await stage.audit()


async def test_a_card_that_was_declined_is_never_captured(stage: Stage) -> None:
    merchant = await stage.open_account()
    declined = await ask(stage, merchant, DECLINED, capture=False)
    assert (declined.status, declined.error["code"]) == (402, "card_declined")
    kept = declined.error["payment"]

    for verb in ("capture", "cancel", "confirm"):
        refused = await stage.ask(f"POST /payments/{kept}/{verb}", merchant.key, {})
        assert (refused.status, refused.error["code"]) == (400, "state_invalid")
    assert (await stage.get(f"/payments/{kept}", merchant.key))["status"] == "failed"
    assert await of_card(stage, merchant.wallet) == {}
    await stage.audit()
