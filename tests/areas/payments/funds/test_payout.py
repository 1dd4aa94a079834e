"""Payouts: money of any currency to a bank account, sent at once or by an operator."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from commerce.areas.payments.funds.payout import Payout
from tests.areas.payments.funds.scene import BANK, HELD, PAYOUT, earn, funds, terms
from tests.ladder import Rung, climb, refused
from tests.stage import NOW, Party, Stage


@pytest.fixture
async def seller(stage: Stage) -> Party:
    party = await stage.open_account()
    await earn(stage, party)
    return party


async def kinds(stage: Stage, party: Party, id_: str) -> list[str]:
    return [event["type"] for event in await stage.events(party, id_)]


async def test_guards_stand_in_order_and_a_refusal_leaves_nothing_behind(
    stage: Stage, seller: Party
) -> None:
    await stage.block(seller.wallet)
    await refused(stage, PAYOUT, seller.key, terms(), 403, "sanctioned_party", seller.wallet)
    await stage.block(seller.wallet, blocked=False)
    await climb(
        stage,
        PAYOUT,
        seller.key,
        Rung({"ammount": "1"}, 400, "parameter_unknown", "ammount", "'amount'"),
        Rung({"ammount": ...}, 400, "parameter_missing", "amount"),
        Rung({"amount": "0"}, 400, "parameter_missing", "currency"),
        Rung({"currency": "ssusd"}, 400, "parameter_missing", "destination"),
        Rung(
            {"destination": {"type": "ach"}},
            *(400, "currency_unsupported", "currency", "POST /stablecoin/redeem"),
        ),
        Rung({"currency": "USD"}, 400, "currency_unsupported", "currency", "lower-case"),
        Rung({"currency": "usd"}, 400, "amount_invalid", "amount"),
        Rung({"amount": "1000.001"}, 400, "amount_precision", "amount"),
        Rung({"amount": "1000.01"}, 400, "parameter_missing", "destination.account_number"),
        Rung({"destination": BANK}, 402, "insufficient_funds", "amount", "available 1000.00"),
        Rung({"currency": "eur"}, 402, "insufficient_funds", "amount", "EUR is more than"),
    )


async def test_the_answer_says_everything_and_is_what_is_read_later(
    stage: Stage, seller: Party
) -> None:
    reply = await stage.ask(PAYOUT, seller.key, terms(metadata={"a": "b"}))
    assert reply.status == 201
    payout = reply.json
    assert payout["id"].startswith("pout_test_")
    assert payout == {
        "id": payout["id"],
        "object": "payout",
        "livemode": False,
        "created": NOW,
        "metadata": {"a": "b"},
        "amount": "100.00",
        "currency": "usd",
        "destination": {
            "type": "ach",
            "account_number": "****3322",
            "routing_number": "****0021",
            "swift_code": None,
            "iban": None,
            "bank_name": "Example Bank",
            "beneficiary_name": "Example Inc.",
        },
        "status": "paid",
        "estimated_arrival": "2026-11-24",
        "paid_at": NOW,
        "failure_reason": None,
        "transaction": payout["transaction"],
    }
    assert await stage.get(f"/payouts/{payout['id']}", seller.key) == payout
    assert await kinds(stage, seller, payout["id"]) == ["payout.created", "payout.paid"]
    assert await stage.entries(payout["transaction"]["id"]) == {
        (seller.id, f"wallet:{seller.wallet}:available"): 100_00,
        ("network", "payouts:payable"): -100_00,
    }
    (sent,) = await stage.rows(
        "SELECT id, type FROM ledger_transaction WHERE source = $1 AND booking = 'sent'",
        payout["id"],
    )
    assert sent["type"] == "settlement"
    assert await stage.entries(sent["id"]) == {
        ("network", "payouts:payable"): 100_00,
        ("network", "bank:test"): -100_00,
    }
    assert await funds(stage, seller) == {"ssusd": ("0.00",) * 3, "usd": ("900.00", "0.00", "0.00")}


@pytest.mark.parametrize(("currency", "amount"), [("jpy", "5000"), ("kwd", "12.345")])
async def test_a_currency_is_paid_out_in_its_own_units(
    stage: Stage, currency: str, amount: str
) -> None:
    seller = await stage.open_account()
    await earn(stage, seller, amount, currency)
    payout = await stage.done(PAYOUT, seller.key, **terms(amount=amount, currency=currency))
    assert (payout["amount"], payout["status"]) == (amount, "paid")
    assert (await funds(stage, seller))[currency][0] in {"0", "0.00"}


STATES = ("pending", "paid", "failed")
ALLOWED = {("pending", "complete"): "paid", ("pending", "fail"): "failed"}


def test_the_table_of_what_is_allowed_is_the_lifecycles() -> None:
    lifecycle = Payout.lifecycle
    assert set(lifecycle.states) == set(STATES)
    moves = {(state, verb) for state in STATES for verb in lifecycle.allowed(state)}
    assert moves == ALLOWED.keys()


async def in_state(stage: Stage, party: Party, state: str) -> dict[str, Any]:
    """A payout in a state."""
    if state == "paid":
        return await stage.done(PAYOUT, party.key, **terms())
    made = await stage.done(PAYOUT, party.key, **terms(destination=HELD))
    if state == "failed":
        await stage.done(f"POST /payouts/{made['id']}/fail", party.key)
    return made


@pytest.mark.parametrize(("state", "verb"), [*itertools.product(STATES, ("complete", "fail"))])
async def test_a_verb_moves_a_payout_or_is_refused_and_leaves_nothing(
    stage: Stage, seller: Party, state: str, verb: str
) -> None:
    made = await in_state(stage, seller, state)
    route = f"POST /payouts/{made['id']}/{verb}"
    after = ALLOWED.get((state, verb))
    if after is None:
        await refused(stage, route, seller.key, {}, 400, "state_invalid", f"'{state}'")
        return
    moved = await stage.done(route, seller.key)
    assert moved["status"] == after
    assert (await kinds(stage, seller, made["id"])) == ["payout.created", f"payout.{after}"]


async def test_what_could_not_be_sent_is_its_owners_again(stage: Stage, seller: Party) -> None:
    made = await in_state(stage, seller, "pending")
    assert (await funds(stage, seller))["usd"][0] == "900.00"
    failed = await stage.done(f"POST /payouts/{made['id']}/fail", seller.key, reason="closed")
    assert (failed["failure_reason"], failed["paid_at"]) == ("closed", None)
    assert (await funds(stage, seller))["usd"][0] == "1000.00"
    history = await stage.get("/balance/history?type=payout", seller.key)
    changes = [each["change"]["available"] for each in history["data"]]
    assert changes == ["100.00", "-100.00"]
    assert {each["source"] for each in history["data"]} == {made["id"]}


async def test_in_live_mode_an_operator_sends_it_and_nobody_for_itself(stage: Stage) -> None:
    seller = await stage.open_account(livemode=True, capabilities=["reserves_operator"])
    await earn(stage, seller)
    operator = await stage.open_account(livemode=True, capabilities=["reserves_operator"])
    made = await stage.done(PAYOUT, seller.key, **terms())
    assert made["status"] == "pending"
    route = f"POST /payouts/{made['id']}/complete"
    ask = {"account": seller.id}
    await refused(stage, route, seller.key, ask, 403, "insufficient_permissions", "its own")
    await refused(stage, route, operator.key, {}, 400, "parameter_missing", "'account'")
    other = await stage.open_account(livemode=True)
    await refused(stage, route, other.key, ask, 403, "insufficient_permissions")
    for owner in (other.id, "null"):
        body = {"account": owner}
        await refused(stage, route, operator.key, body, 404, "resource_missing", made["id"])
    paid = await stage.done(route, operator.key, **ask)
    assert (paid["status"], paid["paid_at"]) == ("paid", NOW)
    assert await kinds(stage, seller, made["id"]) == ["payout.created", "payout.paid"]


async def test_a_key_with_limits_counts_dollars_and_sends_nothing_else(
    stage: Stage, seller: Party
) -> None:
    await earn(stage, seller, "50.00", "eur")
    body = {"type": "restricted", "scopes": ["payments:write"]}
    limits = {"per_transaction": "60.00", "daily": "100.00"}
    key = (await stage.done("POST /api_keys", seller.key, limits=limits, **body))["secret"]
    too_much = terms(amount="60.01")
    await refused(stage, PAYOUT, key, too_much, 402, "limit_exceeded", "60.00 ssUSD per")
    await stage.done(PAYOUT, key, **terms(amount="60.00"))
    await refused(stage, PAYOUT, key, terms(amount="40.01"), 402, "limit_exceeded", "40.00 ssUSD")
    other = terms(amount="1.00", currency="eur")
    await refused(stage, PAYOUT, key, other, 402, "limit_exceeded", "do not count EUR")
    friend = await stage.open_account()
    listed = await stage.done("POST /api_keys", seller.key, recipients=[friend.wallet], **body)
    await refused(
        stage, PAYOUT, listed["secret"], terms(), 402, "limit_exceeded", "lacks bank accounts"
    )


async def test_payouts_at_once_send_what_there_is_and_no_more(stage: Stage, seller: Party) -> None:
    body = terms(amount="70.00")
    replies = await asyncio.gather(*(stage.ask(PAYOUT, seller.key, body) for _ in range(30)))
    assert sorted(reply.status for reply in replies) == [201] * 14 + [402] * 16
    assert (await funds(stage, seller))["usd"][0] == "20.00"


async def test_payouts_are_listed_by_state_and_amount(stage: Stage, seller: Party) -> None:
    first = await in_state(stage, seller, "pending")
    second = await stage.done(PAYOUT, seller.key, **terms(amount="1.00"))

    async def ids(query: str) -> list[str]:
        return [each["id"] for each in (await stage.get(f"/payouts?{query}", seller.key))["data"]]

    assert await ids("") == [second["id"], first["id"]]
    assert await ids("status=pending") == [first["id"]]
    assert await ids("currency=usd&amount[lt]=2.00") == [second["id"]]
    assert await ids("currency=eur") == []


async def test_the_database_lets_no_payout_be_of_ssusd(stage: Stage, seller: Party) -> None:
    made = await in_state(stage, seller, "pending")
    with pytest.raises(Exception, match="payout_currency_check"):
        await stage.rows("UPDATE payout SET currency = 'ssusd' WHERE id = $1", made["id"])


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
