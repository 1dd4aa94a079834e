"""Disputes: what is withdrawn at once, what evidence does, and how they end."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from commerce.areas.payments.dispute.dispute import Dispute
from tests.areas.payments.card.scene import DAY, charge
from tests.areas.payments.funds.scene import funds
from tests.areas.payments.returns.scene import (
    DISPUTED,
    LOSSES,
    OWED,
    REFUND,
    available,
    booked,
    has,
    merchant_of,
    parts,
    pass_days,
    pending,
    seller_of,
)
from tests.areas.payments.scene import kinds
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage

WINNING = {"uncategorized_text": "winning_evidence"}
LOSING = {"uncategorized_text": "losing_evidence"}


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await merchant_of(stage)


async def disputed(stage: Stage, party: Party, **more: Any) -> dict[str, Any]:
    """A payment that is disputed."""
    paid = await charge(stage, party, DISPUTED, **more)
    found: dict[str, Any] = await stage.get(f"/disputes/{paid['dispute']}", party.key)
    return found


async def answer(stage: Stage, party: Party, dispute: dict[str, Any], **body: Any) -> Any:
    return await stage.done(f"POST /disputes/{dispute['id']}", party.key, **body)


async def test_a_dispute_takes_the_amount_at_once_pending_first_and_then_what_is_available(
    stage: Stage, merchant: Party
) -> None:
    await has(stage, merchant, "50.00")
    before = await funds(stage, merchant)
    paid = await charge(stage, merchant, DISPUTED)
    dispute = await stage.get(f"/disputes/{paid['dispute']}", merchant.key)
    assert dispute["id"].startswith("disp_test_")
    transaction = dispute["withdrawals"][0]["transaction"]
    assert dispute == {
        "id": dispute["id"],
        "object": "dispute",
        "livemode": False,
        "created": paid["created"],
        "metadata": {},
        "amount": "100.00",
        "currency": "usd",
        "payment": paid["id"],
        "reason": "fraudulent",
        "status": "needs_response",
        "evidence": dict.fromkeys(dispute["evidence"]),
        "evidence_due_by": paid["created"] + 14 * DAY,
        "submitted_at": None,
        "closed_at": None,
        "withdrawals": [
            {
                "wallet": merchant.wallet,
                "amount": "100.00",
                "unsettled": "96.80",
                "available": "3.20",
                "transaction": transaction,
            }
        ],
        "covered": "0.00",
    }
    assert await booked(stage, dispute["id"]) == [
        ("disputed:1", {pending(merchant): 96_80, available(merchant): 3_20, OWED: -100_00})
    ]
    after = await funds(stage, merchant)
    assert after["usd"][1] == "0.00"
    assert float(before["usd"][0]) - float(after["usd"][0]) == pytest.approx(3.20)
    assert paid["status"] == "succeeded"
    events = await kinds(stage, merchant, paid)
    assert events == ["payment.created", "payment.succeeded", "payment.updated"]
    assert await kinds(stage, merchant, dispute) == ["dispute.created"]


async def test_what_no_wallet_has_is_the_networks_loss_until_it_is_won(
    stage: Stage, merchant: Party
) -> None:
    dispute = await disputed(stage, merchant)
    assert (dispute["covered"], dispute["withdrawals"][0]["available"]) == ("3.20", "0.00")
    assert dict(await booked(stage, dispute["id"])) == {
        "disputed:1": {pending(merchant): 96_80, OWED: -96_80},
        "covered": {LOSSES: 3_20, OWED: -3_20},
    }
    won = await answer(stage, merchant, dispute, evidence=WINNING)
    assert won["status"] == "won"
    assert dict((await booked(stage, dispute["id"]))[2:]) == {
        "reinstated:1": {pending(merchant): -96_80, OWED: 96_80},
        "recovered": {LOSSES: -3_20, OWED: 3_20},
    }
    assert (await funds(stage, merchant))["usd"] == ("0.00", "96.80", "0.00")
    await pass_days(stage)
    assert (await funds(stage, merchant))["usd"] == ("96.80", "0.00", "0.00")


async def test_evidence_is_gathered_until_it_is_handed_in(stage: Stage, merchant: Party) -> None:
    dispute = await disputed(stage, merchant)
    first = {"customer_name": "Jenny", "service_date": "2026-11-01"}
    kept = await answer(stage, merchant, dispute, evidence=first, submit=False, metadata={"a": "b"})
    assert (kept["status"], kept["metadata"]) == ("needs_response", {"a": "b"})
    more = {"service_date": "", "product_description": "A shirt"}
    kept = await answer(stage, merchant, dispute, evidence=more, submit=False)
    given = {name: text for name, text in kept["evidence"].items() if text is not None}
    assert given == {"customer_name": "Jenny", "product_description": "A shirt"}
    kept = await answer(stage, merchant, dispute, metadata={"a": "c"})
    assert (kept["status"], kept["metadata"]) == ("needs_response", {"a": "c"})
    assert kept["evidence"]["customer_name"] == "Jenny"
    handed_in = await answer(stage, merchant, dispute, submit=True)
    assert handed_in["status"] == "under_review"
    assert handed_in["submitted_at"] is not None
    assert handed_in["evidence"] == kept["evidence"]
    labelled = await answer(stage, merchant, dispute, metadata={"a": ""})
    assert (labelled["status"], labelled["metadata"]) == ("under_review", {})
    route = f"POST /disputes/{dispute['id']}"
    body = {"evidence": first, "submit": False}
    await refused(stage, route, merchant.key, body, 400, "state_invalid", "'under_review'")
    events = ["dispute.created", *["dispute.updated"] * 5]
    assert await kinds(stage, merchant, dispute) == events


@pytest.mark.parametrize(
    ("evidence", "status"), [(WINNING, "won"), (LOSING, "lost"), ({"customer_name": "J"}, None)]
)
async def test_what_is_handed_in_decides_in_test_mode(
    stage: Stage, merchant: Party, evidence: dict[str, str], status: str | None
) -> None:
    dispute = await disputed(stage, merchant)
    held = await funds(stage, merchant)
    done = await answer(stage, merchant, dispute, evidence=evidence)
    assert done["status"] == (status or "under_review")
    assert (done["closed_at"] is None) is (status is None)
    events = ["dispute.created", "dispute.updated", *(["dispute.closed"] if status else [])]
    assert await kinds(stage, merchant, dispute) == events
    if status != "won":
        assert await funds(stage, merchant) == held


async def test_a_payment_is_refunded_only_once_its_dispute_was_won(
    stage: Stage, merchant: Party
) -> None:
    await has(stage, merchant, "10.00")
    dispute = await disputed(stage, merchant)
    body = {"payment": dispute["payment"], "amount": "10.00"}
    await refused(stage, REFUND, merchant.key, body, 400, "state_invalid", dispute["id"])
    await answer(stage, merchant, dispute, evidence=WINNING)
    assert (await stage.done(REFUND, merchant.key, **body))["status"] == "succeeded"
    other = await disputed(stage, merchant)
    await stage.done(f"POST /disputes/{other['id']}/close", merchant.key)
    body = {"payment": other["payment"]}
    await refused(stage, REFUND, merchant.key, body, 400, "state_invalid", "'lost'")


async def test_what_is_won_after_the_settlement_is_available(stage: Stage, merchant: Party) -> None:
    dispute = await disputed(stage, merchant)
    await pass_days(stage)
    assert (await funds(stage, merchant))["usd"] == ("0.00", "0.00", "0.00")
    await answer(stage, merchant, dispute, evidence=WINNING)
    assert (await funds(stage, merchant))["usd"] == ("96.80", "0.00", "0.00")


async def test_a_dispute_that_nobody_answers_is_lost_when_its_time_is_over(
    stage: Stage, merchant: Party
) -> None:
    silent, answered = await disputed(stage, merchant), await disputed(stage, merchant)
    await answer(stage, merchant, answered, evidence={"customer_name": "Jenny"})
    await pass_days(stage, 13)
    assert (await stage.get(f"/disputes/{silent['id']}", merchant.key))["status"] != "lost"
    await pass_days(stage, 1)
    lost = await stage.get(f"/disputes/{silent['id']}", merchant.key)
    assert (lost["status"], lost["closed_at"]) == ("lost", silent["evidence_due_by"])
    assert await kinds(stage, merchant, silent) == ["dispute.created", "dispute.closed"]
    now = await stage.get(f"/disputes/{answered['id']}", merchant.key)
    assert now["status"] == "under_review"


async def test_of_a_payment_to_several_each_gives_its_part_and_gets_it_back(
    stage: Stage,
) -> None:
    platform = await merchant_of(stage)
    one = await seller_of(stage, platform)
    dispute = await disputed(stage, platform, splits=parts((one, "60.00"), (platform, "40.00")))
    assert [each["amount"] for each in dispute["withdrawals"]] == ["60.00", "40.00"]
    assert [each["unsettled"] for each in dispute["withdrawals"]] == ["58.08", "38.72"]
    assert dispute["covered"] == "3.20"
    for party in (one, platform):
        assert (await funds(stage, party))["usd"][1] == "0.00"
    await answer(stage, platform, dispute, evidence=WINNING)
    assert (await funds(stage, one))["usd"][1] == "58.08"
    assert (await funds(stage, platform))["usd"][1] == "38.72"
    history = await stage.get("/balance/history?type=dispute", one.key)
    assert [each["change"]["pending"] for each in history["data"]] == ["58.08", "-58.08"]


async def test_what_was_set_aside_first_is_disputed_once_it_is_captured(
    stage: Stage, merchant: Party
) -> None:
    held = await charge(stage, merchant, DISPUTED, capture=False)
    assert held["dispute"] is None
    route = f"POST /payments/{held['id']}/capture"
    taken = await stage.done(route, merchant.key, amount="20.00")
    dispute = await stage.get(f"/disputes/{taken['dispute']}", merchant.key)
    assert (dispute["amount"], dispute["status"]) == ("20.00", "needs_response")


async def test_guards_of_evidence_stand_in_order(stage: Stage, merchant: Party) -> None:
    dispute = await disputed(stage, merchant)
    route = f"POST /disputes/{dispute['id']}"
    long = dict.fromkeys(list(dispute["evidence"])[:8], "x" * 20_000)
    await climb(
        stage,
        route,
        merchant.key,
        Rung({"evidance": {}}, 400, "parameter_unknown", "evidance", "'evidence'"),
        Rung(
            {"evidance": ..., "evidence": {"custmer_name": "x"}, "submit": True},
            *(400, "parameter_unknown", "evidence.custmer_name", "customer_name"),
        ),
        Rung(
            {"evidence": {"customer_name": "x" * 20_001}},
            *(400, "parameter_invalid", "evidence.customer_name"),
        ),
        Rung({"evidence": long}, 400, "parameter_invalid", "evidence", "150000"),
        Rung({"evidence": {}}, 400, "parameter_missing", "evidence"),
    )
    stranger = await stage.open_account()
    await refused(stage, route, stranger.key, {}, 404, "resource_missing", dispute["id"])
    reader = await stage.make_key(merchant, "restricted", ["payments:read"])
    await refused(stage, route, reader, {}, 403, "insufficient_permissions", "payments:write")


# Every state and every verb

STATES = ("needs_response", "under_review", "won", "lost")
VERBS = ("submit", "close")
ALLOWED = {("needs_response", "submit"): "under_review", ("needs_response", "close"): "lost"}
BY_OTHERS = {
    ("needs_response", "expire"),
    ("under_review", "win"),
    ("under_review", "lose"),
}
"""What time does, and the cardholder's bank."""
INTO = {
    "under_review": {"customer_name": "Jenny"},
    "won": WINNING,
    "lost": LOSING,
}


def test_the_table_of_what_is_allowed_is_the_lifecycles() -> None:
    lifecycle = Dispute.lifecycle
    assert lifecycle.states == STATES or set(lifecycle.states) == set(STATES)
    moves = {(state, verb) for state in STATES for verb in lifecycle.allowed(state)}
    assert moves == ALLOWED.keys() | BY_OTHERS


@pytest.mark.parametrize(("state", "verb"), [*itertools.product(STATES, VERBS)])
async def test_a_verb_moves_a_dispute_or_is_refused_and_leaves_nothing(
    stage: Stage, merchant: Party, state: str, verb: str
) -> None:
    dispute = await disputed(stage, merchant)
    if state in INTO:
        await answer(stage, merchant, dispute, evidence=INTO[state])
    route = f"POST /disputes/{dispute['id']}"
    body: dict[str, Any] = {"evidence": {"customer_name": "J"}}
    if verb == "close":
        route, body = f"{route}/close", {}
    after = ALLOWED.get((state, verb))
    if after is None:
        await refused(stage, route, merchant.key, body, 400, "state_invalid", f"'{state}'")
        return
    assert (await stage.done(route, merchant.key, **body))["status"] == after


async def test_disputes_are_listed_and_lead_to_their_payments(
    stage: Stage, merchant: Party
) -> None:
    first, second = await disputed(stage, merchant), await disputed(stage, merchant)
    await stage.done(f"POST /disputes/{first['id']}/close", merchant.key)

    async def ids(query: str) -> list[str]:
        page = await stage.get(f"/disputes?{query}", merchant.key)
        return [each["id"] for each in page["data"]]

    assert await ids("") == [second["id"], first["id"]]
    assert await ids("status=lost") == [first["id"]]
    assert await ids(f"payment={second['payment']}") == [second["id"]]
    expanded = await stage.get(f"/disputes/{first['id']}?expand[]=payment.dispute", merchant.key)
    assert expanded["payment"]["dispute"]["id"] == first["id"]


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
