"""How redemptions end: who may say so, what the ledger does, and what can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage

ROUTE = "POST /stablecoin/redeem"
BANK = {"type": "ach", "account_number": "000000000000", "routing_number": "021000021"}
PAYABLE = ("network", "redemptions:payable")


@pytest.fixture
async def holder(stage: Stage) -> Party:
    return await holding(stage, livemode=True)


@pytest.fixture(scope="module")
async def operator(stage: Stage) -> Party:
    return await stage.open_account(livemode=True, capabilities=["reserves_operator"])


async def holding(stage: Stage, *, livemode: bool) -> Party:
    party = await stage.open_account(livemode=livemode)
    await stage.fund(party.wallet, "500.00", livemode=livemode)
    return party


async def pending(stage: Stage, holder: Party) -> dict[str, Any]:
    body = {"amount": "100.00", "reference_id": stage.name(), "destination": BANK}
    made = await stage.done(ROUTE, holder.key, **body)
    assert made["status"] == "pending"
    return made


def to(verb: str, redemption: dict[str, Any]) -> str:
    return f"POST /stablecoin/redemptions/{redemption['id']}/{verb}"


async def booked(stage: Stage, redemption: dict[str, Any], name: str) -> dict[tuple[str, str], int]:
    query = "SELECT id FROM ledger_transaction WHERE source = $1 AND booking = $2"
    (row,) = await stage.rows(query, redemption["id"], name)
    return await stage.entries(row["id"])


@pytest.mark.parametrize("verb", ["process", "complete", "fail"])
async def test_only_another_account_that_operates_the_reserves_may_in_live_mode(
    stage: Stage, holder: Party, operator: Party, verb: str
) -> None:
    redemption = await pending(stage, holder)
    route = to(verb, redemption)
    stranger = await stage.open_account(livemode=True)
    lacking = (403, "insufficient_permissions", None)
    for key in (holder.key, stranger.key):
        await climb(stage, route, key, Rung({"account": holder.id}, *lacking))
    await refused(stage, route, holder.key, {}, *lacking[:2], "does not operate the reserves")
    narrow = await stage.make_key(operator, "restricted", ["stablecoin:redeem"])
    await refused(stage, route, narrow, {"account": holder.id}, 403, "insufficient_permissions")
    body = {"account": stranger.id}
    await refused(stage, route, operator.key, body, 404, "resource_missing")
    done = await stage.done(route, operator.key, account=holder.id)
    states = {"process": "processing", "complete": "completed", "fail": "failed"}
    assert done["status"] == states[verb]
    assert await stage.get(f"/stablecoin/redemptions/{redemption['id']}", holder.key) == done
    _, event = await stage.events(holder, redemption["id"])
    assert event["type"] == f"stablecoin.redemption.{done['status']}"


async def test_a_completed_one_was_paid_from_the_reserves(
    stage: Stage, holder: Party, operator: Party
) -> None:
    redemption = await pending(stage, holder)
    for verb in ("process", "complete"):
        await stage.done(to(verb, redemption), operator.key, account=holder.id)
    assert await booked(stage, redemption, "completed") == {
        PAYABLE: 100_000_000,
        ("network", "reserves:cash"): -100_000_000,
    }
    body = {"account": holder.id}
    for verb in ("process", "complete", "fail"):
        await refused(stage, to(verb, redemption), operator.key, body, 400, "state_invalid")
    await refused(stage, to("cancel", redemption), holder.key, {}, 400, "state_invalid")
    assert await stage.available(holder) == "400.00"


@pytest.mark.parametrize("verb", ["fail", "cancel"])
async def test_one_that_is_not_paid_is_minted_back(
    stage: Stage, holder: Party, operator: Party, verb: str
) -> None:
    before = await stage.get("/stablecoin/reserves", holder.key)
    redemption = await pending(stage, holder)
    if verb == "fail":
        body = {"account": holder.id, "reason": "The account is closed."}
        done = await stage.done(to(verb, redemption), operator.key, **body)
        assert done["failure_reason"] == "The account is closed."
    else:
        done = await stage.done(to(verb, redemption), holder.key)
    assert await booked(stage, redemption, done["status"]) == {
        PAYABLE: 100_000_000,
        (holder.id, f"wallet:{holder.wallet}:available"): -100_000_000,
    }
    assert await stage.available(holder) == "500.00"
    assert await stage.get("/stablecoin/reserves", holder.key) == before
    again = {"account": holder.id}
    await refused(stage, to("complete", redemption), operator.key, again, 400, "state_invalid")


async def test_a_holder_cancels_its_own_and_only_while_it_is_pending(
    stage: Stage, holder: Party, operator: Party
) -> None:
    redemption = await pending(stage, holder)
    route = to("cancel", redemption)
    await refused(stage, route, operator.key, {}, 404, "resource_missing")
    await stage.done(to("process", redemption), operator.key, account=holder.id)
    await refused(stage, route, holder.key, {}, 400, "state_invalid", "'processing'")


async def test_in_test_mode_one_account_number_leaves_a_redemption_to_be_settled(
    stage: Stage,
) -> None:
    holder = await holding(stage, livemode=False)
    redemption = await pending(stage, holder)
    assert (await stage.done(to("complete", redemption), holder.key))["status"] == "completed"


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
