"""Payments by card: what comes of every test card, in the answer, in events and in the books."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.gateways.cards.test_card import TEST_CARDS, Specimen
from commerce.kernel import address
from tests.areas.payments.card.scene import (
    CREATE,
    DAY,
    DECLINED,
    SHOWS_UP,
    TIMES_OUT,
    VISA,
    ask,
    balances,
    charge,
    network,
    notes,
    recover,
    seen,
)
from tests.areas.payments.scene import kinds
from tests.ladder import Rung, climb
from tests.stage import NOW, Party, Stage

CARD: dict[str, Any] = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034}
STATES = {
    "succeeds": "succeeded",
    "disputed": "succeeded",
    "settles": "succeeded",
    "authenticates": "requires_action",
    "times_out": "processing",
}


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await stage.open_account()


async def test_a_card_pays_its_amount_less_the_fee_which_is_pending(
    stage: Stage, merchant: Party
) -> None:
    before = await network(stage, "usd")
    made = await charge(
        stage,
        merchant,
        {"type": "card", "card": CARD | {"cvc": "123"}},
        customer="cust_test_123",
        description="Tea",
        statement_descriptor="TEA",
        metadata={"a": "b"},
    )
    secret = made.pop("client_secret")
    assert secret.startswith(f"{made['id']}_secret_")
    assert made == {
        name: value
        for name, value in (await seen(stage, merchant, made["id"])).items()
        if name != "client_secret"
    }
    fingerprint = made["payment_method"]["card"].pop("fingerprint")
    assert fingerprint
    assert "4242424242424242" not in fingerprint
    shown = {
        "amount": "100.00",
        "amount_captured": "100.00",
        "amount_refunded": "0.00",
        "currency": "usd",
        "status": "succeeded",
        "captured": True,
        "recipient": merchant.wallet,
        "customer": "cust_test_123",
        "fees": {"processing_fee": "3.20"},
        "net": "96.80",
        "payment_method": {
            "type": "card",
            "payer": None,
            "wallet_address": None,
            "id": None,
            "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034},
        },
        "processor_response": {
            "processor": "test",
            "reference": f"ch_{made['id']}",
            "status": "succeeded",
        },
        "failure_code": None,
        "unknown_since": None,
        "next_action": None,
        # A Wednesday: of a Monday, two banking days later.
        "available_on": NOW - NOW % DAY + 2 * DAY,
    }
    assert {name: made[name] for name in shown} == shown
    assert await stage.entries(made["transaction"]["id"]) == {
        ("network", "processor:test:receivable"): 10_000,
        (merchant.id, f"wallet:{merchant.wallet}:pending"): -9_680,
        ("network", "fees:processing"): -320,
    }
    assert await kinds(stage, merchant, made) == ["payment.created", "payment.succeeded"]
    after = await network(stage, "usd")
    assert after["fees:processing"] - before.get("fees:processing", 0) == 320
    assert await balances(stage, merchant.wallet) == {"pending": 9_680}
    assert await stage.available(merchant) == "0.00", "dollars of a card are no ssUSD"


async def test_money_is_available_two_banking_days_later_and_the_fee_is_spent(
    stage: Stage, merchant: Party
) -> None:
    made = await charge(stage, merchant)
    wait = made["available_on"] - NOW
    await recover(stage, wait - 1)
    assert await balances(stage, merchant.wallet) == {"pending": 9_680}
    await recover(stage, wait)
    assert await balances(stage, merchant.wallet) == {"pending": 0, "available": 9_680}
    query = "SELECT id FROM ledger_transaction WHERE source = $1 AND booking LIKE 'settled%'"
    settled, released = await stage.rows(f"{query} ORDER BY booking", made["id"])
    assert await stage.entries(settled["id"]) == {
        ("network", "bank:test"): 9_680,
        ("network", "processor:test:expense"): 320,
        ("network", "processor:test:receivable"): -10_000,
    }
    assert await stage.entries(released["id"]) == {
        (merchant.id, f"wallet:{merchant.wallet}:pending"): 9_680,
        (merchant.id, f"wallet:{merchant.wallet}:available"): -9_680,
    }
    assert await kinds(stage, merchant, made) == [
        "payment.created",
        "payment.succeeded",
        "payment.settled",
    ]
    await recover(stage, wait)
    assert await balances(stage, merchant.wallet) == {"pending": 0, "available": 9_680}
    await stage.audit()


@pytest.mark.parametrize(("days", "wait"), [(0, None), (1, 1), (3, 4), (5, 8)])
async def test_the_operator_says_after_how_many_banking_days_money_is_available(
    stage: Stage, merchant: Party, days: int, wait: int | None
) -> None:
    """Of a Monday before Thanksgiving, a Thursday on which no bank is open."""
    engine = stage.app.engine
    before, engine.means = engine.means, engine.means._replace(settlement_days=days)
    made = await charge(stage, merchant)
    engine.means = before
    at_once = wait is None
    assert made["available_on"] == (NOW if wait is None else NOW - NOW % DAY + wait * DAY)
    held = {"pending": 0, "available": 9_680} if at_once else {"pending": 9_680}
    assert await balances(stage, merchant.wallet) == held


@pytest.mark.parametrize("card", TEST_CARDS, ids=lambda card: card.method)
async def test_each_test_card_does_what_the_table_says(
    stage: Stage, merchant: Party, card: Specimen
) -> None:
    given: Any = card.method
    if card.number:
        given = {"type": "card", "card": CARD | {"number": card.number}}
    reply = await ask(stage, merchant, given)
    if card.behaviour == "declines":
        error = reply.error
        assert (reply.status, error["type"], error["code"]) == (402, "card_error", card.code)
        assert error.get("decline_code") == card.decline_code
        found = await seen(stage, merchant, error["payment"])
        assert (found["status"], found["failure_code"]) == ("failed", card.code)
        assert found["failure_message"] == error["message"]
        assert found["decline_code"] == card.decline_code
        assert found["processor_response"]["status"] == "declined"
        assert await kinds(stage, merchant, found) == ["payment.created", "payment.failed"]
        assert await balances(stage, merchant.wallet) == {}
        return
    assert reply.status == 201, reply.body
    made = reply.json
    assert made["status"] == STATES[card.behaviour]
    assert made["payment_method"]["card"]["brand"] == card.brand
    expected = {
        "settles": {"pending": 0, "available": 9_680},
        "authenticates": {},
        "times_out": {},
        # What was its fee is missing of it, and is taken from what the account began with.
        "disputed": {"pending": 0, "available": -320},
    }.get(card.behaviour, {"pending": 9_680})
    assert await balances(stage, merchant.wallet) == expected


async def test_a_card_may_be_charged_later_and_only_set_aside_now(
    stage: Stage, merchant: Party
) -> None:
    made = await charge(stage, merchant, capture=False)
    assert (made["status"], made["amount_captured"]) == ("requires_capture", "0.00")
    assert made["fees"] is made["net"] is made["transaction"] is made["available_on"] is None
    assert await balances(stage, merchant.wallet) == {}
    assert await kinds(stage, merchant, made) == ["payment.created", "payment.requires_capture"]


async def test_a_cardholder_who_has_to_authenticate_is_waited_for(
    stage: Stage, merchant: Party
) -> None:
    made = await charge(stage, merchant, SHOWS_UP)
    assert (made["status"], made["next_action"]) == ("requires_action", {"type": "use_processor"})
    assert await kinds(stage, merchant, made) == ["payment.created", "payment.requires_action"]


async def test_an_unknown_outcome_is_processing_until_the_processor_is_asked_again(
    stage: Stage, merchant: Party
) -> None:
    reply = await ask(stage, merchant, TIMES_OUT, idempotency_key="slow")
    assert (reply.status, reply.json["status"]) == (201, "processing")
    assert reply.json["unknown_since"] == NOW
    assert reply.json["client_secret"]
    again = await ask(stage, merchant, TIMES_OUT, idempotency_key="slow")
    assert again.body == reply.body
    await recover(stage)
    found = await seen(stage, merchant, reply.json["id"])
    assert (found["status"], found["unknown_since"]) == ("succeeded", None)
    assert found["net"] == "96.80"
    assert await kinds(stage, merchant, found) == [
        "payment.created",
        "payment.processing",
        "payment.succeeded",
    ]
    assert await notes(stage, merchant) == ["charge"]


async def test_a_key_charges_once_and_answers_the_same(stage: Stage, merchant: Party) -> None:
    for method in (VISA, DECLINED, SHOWS_UP):
        first, second = [
            await ask(stage, merchant, method, idempotency_key=method) for _ in range(2)
        ]
        assert (first.status, first.body) == (second.status, second.body)
        assert second.headers["idempotent-replayed"] == "true"
    page = await stage.get("/payments/list", merchant.key)
    assert len(page["data"]) == 4, "the one that there is always, and one for each key"


async def test_the_guards_of_a_card_payment_come_in_their_order(stage: Stage) -> None:
    merchant, friend = await stage.open_account(), await stage.open_account()
    external = (await stage.open_account(livemode=True)).wallet
    await stage.block(friend.wallet)
    token = await stage.done("POST /tokens", merchant.key, card=CARD)
    await charge(stage, merchant, token["id"])
    await climb(
        stage,
        CREATE,
        merchant.key,
        Rung(
            {"amount": "x", "currency": "ssusd", "payment_method": {"type": "bank_transfer"}},
            *(400, "parameter_invalid", "payment_method.type", "Bank transfers"),
        ),
        Rung({"payment_method": "maestro"}, 400, "currency_unsupported", "currency", "ISO 4217"),
        Rung({"currency": "usd"}, 400, "amount_invalid", "amount"),
        Rung({"amount": "0.49"}, 400, "amount_invalid", "amount", "0.50"),
        Rung({"amount": "0.50"}, 400, "parameter_invalid", "payment_method"),
        Rung(
            {"payment_method": {"type": "card", "payer": "own"}},
            *(400, "parameter_invalid", "payment_method.payer"),
        ),
        Rung(
            {"payment_method": {"type": "card", "wallet_address": "x"}},
            *(400, "parameter_invalid", "payment_method.wallet_address"),
        ),
        Rung(
            {"payment_method": {"type": "card"}},
            *(400, "parameter_missing", "payment_method.card"),
        ),
        Rung(
            {"payment_method": {"type": "card", "card": CARD | {"number": "4242424242424241"}}},
            *(400, "incorrect_number", "payment_method.card.number"),
        ),
        Rung(
            {"payment_method": {"type": "card", "card": CARD | {"exp_year": 2020}}},
            *(402, "expired_card", "payment_method.card.exp_year"),
        ),
        Rung({"payment_method": token["id"]}, 400, "token_used", "payment_method"),
        Rung({"payment_method": f"pm_test_{'0' * 26}"}, 404, "resource_missing", "payment_method"),
        Rung(
            {
                "payment_method": VISA,
                "customer": "cust_none",
                "recipient": "x",
                "splits": [{"recipient": friend.wallet, "amount": "1.00"}],
            },
            *(404, "resource_missing", "customer"),
        ),
        Rung({"customer": ...}, 400, "parameter_invalid", "recipient"),
        Rung({"recipient": ...}, 400, "amount_mismatch", "splits"),
        Rung(
            {"splits": ..., "application_fee_amount": "0.50"},
            *(400, "parameter_invalid", "application_fee_amount"),
        ),
        Rung(
            {"application_fee_amount": ..., "recipient": external},
            *(400, "invalid_recipient", "recipient", "live mode"),
        ),
        Rung(
            {"recipient": address.encode(bytes(20))},
            *(400, "invalid_recipient", "recipient", "ssUSD alone"),
        ),
        Rung(
            {"recipient": friend.wallet, "order": "ord_none"},
            *(404, "resource_missing", "order"),
        ),
        Rung({"order": ...}, 403, "sanctioned_party", "recipient"),
    )


@pytest.mark.parametrize(
    ("currency", "amount", "fee"),
    [("jpy", "1", "0"), ("jpy", "1000", "29"), ("kwd", "10.000", "0.59"), ("eur", "0.50", "0.31")],
)
async def test_the_fee_is_rounded_in_the_digits_of_the_currency(
    stage: Stage, merchant: Party, currency: str, amount: str, fee: str
) -> None:
    made = await charge(stage, merchant, amount=amount, currency=currency)
    assert made["fees"] == {"processing_fee": fee}


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
