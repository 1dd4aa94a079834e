"""With what a card's payment is paid: saved methods, tokens, and the processor's own names."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.gateways.cards.notebook import StoredNotebook
from commerce.gateways.cards.port import Attach, CardFacts, Charge, Verdict, ways
from commerce.gateways.cards.sandbox import Sandbox
from tests.areas.payments.card.scene import VISA, ask, charge, heard, silence
from tests.ladder import refused
from tests.stage import Party, Stage

CARD: dict[str, Any] = {"number": "4000056655665556", "exp_month": 12, "exp_year": 2034}
CREATE = "POST /payments/create"


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await stage.open_account()


async def kept(stage: Stage, party: Party, whose: str, method: str = VISA) -> dict[str, Any]:
    """A card that is kept for a customer."""
    route = f"POST /customers/{whose}/payment_methods"
    return await stage.done(route, party.key, payment_method=method)


async def customer(stage: Stage, party: Party) -> str:
    return str((await stage.done("POST /customers", party.key, name="Jenny"))["id"])


async def test_a_saved_card_pays_for_its_customer_again_and_again(
    stage: Stage, merchant: Party
) -> None:
    whose = await customer(stage, merchant)
    saved = await kept(stage, merchant, whose)
    first = await charge(stage, merchant, saved["id"])
    second = await charge(stage, merchant, saved["id"], customer=whose)
    for made in (first, second):
        assert (made["customer"], made["payment_method"]["id"]) == (whose, saved["id"])
        assert made["payment_method"]["card"] == saved["card"]
        assert made["status"] == "succeeded"
    path = f"/payments/{first['id']}?expand[]=payment_method.id&expand[]=customer"
    whole = await stage.get(path, merchant.key)
    assert whole["payment_method"]["id"]["object"] == "payment_method"
    assert whole["customer"]["name"] == "Jenny"


async def test_a_saved_card_that_cannot_pay_is_refused(stage: Stage, merchant: Party) -> None:
    whose, other = [await customer(stage, merchant) for _ in range(2)]
    saved = await kept(stage, merchant, whose)
    body = {"amount": "5.00", "currency": "usd", "payment_method": saved["id"]}
    await refused(
        *(stage, CREATE, merchant.key, {**body, "customer": other}),
        *(400, "parameter_invalid", whose),
    )
    stranger = await stage.open_account()
    await refused(stage, CREATE, stranger.key, body, 404, "resource_missing")
    route = f"POST /customers/{whose}/payment_methods"
    no = await stage.ask(route, merchant.key, {"payment_method": "pm_card_chargeDeclined"})
    failed = {**body, "payment_method": no.error["payment_method"]}
    await refused(stage, CREATE, merchant.key, failed, 400, "state_invalid", "'failed'")
    with heard(stage, silence, Attach):
        slow = await kept(stage, merchant, whose)
    waiting = {**body, "payment_method": slow["id"]}
    await refused(stage, CREATE, merchant.key, waiting, 400, "state_invalid", "'processing'")
    await stage.done(f"DELETE /customers/{whose}/payment_methods/{saved['id']}", merchant.key)
    await refused(stage, CREATE, merchant.key, body, 404, "resource_missing")


async def test_a_card_that_attaches_and_declines_does_both(stage: Stage, merchant: Party) -> None:
    whose = await customer(stage, merchant)
    saved = await kept(stage, merchant, whose, "pm_card_chargeCustomerFail")
    reply = await ask(stage, merchant, saved["id"])
    assert (reply.status, reply.error["code"]) == (402, "card_declined")
    assert reply.error["decline_code"] == "generic_decline"


async def test_a_customer_that_was_deleted_pays_no_more(stage: Stage, merchant: Party) -> None:
    whose = await customer(stage, merchant)
    saved = await kept(stage, merchant, whose)
    await stage.done(f"DELETE /customers/{whose}", merchant.key)
    reply = await ask(stage, merchant, saved["id"])
    assert (reply.status, reply.error["code"], reply.error["param"]) == (
        *(404, "resource_missing"),
        "payment_method",
    )


async def test_a_token_from_a_browser_pays_once(stage: Stage, merchant: Party) -> None:
    public = await stage.make_key(merchant, "public")
    token = await stage.done("POST /tokens", public, card=CARD)
    made = await charge(stage, merchant, token["id"], customer="cust_test_123")
    assert made["payment_method"]["card"] == token["card"]
    assert made["customer"] == "cust_test_123"
    again = await ask(stage, merchant, token["id"])
    assert (again.status, again.error["code"]) == (400, "token_used")
    other = await stage.ask(CREATE, public, {"amount": "1.00", "currency": "usd"})
    assert (other.status, other.error["code"]) == (403, "key_type_not_allowed")


async def test_a_token_that_pays_for_nothing_is_not_used_up(stage: Stage, merchant: Party) -> None:
    token = await stage.done("POST /tokens", merchant.key, card=CARD)
    reply = await ask(stage, merchant, token["id"], customer="cust_none")
    assert reply.status == 404
    assert (await charge(stage, merchant, token["id"]))["status"] == "succeeded"


@pytest.mark.parametrize(
    "given",
    [
        "4000056655665556",
        {"type": "4000056655665556"},
        {"type": "card", "card": CARD | {"number": "4000056655665557"}},
        {"type": "card", "card": CARD | {"pin": "4000056655665556"}},
        {"type": "card", "card": "4000056655665556"},
        ["4000056655665556"],
        {"type": "card", "payer": "4000056655665556"},
    ],
)
async def test_what_may_be_a_number_is_not_shown_again(
    stage: Stage, merchant: Party, given: Any
) -> None:
    reply = await ask(stage, merchant, given)
    assert reply.status == 400
    assert "400005665566555" not in reply.body.decode()


async def test_a_receipt_of_a_card_is_in_its_currency(stage: Stage, merchant: Party) -> None:
    made = await charge(stage, merchant, description="Tea")
    path = made["receipt_url"].partition("api.example.com")[2]
    page = await stage.send("GET", path.encode(), [(b"host", b"api.example.com")])
    text = page.body.decode()
    assert page.status == 200
    assert "100.00 USD" in text
    assert "Tea" in text


async def test_a_restricted_keys_limits_are_of_what_is_spent_and_not_of_what_comes_in(
    stage: Stage, merchant: Party
) -> None:
    limits = {"per_transaction": "1.00"}
    key = await stage.done(
        "POST /api_keys",
        merchant.key,
        type="restricted",
        scopes=["payments:write", "stablecoin:transfer"],
        limits=limits,
    )
    body = {"amount": "50.00", "currency": "usd", "payment_method": VISA}
    made = await stage.done(CREATE, key["secret"], **body)
    assert made["status"] == "succeeded"


# Live mode


async def test_in_live_mode_numbers_are_refused(stage: Stage) -> None:
    live = await stage.open_account(livemode=True)
    raw = await ask(stage, live, {"type": "card", "card": CARD})
    assert (raw.status, raw.error["code"]) == (403, "raw_card_not_allowed")
    number = await ask(stage, live, "4000056655665556")
    assert (number.status, number.error["code"]) == (400, "parameter_invalid")


async def test_in_live_mode_the_card_is_what_the_processor_tells_of_its_own_token(
    stage: Stage,
) -> None:
    live = await stage.open_account(livemode=True)
    facts = CardFacts(brand="visa", last4="4242", exp_month=5, exp_year=2031, fingerprint="theirs")

    async def say(call: Charge) -> Verdict:
        assert call.source == "pm_1PabcDEF"
        terms: dict[str, Any] = {"card": facts, "available_on": 1_795_900_000}
        terms |= {"amount": call.amount, "fee": 175, "processor": "stripe"}
        return Verdict(status="succeeded", reference="pi_1", **terms)

    with heard(stage, say, Charge):
        made = await charge(stage, live, "pm_1PabcDEF", "50.00")
    assert made["payment_method"]["card"].pop("fingerprint") not in {"theirs", None}
    card = {"brand": "visa", "last4": "4242", "exp_month": 5, "exp_year": 2031}
    assert made["payment_method"]["card"] == card
    assert (made["net"], made["available_on"]) == ("48.25", 1_795_900_000)
    assert made["processor_response"] == {
        "processor": "stripe",
        "reference": "pi_1",
        "status": "succeeded",
    }
    entries = await stage.entries(made["transaction"]["id"])
    assert entries["network", "processor:stripe:receivable"] == 5_000


async def test_in_live_mode_nobody_takes_cards_where_no_processor_is_set_up(stage: Stage) -> None:
    live = await stage.open_account(livemode=True)
    outside = stage.app.engine.outside
    before = outside._ways
    outside._ways = ways(Sandbox(StoredNotebook(stage.app.engine)), None)
    reply = await ask(stage, live, "pm_1PabcDEF")
    outside._ways = before
    assert (reply.status, reply.error["code"]) == (402, "processing_error")
    found = await stage.get(f"/payments/{reply.error['payment']}", live.key)
    assert found["payment_method"]["card"] is None
    assert found["processor_response"]["processor"] == "none"


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
