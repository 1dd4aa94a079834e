"""Reserve deposits: announced by issuers, verified by operators, added up in the reserves."""

from __future__ import annotations

import pytest

from commerce.areas.identity.account import Capability
from tests.ladder import Rung, climb, refused
from tests.stage import ISSUER, NOW, Party, Stage

ROUTE = "POST /stablecoin/reserves/deposits"
OPERATOR: list[Capability] = ["reserves_operator"]


@pytest.fixture
async def issuer(stage: Stage) -> Party:
    return await stage.open_account(capabilities=ISSUER)


async def test_guards_of_create_stand_in_order_and_leave_nothing_behind(
    stage: Stage, issuer: Party
) -> None:
    await climb(
        stage,
        ROUTE,
        issuer.key,
        Rung({"bank_ref": "x"}, 400, "parameter_unknown", "bank_ref", "'bank_reference'"),
        Rung({"bank_ref": ...}, 400, "parameter_missing", "amount"),
        Rung({"amount": "0", "type": "cash"}, 400, "amount_invalid", "amount"),
        Rung({"amount": {"denom": "ssusd", "amount": "5"}}, 400, "amount_invalid", "amount"),
        Rung({"amount": "5.0000001"}, 400, "amount_precision", "amount"),
        Rung({"amount": 5, "bank_reference": "x" * 129}, 400, "parameter_invalid", "type"),
        Rung({"type": "ach"}, 400, "parameter_invalid", "bank_reference"),
        Rung({"bank_reference": ..., "currency": "usd"}, 400, "currency_unsupported", "currency"),
    )
    stranger = await stage.open_account()
    body = {"amount": "5.00", "currency": "usd"}
    await refused(stage, ROUTE, stranger.key, body, 403, "unauthorized_issuer")


async def test_create_answers_everything_and_books_nothing(stage: Stage, issuer: Party) -> None:
    reserves = await stage.get("/stablecoin/reserves", issuer.key)
    body = {"amount": 5000.5, "type": "treasury", "bank_reference": "FT-1", "metadata": {"a": "b"}}
    reply = await stage.ask(ROUTE, issuer.key, body)
    assert reply.status == 201
    deposit = reply.json
    assert deposit["id"].startswith("dep_test_")
    assert deposit == {
        "id": deposit["id"],
        "object": "stablecoin_reserve_deposit",
        "livemode": False,
        "created": NOW,
        "metadata": {"a": "b"},
        "amount": "5000.50",
        "currency": "ssusd",
        "type": "treasury",
        "bank_reference": "FT-1",
        "status": "pending",
        "verified_at": None,
    }
    path = f"/stablecoin/reserves/deposits/{deposit['id']}"
    assert await stage.get(path, issuer.key) == deposit
    (event,) = await stage.events(issuer, deposit["id"])
    assert (event["type"], event["sequence"]) == ("stablecoin.reserve_deposit.created", 1)
    assert event["data"] == {"object": deposit, "previous_attributes": None}
    assert event["request"]["id"] == reply.headers["request-id"]
    assert await stage.get("/stablecoin/reserves", issuer.key) == reserves


async def test_verify_books_cash_that_can_be_minted_against(stage: Stage, issuer: Party) -> None:
    before = await stage.get("/stablecoin/reserves", issuer.key)
    deposit = await stage.done(ROUTE, issuer.key, amount="700.00", type="ach")
    stage.clock.advance(60)
    reply = await stage.ask(f"{ROUTE}/{deposit['id']}/verify", issuer.key)
    stage.clock.advance(-60)
    assert reply.status == 200
    assert reply.json == {**deposit, "status": "verified", "verified_at": NOW + 60}
    _, event = await stage.events(issuer, deposit["id"])
    assert (event["type"], event["sequence"]) == ("stablecoin.reserve_deposit.verified", 2)
    changed = {"status": "pending", "verified_at": None}
    assert event["data"] == {"object": reply.json, "previous_attributes": changed}
    query = "SELECT id FROM ledger_transaction WHERE source = $1"
    (booked,) = await stage.rows(query, deposit["id"])
    assert await stage.entries(booked["id"]) == {
        ("network", "reserves:cash"): 700_000_000,
        ("network", f"reserves:unissued:{deposit['id']}"): -700_000_000,
    }
    after = await stage.get("/stablecoin/reserves", issuer.key)
    assert after["total_supply"] == before["total_supply"]
    assert after["total_reserves"] == before["total_reserves"]
    unissued = int(before["unissued_deposits"].removesuffix(".00")) + 700
    assert after["unissued_deposits"] == f"{unissued}.00"


async def test_a_verified_deposit_is_not_verified_again(stage: Stage, issuer: Party) -> None:
    deposit = await stage.done(ROUTE, issuer.key, amount="700.00")
    verify = f"{ROUTE}/{deposit['id']}/verify"
    await stage.done(verify, issuer.key)
    await refused(stage, verify, issuer.key, {}, 400, "state_invalid", "'verified'")


async def test_guards_of_verify_stand_in_order(stage: Stage, issuer: Party) -> None:
    deposit = await stage.done(ROUTE, issuer.key, amount="700.00")
    operator = await stage.open_account(capabilities=OPERATOR)
    stranger = await stage.open_account()
    verify = f"{ROUTE}/{deposit['id']}/verify"
    nothing = f"{ROUTE}/dep_test_{'0' * 26}/verify"
    of_issuer = {"account": issuer.id}
    await refused(stage, nothing, stranger.key, {"id": "x"}, 400, "parameter_unknown")
    await refused(stage, nothing, stranger.key, of_issuer, 403, "insufficient_permissions")
    await refused(stage, nothing, operator.key, of_issuer, 404, "resource_missing")
    await refused(stage, verify, stranger.key, {}, 404, "resource_missing")
    await refused(stage, verify, operator.key, {}, 404, "resource_missing")
    await stage.done(verify, operator.key, **of_issuer)


async def test_in_live_mode_an_operator_verifies_and_an_issuer_never_its_own(
    stage: Stage,
) -> None:
    both: list[Capability] = ["stablecoin_issuance", "reserves_operator"]
    issuer = await stage.open_account(livemode=True, capabilities=both)
    operator = await stage.open_account(livemode=True, capabilities=OPERATOR)
    deposit = await stage.done(ROUTE, issuer.key, amount="900.00")
    verify = f"{ROUTE}/{deposit['id']}/verify"
    code, says = "insufficient_permissions", "nobody operates the reserves in a matter of its own"
    await refused(stage, verify, issuer.key, {"account": issuer.id}, 403, code, says)
    verified = await stage.done(verify, operator.key, account=issuer.id)
    path = f"/stablecoin/reserves/deposits/{deposit['id']}"
    assert await stage.get(path, issuer.key) == verified
    assert [event["type"] for event in await stage.events(issuer, deposit["id"])] == [
        "stablecoin.reserve_deposit.created",
        "stablecoin.reserve_deposit.verified",
    ]
    assert await stage.events(operator, deposit["id"]) == []
    (booked,) = (await stage.get("/stablecoin/transactions?type=reserve", issuer.key))["data"]
    assert booked["source"] == deposit["id"]
    await stage.audit()


async def test_the_other_modes_deposit_is_missing_and_the_message_says_so(
    stage: Stage, issuer: Party
) -> None:
    deposit = await stage.done(ROUTE, issuer.key, amount="900.00")
    operator = await stage.open_account(livemode=True, capabilities=OPERATOR)
    verify = f"{ROUTE}/{deposit['id']}/verify"
    body, says = {"account": issuer.id}, "It exists in test mode, but a live mode key was used."
    await refused(stage, verify, operator.key, body, 404, "resource_missing", says)


async def test_the_reserves_add_up_and_keep_the_modes_apart(stage: Stage) -> None:
    live = await stage.open_account(livemode=True)
    reserves = await stage.get("/stablecoin/reserves", live.key)
    assert reserves == {
        "object": "stablecoin_reserves",
        "livemode": True,
        "currency": "ssusd",
        "total_supply": "0.00",
        "total_reserves": "0.00",
        "reserve_ratio": "1.0000",
        "unissued_deposits": "900.00",
        "redemptions_payable": "0.00",
        "deposits_by_type": {"bank_wire": "900.00", "ach": "0.00", "treasury": "0.00"},
        "block_height": None,
        "as_of": NOW,
    }
    test = await stage.in_mode(live.id, livemode=False)
    await stage.fund(test.wallet, "100.00")
    assert (await stage.get("/stablecoin/reserves", test.key))["total_supply"] == "100.00"
    assert await stage.get("/stablecoin/reserves", live.key) == reserves
