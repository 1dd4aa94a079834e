"""Orders at their edges: what seldom happens, and must be right when it does."""

from __future__ import annotations

import pytest

from commerce.areas.identity import permission
from commerce.areas.orders import creation
from commerce.areas.orders.creation import CreateOrder
from commerce.areas.orders.order import Order
from commerce.engine.caller import Caller
from commerce.engine.overlay import Directory, Needs
from commerce.resource import parameter
from tests.areas.orders.scene import (
    CREATE,
    EXTERNAL,
    ONE,
    VISA,
    WALLET,
    act,
    change,
    kinds,
    order,
    paid,
    seen,
    shop_of,
)
from tests.areas.payments.scene import balances
from tests.ladder import refused
from tests.stage import Party, Stage


@pytest.fixture
async def shop(stage: Stage) -> Party:
    return await shop_of(stage)


def test_without_a_key_no_key_is_looked_up() -> None:
    needs = Needs(Directory(), 1)
    permission.need(needs, Caller("acct_1", livemode=False))
    assert needs.wanted == {}


async def test_the_command_line_needs_no_scope(stage: Stage, shop: Party) -> None:
    body = {"items": ONE, "customer": {"name": "Jenny"}, "payment": WALLET}
    params = parameter.convert(CreateOrder, body)
    made = await stage.app.operate(creation.create, params, account=shop.id, livemode=False)
    assert isinstance(made, Order)
    assert made.status == "paid"


async def test_an_order_of_which_a_change_leaves_nothing_to_pay_is_paid(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop)
    everything = [{"type": "percent", "value": "100"}]
    now = await change(stage, shop, made, discounts=everything, billing_address={"country": "US"})
    assert (now["status"], now["total"], now["payment_status"]) == ("paid", "0.00", "paid")
    assert now["billing_address"]["country"] == "US"
    assert (await kinds(stage, shop, made))[1:] == ["order.updated", "order.paid"]
    await act(stage, shop, made, "cancel")


async def test_an_order_of_which_a_part_is_paid_stays_as_it_was_bought(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop, payment={**WALLET, "capture": False})
    route = f"POST /payments/{made['payments'][0]}/capture"
    await stage.done(route, shop.key, amount="15.00")
    route = f"PATCH /orders/{made['id']}"
    # It would be due anew: its buyer would pay 15.00 of it twice.
    body = {"items": [{"name": "Linen shirt", "unit_price": "10.00"}]}
    await refused(stage, route, shop.key, body, 400, "state_invalid", "15.00 paid")
    now = await change(stage, shop, made, notes="The rest is to come.")
    assert (now["total"], now["amount_paid"], now["amount_due"]) == ("20.00", "15.00", "5.00")


async def test_the_tax_of_an_order_changes_with_it(stage: Stage, shop: Party) -> None:
    made = await order(stage, shop, tax="1.00")
    assert (made["tax"], made["total"]) == ("1.00", "21.00")
    now = await change(stage, shop, made, tax="2.50")
    assert (now["tax_total"], now["total"]) == ("2.50", "22.50")
    now = await change(stage, shop, made, tax=None)
    assert (now["tax"], now["total"]) == (None, "20.00")


async def test_what_was_shipped_in_part_stays_as_it_was_when_the_rest_is_shipped(
    stage: Stage, shop: Party
) -> None:
    made = await paid(stage, shop)
    one = [{"id": made["items"][0]["id"], "quantity": 1}]
    await act(stage, shop, made, "fulfill", items=one, tracking_number="FIRST")
    now = await act(stage, shop, made, "ship?expand[]=fulfillments", tracking_number="SECOND")
    assert [each["tracking_number"] for each in now["fulfillments"]] == ["FIRST", "SECOND"]
    assert now["status"] == "shipped"


async def test_a_payment_that_was_declined_gives_nothing_back(stage: Stage, shop: Party) -> None:
    made = await order(stage, shop, currency="usd")
    route = f"POST /orders/{made['id']}/pay"
    for _ in range(2):
        reply = await stage.ask(route, shop.key, {"payment_method": "pm_card_chargeDeclined"})
        assert reply.status == 402
    now = await act(stage, shop, made, "pay", payment_method="pm_card_bypassPending")
    assert len(now["payments"]) == 3
    done = await act(stage, shop, made, "cancel")
    assert (done["amount_refunded"], len(done["refunds"])) == ("20.00", 1)


async def test_an_order_that_two_cards_have_paid_is_given_back_to_one_at_a_time(
    stage: Stage, shop: Party
) -> None:
    aside = {"payment_method": "pm_card_visa", "capture": False}
    made = await order(stage, shop, currency="usd", payment=aside)
    first = made["payments"][0]
    await stage.done(f"POST /payments/{first}/capture", shop.key, amount="15.00")
    now = await act(stage, shop, made, "pay", **VISA)
    assert (now["status"], now["amount_paid"]) == ("paid", "20.00")
    route = f"POST /orders/{made['id']}/cancel"
    await refused(stage, route, shop.key, {}, 400, "state_invalid", "one by one")
    await stage.done("POST /payments/refund", shop.key, payment=first)
    done = await act(stage, shop, made, "cancel")
    assert (done["status"], done["amount_refunded"]) == ("cancelled", "20.00")


async def test_what_is_left_in_escrow_that_the_fee_would_eat_is_the_buyers(
    stage: Stage, shop: Party
) -> None:
    items = [
        {"name": "Shirt", "unit_price": "10.00"},
        {"name": "Button", "unit_price": "0.01"},
    ]
    made = await paid(stage, shop, items=items, escrow=True)
    await act(stage, shop, made, "ship")
    await act(stage, shop, made, "deliver")
    shirt = [{"id": made["items"][0]["id"], "quantity": 1}]
    await act(stage, shop, made, "return", items=shirt, refund=True)
    done = await act(stage, shop, made, "complete")
    assert (done["status"], done["amount_refunded"]) == ("refunded", "10.01")
    assert await balances(stage, shop) == ("1000.00", "0.00")


async def test_a_payment_that_nobody_has_made_is_cancelled_without_the_order(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop, payment=EXTERNAL)
    await stage.done(f"POST /payments/{made['payments'][0]}/cancel", shop.key)
    now = await seen(stage, shop, made)
    assert (now["status"], now["version"]) == ("pending", made["version"])


async def test_an_order_is_expanded_within_the_payment_that_pays_it(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop)
    route = "POST /payments/create?expand[]=order"
    done = await stage.done(route, shop.key, amount="20.00", currency="ssusd", order=made["id"])
    assert done["order"] == await seen(stage, shop, made)
    assert done["order"]["status"] == "paid"


async def test_a_payment_in_another_currency_than_its_order_is_refused(
    stage: Stage, shop: Party
) -> None:
    body = {"items": ONE, "payment": {**WALLET, "currency": "usd"}}
    reply = await stage.ask(CREATE, shop.key, body)
    assert (reply.status, reply.error["code"]) == (400, "currency_unsupported")
    assert reply.error["param"] == "payment.currency"


async def test_an_order_comes_back_in_at_most_a_hundred_parts(stage: Stage, shop: Party) -> None:
    items = [{"name": "Pin", "unit_price": "1.00", "quantity": 101}]
    made = await paid(stage, shop, items=items)
    await act(stage, shop, made, "ship")
    one = {"items": [{"id": made["items"][0]["id"], "quantity": 1}]}
    for _ in range(100):
        await act(stage, shop, made, "return", **one)
    route = f"POST /orders/{made['id']}/return"
    await refused(stage, route, shop.key, {}, 400, "parameter_invalid", "100 parts")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
