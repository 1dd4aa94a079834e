"""Payments from a wallet of one's own: guards in order, bookings, events, lists."""

from __future__ import annotations

import pytest

from tests.areas.payments.scene import CREATE, FEE, balances, funded, kinds, pay, seen
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage

BY_CARD = "pay_test_456"
"""The payment that every test account begins with."""
CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034}


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await funded(stage)


@pytest.fixture
async def friend(stage: Stage) -> Party:
    return await stage.open_account()


async def test_the_guards_of_a_payment_come_in_their_order(stage: Stage, friend: Party) -> None:
    poor = await stage.open_account(verification="basic")
    await stage.block(friend.wallet)
    stranger = await stage.open_account()
    await climb(
        stage,
        CREATE,
        poor.key,
        Rung({}, 400, "parameter_missing", "amount"),
        Rung({"amount": "x"}, 400, "parameter_missing", "currency"),
        Rung({"currency": "xyz"}, 400, "currency_unsupported", "currency"),
        Rung({"currency": "usd"}, 400, "parameter_missing", "payment_method"),
        Rung(
            {"payment_method": {"type": "ach", "payer": "nobody"}},
            *(400, "parameter_invalid", "payment_method.type", "card, ssusd"),
        ),
        Rung(
            {"payment_method": {"type": "ssusd", "payer": "nobody", "card": CARD}},
            *(400, "currency_unsupported", "currency", "ssusd"),
        ),
        Rung({"currency": "ssusd"}, 400, "amount_invalid", "amount"),
        Rung({"amount": "0.01"}, 400, "parameter_invalid", "payment_method.payer"),
        Rung(
            {"payment_method": {"type": "ssusd", "payer": "external", "card": CARD}},
            *(400, "parameter_invalid", "payment_method.card"),
        ),
        Rung(
            {"payment_method": {"type": "ssusd", "payer": "external", "wallet_address": "x"}},
            *(400, "parameter_invalid", "payment_method.wallet_address"),
        ),
        Rung(
            {
                "payment_method": {"type": "ssusd", "wallet_address": stranger.wallet},
                "customer": "cust_none",
                "recipient": "x",
                "splits": [{"recipient": friend.wallet, "amount": "1.00"}],
            },
            *(404, "resource_missing", "customer"),
        ),
        Rung({"customer": "cust_test_123"}, 400, "parameter_invalid", "recipient"),
        Rung({"recipient": ...}, 400, "amount_mismatch", "splits", "1.00"),
        Rung(
            {"splits": ..., "recipient": "x", "application_fee_amount": "1.00"},
            *(400, "parameter_invalid", "application_fee_amount"),
        ),
        Rung({"application_fee_amount": ...}, 400, "invalid_recipient", "recipient"),
        Rung({"recipient": f"acct_{'0' * 26}"}, 400, "invalid_recipient", "recipient"),
        Rung(
            {"recipient": friend.id},
            *(403, "address_not_owned", "payment_method.wallet_address"),
        ),
        Rung({"payment_method": ...}, 400, "amount_invalid", "amount", "0.01"),
        Rung({"amount": "5000.000001"}, 403, "sanctioned_party", "recipient"),
        Rung({"recipient": stranger.wallet}, 402, "limit_exceeded", "amount", "per transfer"),
        Rung({"amount": "5000.00"}, 402, "insufficient_funds", "amount", "0.00"),
    )


async def test_a_payment_pays_its_recipient_less_the_fee(
    stage: Stage, merchant: Party, friend: Party
) -> None:
    made = await pay(
        stage,
        merchant,
        recipient=friend.id,
        customer="cust_test_123",
        description="Tea",
        statement_descriptor="TEA",
        receipt_email="jenny@example.com",
        metadata={"a": "b"},
    )
    assert made == await seen(stage, made, merchant) | {"receipt_url": made["receipt_url"]}
    shown = {
        "amount": "100.00",
        "amount_captured": "100.00",
        "amount_refunded": "0.00",
        "status": "succeeded",
        "captured": True,
        "recipient": friend.wallet,
        "customer": "cust_test_123",
        "fees": {"processing_fee": "0.01"},
        "net": "99.99",
        "client_secret": None,
        "splits": None,
        "payment_method": {
            "type": "ssusd",
            "payer": "own",
            "wallet_address": merchant.wallet,
            "id": None,
            "card": None,
        },
        "available_on": None,
        "processor_response": None,
    }
    assert {name: made[name] for name in shown} == shown
    assert await stage.entries(made["transaction"]["id"]) == {
        (merchant.id, f"wallet:{merchant.wallet}:available"): 100_000_000,
        (friend.id, f"wallet:{friend.wallet}:available"): -99_990_000,
        ("network", "fees:processing"): -FEE,
    }
    assert await kinds(stage, merchant, made) == ["payment.created", "payment.succeeded"]
    moved = await stage.get(f"/stablecoin/transactions/{made['transaction']['id']}", friend.key)
    assert (moved["type"], moved["amount"], moved["source"]) == ("payment", "99.99", made["id"])
    page = await stage.get("/stablecoin/transactions?type=payment", friend.key)
    assert [each["id"] for each in page["data"]] == [moved["id"]]


async def test_paying_oneself_nets_to_zero_but_for_the_fee(stage: Stage, merchant: Party) -> None:
    made = await pay(stage, merchant)
    assert await balances(stage, merchant) == ("999.99", "0.00")
    assert await stage.entries(made["transaction"]["id"]) == {
        (merchant.id, f"wallet:{merchant.wallet}:available"): FEE,
        ("network", "fees:processing"): -FEE,
    }


async def test_all_that_a_wallet_holds_can_be_paid(
    stage: Stage, merchant: Party, friend: Party
) -> None:
    await pay(stage, merchant, "1000.00", recipient=friend.wallet)
    assert await stage.available(merchant) == "0.00"
    assert await stage.available(friend) == "999.99"


async def test_the_least_payment_is_a_millionth_more_than_its_fee(
    stage: Stage, merchant: Party, friend: Party
) -> None:
    body = {"amount": "0.01", "currency": "ssusd", "recipient": friend.wallet}
    await refused(stage, CREATE, merchant.key, body, 400, "amount_invalid")
    made = await pay(stage, merchant, "0.010001", recipient=friend.wallet)
    assert made["net"] == "0.000001"


async def test_payments_count_on_the_limits_of_account_and_key(stage: Stage, friend: Party) -> None:
    basic = await stage.open_account(verification="basic")
    await stage.fund(basic.wallet, "20000.00")
    body = {"amount": "5000.00", "currency": "ssusd", "recipient": friend.wallet}
    for _ in range(2):
        await stage.done(CREATE, basic.key, **body)
    await refused(stage, CREATE, basic.key, body, 402, "limit_exceeded", "a day")
    transfer = {"to": friend.wallet, "amount": "0.01"}
    route = "POST /stablecoin/transfer"
    await refused(stage, route, basic.key, transfer, 402, "limit_exceeded", "a day")

    rich = await funded(stage)
    key = await stage.done(
        "POST /api_keys",
        rich.key,
        type="restricted",
        scopes=["payments:write"],
        limits={"per_transaction": "50.00", "daily": "60.00"},
        recipients=[friend.wallet],
    )
    small = body | {"amount": "50.000001"}
    await refused(stage, CREATE, key["secret"], small, 402, "limit_exceeded", "per transaction")
    to_self = {"amount": "1.00", "currency": "ssusd"}
    await refused(stage, CREATE, key["secret"], to_self, 402, "limit_exceeded", rich.wallet)
    halves = [{"recipient": each, "amount": "30.00"} for each in (friend.wallet, friend.wallet)]
    split = {"amount": "60.00", "currency": "ssusd", "splits": halves}
    await refused(stage, CREATE, key["secret"], split, 402, "limit_exceeded", "per transaction")
    elsewhere = [halves[0], {"recipient": rich.wallet, "amount": "1.00"}]
    split = {"amount": "31.00", "currency": "ssusd", "splits": elsewhere}
    await refused(stage, CREATE, key["secret"], split, 402, "limit_exceeded", rich.wallet)
    await stage.done(CREATE, key["secret"], **body | {"amount": "50.00"})
    over = body | {"amount": "10.01"}
    await refused(stage, CREATE, key["secret"], over, 402, "limit_exceeded", "a day")


async def test_a_deleted_customer_pays_nothing_more(stage: Stage, merchant: Party) -> None:
    customer = await stage.done("POST /customers", merchant.key)
    before = await pay(stage, merchant, customer=customer["id"])
    reply = await stage.ask(f"DELETE /customers/{customer['id']}", merchant.key)
    assert reply.status == 200
    body = {"amount": "5.00", "currency": "ssusd", "customer": customer["id"]}
    await refused(stage, CREATE, merchant.key, body, 404, "resource_missing")
    assert (await seen(stage, before, merchant))["customer"] == customer["id"]


async def test_what_a_payment_leads_to_is_expanded(
    stage: Stage, merchant: Party, friend: Party
) -> None:
    made = await pay(stage, merchant, recipient=friend.wallet, customer="cust_test_123")
    route = f"/payments/{made['id']}?expand[]=customer&expand[]=transaction"
    found = await stage.get(route, merchant.key)
    assert found["customer"]["id"] == "cust_test_123"
    assert found["transaction"]["source"] == made["id"]


async def test_lists_are_at_both_paths_and_filtered(
    stage: Stage, merchant: Party, friend: Party
) -> None:
    one = await pay(stage, merchant, "1.00", metadata={"order": "7"})
    two = await pay(stage, merchant, "2.00", customer="cust_test_123", capture=False)

    async def ids(query: str, path: str = "/payments/list") -> list[str]:
        page = await stage.get(f"{path}?{query}", merchant.key)
        assert page["url"] == "/v1/payments"
        return [each["id"] for each in page["data"]]

    assert await ids("") == await ids("", "/payments") == [BY_CARD, two["id"], one["id"]]
    for query, found in (
        ("status=requires_capture", [two]),
        ("status[]=succeeded&status[]=canceled&currency=ssusd", [one]),
        ("customer=cust_test_123&currency=ssusd", [two]),
        ("currency=ssusd&amount=1", [one]),
        ("currency=ssusd&amount[gt]=1", [two]),
        ("payment_method_type=ssusd", [two, one]),
        ("metadata[order]=7", [one]),
        ("created[lt]=2020-01-01", []),
    ):
        assert await ids(query) == [each["id"] for each in found], query
    bare = await stage.ask("GET /payments?amount=1", merchant.key)
    assert (bare.status, bare.error["param"]) == (400, "currency")
    assert await ids("payment_method_type=card") == [BY_CARD]
    cheque = await stage.ask("GET /payments?payment_method_type=cheque", merchant.key)
    assert (cheque.status, cheque.error["code"]) == (400, "parameter_invalid")
    others = (await stage.get("/payments", friend.key))["data"]
    assert [each["id"] for each in others] == [BY_CARD]


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
