"""Redemptions: tokens burned, dollars owed and paid, bank numbers kept to nobody's eyes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from commerce import log
from tests.ladder import Rung, climb, refused
from tests.stage import ISSUER, NOW, Party, Stage

ROUTE = "POST /stablecoin/redeem"
BANK = {
    "type": "bank_wire",
    "account_number": "9988776655443322",
    "routing_number": "021000021",
    "bank_name": "Example Bank",
    "beneficiary_name": "Example Inc.",
}


@pytest.fixture
async def holder(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "1000.00")
    return party


async def live_holder(stage: Stage, amount: str) -> Party:
    """A holder of live ssUSD, minted against a deposit that an operator verified."""
    issuer = await stage.open_account(livemode=True, capabilities=ISSUER)
    operator = await stage.open_account(livemode=True, capabilities=["reserves_operator"])
    deposits = "POST /stablecoin/reserves/deposits"
    deposit = await stage.done(deposits, issuer.key, amount=amount)
    await stage.done(f"{deposits}/{deposit['id']}/verify", operator.key, account=issuer.id)
    source = {"deposit": deposit["id"]}
    body = {"recipient": issuer.wallet, "amount": amount, "reference_id": stage.name()}
    await stage.done("POST /stablecoin/issue", issuer.key, source=source, **body)
    return issuer


def terms(stage: Stage, **more: Any) -> dict[str, Any]:
    """A request that is in order."""
    return {"amount": "100.00", "reference_id": stage.name(), "destination": BANK} | more


async def test_guards_stand_in_order_and_a_refusal_leaves_nothing_behind(stage: Stage) -> None:
    blocked, stranger = await stage.open_account(), await stage.open_account()
    await stage.fund(blocked.wallet, "100.00")
    used = await stage.done(ROUTE, blocked.key, **terms(stage))
    await stage.block(blocked.wallet)
    before = terms(stage, sender=blocked.wallet)
    await refused(stage, ROUTE, blocked.key, before, 403, "sanctioned_party", blocked.wallet)
    assert (await stage.ask(ROUTE, blocked.key, before)).error["param"] == "sender"
    await stage.block(blocked.wallet, blocked=False)
    await climb(
        stage,
        ROUTE,
        blocked.key,
        Rung({"ammount": "1"}, 400, "parameter_unknown", "ammount", "'amount'"),
        Rung({"ammount": ...}, 400, "parameter_missing", "amount"),
        Rung({"amount": "0.999999"}, 400, "parameter_missing", "destination"),
        Rung({"destination": {}}, 400, "parameter_missing", "destination.type"),
        Rung({"destination": {"type": "cash"}}, 400, "parameter_invalid", "destination.type"),
        Rung({"destination": {"type": "ach"}}, 400, "parameter_missing", "reference_id"),
        Rung(
            {"reference_id": used["reference_id"], "compliance": {"x": 1}},
            *(400, "parameter_unknown", "compliance.x"),
        ),
        Rung({"compliance": ..., "sender": "nonsense"}, 400, "invalid_recipient", "sender"),
        Rung({"sender": stranger.wallet, "currency": "usd"}, 403, "address_not_owned", "sender"),
        Rung({"sender": blocked.wallet}, 400, "currency_unsupported", "currency"),
        Rung({"currency": ...}, 400, "amount_invalid", "amount", "at least 1.00"),
        Rung({"amount": "2000.00"}, 400, "parameter_missing", "destination.account_number"),
        Rung({"destination": BANK}, 409, "duplicate_reference", "reference_id", used["id"]),
        Rung(
            {"reference_id": "new", "amount": "0.000001"},
            *(400, "amount_invalid", "amount", "at least 1.00"),
        ),
        Rung({"amount": "1.00"}, 402, "insufficient_funds", "amount", "the available 0.00"),
    )


async def test_the_answer_says_everything_and_is_what_is_read_later(
    stage: Stage, holder: Party
) -> None:
    before = await stage.get("/stablecoin/reserves", holder.key)
    compliance = {"purpose": "rent", "source_of_funds": "sales"}
    body = terms(stage, sender=holder.wallet, compliance=compliance, metadata={"a": "b"})
    reply = await stage.ask(ROUTE, holder.key, body)
    assert reply.status == 201
    redemption = reply.json
    assert redemption["id"].startswith("red_test_")
    assert redemption == {
        "id": redemption["id"],
        "object": "stablecoin_redemption",
        "livemode": False,
        "created": NOW,
        "metadata": {"a": "b"},
        "amount": "100.00",
        "currency": "ssusd",
        "sender": holder.wallet,
        "reference_id": body["reference_id"],
        "destination": {
            "type": "bank_wire",
            "account_number": "****3322",
            "routing_number": "****0021",
            "swift_code": None,
            "iban": None,
            "bank_name": "Example Bank",
            "beneficiary_name": "Example Inc.",
        },
        "fiat_currency": "usd",
        "status": "completed",
        "estimated_arrival": "2026-11-24",
        "completed_at": NOW,
        "purpose": "rent",
        "source_of_funds": "sales",
        "tx_hash": redemption["transaction"]["tx_hash"],
        "transaction": {
            "id": redemption["transaction"]["id"],
            "tx_hash": redemption["tx_hash"],
            "block_height": None,
            "chain": "stateset",
        },
        "failure_reason": None,
    }
    assert await stage.get(f"/stablecoin/redemptions/{redemption['id']}", holder.key) == redemption
    assert await stage.available(holder) == "900.00"
    after = await stage.get("/stablecoin/reserves", holder.key)
    burned = int(before["total_supply"].removesuffix(".00")) - 100
    assert after["total_supply"] == after["total_reserves"] == f"{burned}.00"
    assert after["redemptions_payable"] == before["redemptions_payable"] == "0.00"

    burnt, paid = await stage.events(holder, redemption["id"])
    assert (burnt["type"], burnt["sequence"]) == ("stablecoin.redeemed", 1)
    pending = {**redemption, "status": "pending", "completed_at": None}
    assert burnt["data"] == {"object": pending, "previous_attributes": None}
    assert (paid["type"], paid["sequence"]) == ("stablecoin.redemption.completed", 2)
    changed = {"status": "pending", "completed_at": None}
    assert paid["data"] == {"object": redemption, "previous_attributes": changed}
    assert burnt["request"]["id"] == paid["request"]["id"] == reply.headers["request-id"]


async def test_the_ledger_burns_and_then_pays(stage: Stage, holder: Party) -> None:
    redemption = await stage.done(ROUTE, holder.key, **terms(stage))
    wallet = f"wallet:{holder.wallet}:available"
    payable = ("network", "redemptions:payable")
    burned = redemption["transaction"]["id"]
    assert await stage.entries(burned) == {
        (holder.id, wallet): 100_000_000,
        payable: -100_000_000,
    }
    query = "SELECT id FROM ledger_transaction WHERE source = $1 AND booking = 'completed'"
    (completed,) = await stage.rows(query, redemption["id"])
    assert await stage.entries(completed["id"]) == {
        payable: 100_000_000,
        ("network", "reserves:cash"): -100_000_000,
    }
    await stage.audit()


async def test_a_coin_is_redeemed_as_money_is(stage: Stage, holder: Party) -> None:
    coin = {"denom": "ssusd", "amount": "5500000"}
    redemption = await stage.done(ROUTE, holder.key, **terms(stage, amount=coin))
    assert redemption["amount"] == "5.50"


async def test_the_same_reference_on_the_same_terms_gives_the_first_redemption(
    stage: Stage, holder: Party
) -> None:
    body = terms(stage)
    first = await stage.ask(ROUTE, holder.key, body)
    before = await stage.dump()
    again = await stage.ask(ROUTE, holder.key, body | {"amount": "100.0"})
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    assert await stage.dump() == before


async def test_the_same_reference_on_other_terms_is_refused(stage: Stage, holder: Party) -> None:
    body = terms(stage)
    await stage.done(ROUTE, holder.key, **body)
    # The masked numbers agree, and the terms do not.
    elsewhere = {**BANK, "account_number": "1111111111113322"}
    for other in ({"amount": "100.01"}, {"destination": elsewhere}):
        await refused(stage, ROUTE, holder.key, body | other, 409, "duplicate_reference")


async def test_a_live_redemption_stays_pending_and_its_dollars_are_owed(stage: Stage) -> None:
    holder = await live_holder(stage, "500.00")
    before = await stage.get("/stablecoin/reserves", holder.key)
    redemption = await stage.done(ROUTE, holder.key, **terms(stage))
    assert (redemption["status"], redemption["completed_at"]) == ("pending", None)
    assert redemption["livemode"] is True
    (event,) = await stage.events(holder, redemption["id"])
    assert event["type"] == "stablecoin.redeemed"
    after = await stage.get("/stablecoin/reserves", holder.key)
    assert (before["redemptions_payable"], after["redemptions_payable"]) == ("0.00", "100.00")
    assert after["total_supply"] == after["total_reserves"] == "400.00"
    assert await stage.available(holder) == "400.00"
    await stage.audit()


NUMBERS = ("4455667788990011", "021000021", "DE89370400440532013000")


async def test_bank_numbers_stand_nowhere_in_the_database_or_the_log(
    stage: Stage, holder: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, routing, iban = NUMBERS
    secret = {"account_number": account, "routing_number": routing, "iban": iban}
    body = terms(stage, destination={**BANK, **secret})
    bad = {**secret, "type": "swift", "swift_code": "not a BIC"}
    file = BytesIO()
    monkeypatch.setattr(log, "_FILE", log.GatheredLines(file))
    await stage.ask(ROUTE, holder.key, body, Idempotency_Key="masked")
    await stage.ask(ROUTE, holder.key, body, Idempotency_Key="masked")
    await stage.ask(ROUTE, holder.key, body | {"destination": bad})
    await stage.ask(ROUTE, holder.key, body | {"amount": "7.00"}, Idempotency_Key="other")
    log.write_out()
    logged = file.getvalue().decode()
    statuses = [json.loads(line)["status"] for line in logged.splitlines()]
    assert statuses == [201, 201, 400, 409]
    kept = []
    for table in stage.app.registry.tables:
        kept += await stage.rows(f"SELECT t::text AS row FROM {table} t")
    text = "\n".join([logged, *(row["row"] for row in kept)])
    assert "****0011" in text
    for number in NUMBERS:
        assert number not in text
        assert number.encode().hex() not in text


@pytest.mark.parametrize(
    ("today", "arrival"),
    [
        ("2026-11-23", "2026-11-24"),
        ("2026-11-25", "2026-11-27"),  # Thursday is Thanksgiving
        ("2026-11-27", "2026-11-30"),  # over a weekend
        ("2026-11-28", "2026-11-30"),  # from a Saturday
        ("2026-12-24", "2026-12-28"),  # Christmas and a weekend
        ("2026-12-31", "2027-01-04"),  # New Year and a weekend
        ("2026-07-02", "2026-07-03"),  # Independence Day on a Saturday closes no bank on Friday
        ("2027-07-02", "2027-07-06"),  # on a Sunday it closes them on Monday
        ("2027-06-17", "2027-06-18"),  # Juneteenth on a Saturday
        ("2026-10-09", "2026-10-13"),  # Columbus Day
        ("2026-11-10", "2026-11-12"),  # Veterans Day
        ("2027-01-15", "2027-01-19"),  # Martin Luther King Jr. Day
    ],
)
async def test_dollars_arrive_one_banking_day_later(stage: Stage, today: str, arrival: str) -> None:
    # Holidays by the Federal Reserve's own list, frbservices.org/about/holiday-schedules.
    noon = int(datetime.fromisoformat(f"{today}T12:00:00").replace(tzinfo=UTC).timestamp())
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    stage.clock.advance(noon - NOW)
    try:
        redemption = await stage.done(ROUTE, party.key, **terms(stage))
    finally:
        stage.clock.advance(NOW - noon)
    assert redemption["estimated_arrival"] == arrival
