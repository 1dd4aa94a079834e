"""Issuances: who may mint, against what, and under which reference."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from commerce.kernel.address import new
from tests.ladder import Rung, climb, refused
from tests.stage import ISSUER, NOW, Party, Stage

ROUTE = "POST /stablecoin/issue"
DEPOSITS = "POST /stablecoin/reserves/deposits"


@pytest.fixture
async def issuer(stage: Stage) -> Party:
    return await stage.open_account(capabilities=ISSUER)


async def deposit_of(stage: Stage, issuer: Party, amount: str) -> dict[str, Any]:
    """A verified deposit of test dollars."""
    made = await stage.done(DEPOSITS, issuer.key, amount=amount, type="ach")
    return await stage.done(f"{DEPOSITS}/{made['id']}/verify", issuer.key)


def terms(stage: Stage, party: Party, **more: Any) -> dict[str, Any]:
    """A request that is in order."""
    order = {"recipient": party.wallet, "amount": "250.00", "reference_id": stage.name()}
    return order | more


async def test_guards_stand_in_order_and_a_refusal_leaves_nothing_behind(
    stage: Stage, issuer: Party
) -> None:
    blocked = await stage.open_account()
    await stage.block(blocked.wallet)
    pending = await stage.done(DEPOSITS, issuer.key, amount="500.00")
    small = await deposit_of(stage, issuer, "200.00")
    used = await stage.done(ROUTE, issuer.key, **terms(stage, issuer))
    foreign = await deposit_of(stage, await stage.open_account(capabilities=ISSUER), "500.00")
    await climb(
        stage,
        ROUTE,
        issuer.key,
        Rung({"recepient": "x"}, 400, "parameter_unknown", "recepient", "'recipient'"),
        Rung({"recepient": ...}, 400, "parameter_missing", "recipient"),
        Rung({"recipient": "nonsense"}, 400, "parameter_missing", "amount"),
        Rung({"amount": "99.999999"}, 400, "parameter_missing", "reference_id"),
        Rung({"reference_id": "x" * 65}, 400, "parameter_invalid", "reference_id"),
        Rung({"reference_id": ""}, 400, "parameter_invalid", "reference_id"),
        Rung(
            {"reference_id": used["reference_id"], "source": {"sort": "ach"}},
            *(400, "parameter_unknown", "source.sort"),
        ),
        Rung({"source": {"type": "cash"}}, 400, "parameter_invalid", "source.type"),
        Rung(
            {"source": {"deposit": pending["id"], "amount": "1.00"}, "compliance": {}},
            *(400, "parameter_missing", "compliance.kyc_verified"),
        ),
        Rung(
            {"compliance": {"kyc_verified": False}, "purpose": "fun"},
            *(400, "parameter_invalid", "purpose"),
        ),
        Rung({"purpose": "payroll", "currency": "eur"}, 400, "invalid_recipient", "recipient"),
        Rung({"recipient": blocked.wallet}, 400, "currency_unsupported", "currency"),
        Rung({"currency": ...}, 400, "amount_invalid", "amount", "100.00 to 10000000.00"),
        Rung({"amount": "10000000.01"}, 400, "amount_invalid", "amount", "100.00 to 10000000.00"),
        Rung({"amount": "300.00"}, 400, "amount_mismatch", "source.amount"),
        Rung(
            {"source": {"deposit": pending["id"]}},
            *(403, "compliance_check_failed", "compliance.kyc_verified"),
        ),
        Rung(
            {"compliance": {"kyc_verified": True}},
            *(409, "duplicate_reference", "reference_id", used["id"]),
        ),
        Rung({"reference_id": stage.name()}, 403, "sanctioned_party", "recipient", blocked.wallet),
        Rung(
            {"recipient": issuer.wallet},
            *(402, "insufficient_reserve_verification", "source.deposit", "not verified yet"),
        ),
        Rung(
            {"source": {"deposit": small["id"]}},
            *(402, "insufficient_reserve_verification", "source.deposit", "200.00 is left"),
        ),
        Rung(
            {"source": {"deposit": foreign["id"]}},
            *(404, "resource_missing", "source.deposit", foreign["id"]),
        ),
    )


async def test_only_an_issuer_mints(stage: Stage) -> None:
    stranger = await stage.open_account()
    body = terms(stage, stranger, recipient="nonsense")
    await refused(stage, ROUTE, stranger.key, body, 403, "unauthorized_issuer")


async def test_the_answer_says_everything_and_is_what_is_read_later(
    stage: Stage, issuer: Party
) -> None:
    friend = await stage.open_account()
    deposit = await deposit_of(stage, issuer, "1000.00")
    before = await stage.get("/stablecoin/reserves", issuer.key)
    body = {
        "recipient": friend.wallet,
        "amount": "400.25",
        "reference_id": stage.name(),
        "source": {"type": "ach", "deposit": deposit["id"], "amount": "400.250"},
        "compliance": {"kyc_verified": True, "aml_check_id": "aml-1"},
        "purpose": "payroll",
        "memo": "November",
        "metadata": {"team": "blue"},
    }
    reply = await stage.ask(ROUTE, issuer.key, body)
    assert reply.status == 201
    issuance = reply.json
    supply = str(Decimal(before["total_supply"]) + Decimal("400.25"))
    assert issuance["id"].startswith("iss_test_")
    assert issuance == {
        "id": issuance["id"],
        "object": "stablecoin_issuance",
        "livemode": False,
        "created": NOW,
        "metadata": {"team": "blue"},
        "amount": "400.25",
        "currency": "ssusd",
        "recipient": friend.wallet,
        "reference_id": body["reference_id"],
        "purpose": "payroll",
        "memo": "November",
        "source": {"type": "ach", "deposit": deposit["id"]},
        "compliance": {"kyc_verified": True, "aml_check_id": "aml-1"},
        "status": "confirmed",
        "transaction": {
            "id": issuance["transaction"]["id"],
            "tx_hash": issuance["transaction"]["tx_hash"],
            "block_height": None,
            "chain": "stateset",
        },
        "reserve": {"total_supply": supply, "total_reserves": supply, "reserve_ratio": "1.0000"},
    }
    assert await stage.get(f"/stablecoin/issuances/{issuance['id']}", issuer.key) == issuance
    assert await stage.available(friend) == "400.25"
    (event,) = await stage.events(issuer, issuance["id"])
    assert (event["type"], event["sequence"]) == ("stablecoin.issued", 1)
    assert event["data"] == {"object": issuance, "previous_attributes": None}
    assert event["request"]["id"] == reply.headers["request-id"]
    assert await stage.entries(issuance["transaction"]["id"]) == {
        ("network", f"reserves:unissued:{deposit['id']}"): 400_250_000,
        (friend.id, f"wallet:{friend.wallet}:available"): -400_250_000,
    }
    after = await stage.get("/stablecoin/reserves", issuer.key)
    assert after["total_supply"] == after["total_reserves"] == supply


async def test_a_deposit_is_minted_against_until_nothing_is_left(
    stage: Stage, issuer: Party
) -> None:
    deposit = await deposit_of(stage, issuer, "350.00")
    source = {"deposit": deposit["id"]}
    await stage.done(ROUTE, issuer.key, **terms(stage, issuer, source=source))
    body = terms(stage, issuer, source=source, amount="100.01")
    code = "insufficient_reserve_verification"
    await refused(stage, ROUTE, issuer.key, body, 402, code, "100.00 is left")
    await stage.done(ROUTE, issuer.key, **body | {"amount": "100.00"})
    await refused(
        stage, ROUTE, issuer.key, terms(stage, issuer, source=source), 402, code, "0.00 is left"
    )


async def test_in_test_mode_an_issue_makes_a_verified_deposit_of_its_own(
    stage: Stage, issuer: Party
) -> None:
    issuance = await stage.done(
        ROUTE, issuer.key, **terms(stage, issuer, source={"type": "treasury"})
    )
    deposit = await stage.get(
        f"/stablecoin/reserves/deposits/{issuance['source']['deposit']}", issuer.key
    )
    found = (deposit["status"], deposit["amount"], deposit["type"], deposit["verified_at"])
    assert found == ("verified", "250.00", "treasury", NOW)


async def test_the_same_reference_on_the_same_terms_gives_the_first_issuance(
    stage: Stage, issuer: Party
) -> None:
    body = terms(stage, issuer)
    first = await stage.ask(ROUTE, issuer.key, body)
    before = await stage.dump()
    again = await stage.ask(ROUTE, issuer.key, body | {"amount": "250.000", "memo": "again"})
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    assert await stage.dump() == before


async def test_the_same_reference_on_other_terms_is_refused(stage: Stage, issuer: Party) -> None:
    deposit = await deposit_of(stage, issuer, "1000.00")
    body = terms(stage, issuer)
    await stage.done(ROUTE, issuer.key, **body)
    for other in (
        {"amount": "250.01"},
        {"recipient": new(b"somebody else altogether")},
        {"purpose": "payroll"},
        {"source": {"deposit": deposit["id"]}},
    ):
        await refused(stage, ROUTE, issuer.key, body | other, 409, "duplicate_reference")
    another = await stage.open_account(capabilities=ISSUER)
    await stage.done(ROUTE, another.key, **body)


async def test_a_live_issue_needs_a_deposit(stage: Stage) -> None:
    live = await stage.open_account(livemode=True, capabilities=ISSUER)
    for source in ({}, {"type": "ach"}):
        body = terms(stage, live, source=source)
        says = "In live mode 'source.deposit' is required."
        await refused(stage, ROUTE, live.key, body, 400, "parameter_missing", says)


async def test_a_test_deposit_is_none_in_live_mode_and_the_message_says_so(
    stage: Stage, issuer: Party
) -> None:
    deposit = await deposit_of(stage, issuer, "1000.00")
    live = await stage.in_mode(issuer.id, livemode=True)
    body = terms(stage, live, source={"deposit": deposit["id"]})
    says = "It exists in test mode, but a live mode key was used."
    await refused(stage, ROUTE, live.key, body, 404, "resource_missing", says)
    await stage.audit()
