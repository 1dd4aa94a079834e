"""Orders that cards pay: the processor is asked between two commits; a charge is an order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from commerce.gateways.cards import port
from tests.areas.orders.scene import (
    CREATE,
    DAY,
    ONE,
    VISA,
    act,
    change,
    counted,
    kinds,
    order,
    product,
    seen,
)
from tests.areas.payments.card.scene import (
    DECLINED,
    SHOWS_UP,
    TIMES_OUT,
    heard,
    recover,
    silence,
)
from tests.ladder import refused
from tests.stage import Party, Reply, Stage

METHOD = "payment_method"


@pytest.fixture
async def shop(stage: Stage) -> Party:
    return await stage.open_account()


async def buy(stage: Stage, shop: Party, card: str, id_: str, **more: Any) -> Reply:
    """Ask for an order of two pieces that a card pays, whatever comes of it."""
    headers = {"Idempotency_Key": more.pop("key")} if "key" in more else {}
    body = {
        "currency": "usd",
        "items": [{"product": id_, "quantity": 2}],
        "payment": {METHOD: card},
        **more,
    }
    return await stage.ask(CREATE, shop.key, body, **headers)


async def listed(stage: Stage, shop: Party, path: str) -> list[dict[str, Any]]:
    """The objects of a list that came after the fixtures."""
    page = await stage.get(f"{path}?limit=100", shop.key)
    fixtures = ("cust_test_123", "pay_test_456", "ord_test_789")
    return [each for each in page["data"] if each["id"] not in fixtures]


async def test_a_card_pays_an_order_as_it_is_made_with_its_customer(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 5, "25.00", currency="usd")
    customer = {"name": "Jenny Rosen", "email": "jenny@example.com"}
    reply = await buy(stage, shop, "pm_card_visa", id_, customer=customer)
    made = reply.json
    assert (reply.status, made["object"], made["status"]) == (201, "order", "paid")
    assert (made["payment_status"], made["amount_paid"]) == ("paid", "50.00")
    (payment,) = await listed(stage, shop, "/payments")
    assert (payment["order"], payment["status"]) == (made["id"], "succeeded")
    assert made["payments"] == [payment["id"]]
    (found,) = await listed(stage, shop, "/customers")
    assert (found["id"], found["email"]) == (made["customer"], "jenny@example.com")
    assert made == await seen(stage, shop, made)
    assert await counted(stage, shop, id_) == (3, 2)
    assert await kinds(stage, shop, made) == ["order.created", "order.paid"]
    # Nothing of the person is left where nobody would look for it.
    (row,) = await stage.rows("SELECT content, customer FROM order_draft WHERE id = $1", made["id"])
    assert row == {"content": None, "customer": None}


async def test_a_card_that_is_declined_leaves_a_failed_payment_and_no_order(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 5, "25.00", currency="usd")
    reply = await buy(stage, shop, DECLINED, id_, customer={"name": "Nobody"}, number="N-1")
    assert (reply.status, reply.error["code"]) == (402, "card_declined")
    assert await listed(stage, shop, "/orders") == []
    assert await listed(stage, shop, "/customers") == []
    (payment,) = await listed(stage, shop, "/payments")
    assert (payment["id"], payment["status"]) == (reply.error["payment"], "failed")
    assert await counted(stage, shop, id_) == (5, 0)
    events = (await stage.get("/events?type[]=order.created&type[]=order.paid", shop.key))["data"]
    assert {event["data"]["object"]["id"] for event in events} <= {"ord_test_789"}
    again = await buy(stage, shop, "pm_card_visa", id_, number="N-1")
    assert again.json["number"] == "N-1"


async def test_a_key_makes_one_order_and_answers_the_same(stage: Stage, shop: Party) -> None:
    id_ = await product(stage, shop, 9, "25.00", currency="usd")
    for card in ("pm_card_visa", DECLINED, SHOWS_UP):
        first, second = [await buy(stage, shop, card, id_, key=card) for _ in range(2)]
        assert (first.status, first.body) == (second.status, second.body)
    assert len(await listed(stage, shop, "/payments")) == 3
    assert len(await listed(stage, shop, "/orders")) == 2
    assert await counted(stage, shop, id_) == (5, 4)


async def test_a_cardholder_who_has_to_authenticate_has_an_order_that_waits(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 5, "25.00", currency="usd")
    made = (await buy(stage, shop, SHOWS_UP, id_)).json
    assert (made["status"], made["payment_status"]) == ("pending", "unpaid")
    (payment,) = made["payments"]
    secret = made["client_secret"]
    assert secret.startswith(f"{payment}_secret_")
    key = await stage.make_key(shop, "public")
    await stage.done(f"POST /payments/{payment}/confirm", key, client_secret=secret)
    now = await seen(stage, shop, made)
    assert (now["status"], now["payment_status"], now["client_secret"]) == ("paid", "paid", None)
    assert await kinds(stage, shop, made) == [
        *("order.created", "order.updated", "order.updated", "order.paid")
    ]


async def test_a_processor_that_says_nothing_leaves_a_draft_until_it_has(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 5, "25.00", currency="usd")
    reply = await buy(stage, shop, TIMES_OUT, id_, key="slow", number="SLOW")
    payment = reply.json
    assert (payment["object"], payment["status"]) == ("payment", "processing")
    assert payment["unknown_since"] is not None
    assert await counted(stage, shop, id_) == (3, 2)
    assert await listed(stage, shop, "/orders") == []
    missing = await stage.ask(f"GET /orders/{payment['order']}", shop.key)
    assert missing.status == 404
    body = {"amount": "50.00", "currency": "usd", METHOD: "pm_card_visa", "order": payment["order"]}
    await refused(stage, "POST /payments", shop.key, body, 404, "resource_missing", "order")
    await stage.audit()
    await recover(stage)
    (made,) = await listed(stage, shop, "/orders")
    assert (made["id"], made["status"], made["number"]) == (payment["order"], "paid", "SLOW")
    assert (await buy(stage, shop, TIMES_OUT, id_, key="slow", number="SLOW")).json["id"] in {
        *(made["id"], payment["id"]),
    }
    assert len(await listed(stage, shop, "/payments")) == 1


async def test_a_number_is_taken_while_a_card_is_asked_to_pay_its_order(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 9, "25.00", currency="usd")
    slow = (await buy(stage, shop, TIMES_OUT, id_, number="N-2")).json
    body = {"currency": "usd", "items": [{"product": id_}], "number": "N-2"}
    paying = {**body, "payment": {METHOD: "pm_card_visa"}}
    for asked in (body, paying):
        await refused(stage, CREATE, shop.key, asked, 409, "duplicate_reference", slow["order"])
    await stage.done(CREATE, (await stage.open_account()).key, number="N-2", items=ONE)
    await recover(stage)
    (made,) = await listed(stage, shop, "/orders")
    assert (made["id"], made["status"], made["number"]) == (slow["order"], "paid", "N-2")
    await refused(stage, CREATE, shop.key, paying, 409, "duplicate_reference", made["id"])


async def test_of_many_orders_of_one_number_at_once_one_card_is_charged(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 20, "25.00", currency="usd")
    asked = (buy(stage, shop, "pm_card_visa", id_, number="N-3") for _ in range(8))
    replies = await asyncio.gather(*asked)
    assert sorted(reply.status for reply in replies) == [201, *[409] * 7]
    (payment,) = await listed(stage, shop, "/payments")
    assert payment["status"] == "succeeded"
    assert await counted(stage, shop, id_) == (18, 2)


async def test_an_order_whose_number_was_lost_while_it_was_charged_is_made_with_another(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 9, "25.00", currency="usd")
    slow = (await buy(stage, shop, TIMES_OUT, id_, number="N-4")).json
    # As where another process makes its order between a look at the number and the commit.
    await stage.rows("DELETE FROM order_draft WHERE id = 'number N-4' RETURNING id")
    first = await order(stage, shop, number="N-4")
    await recover(stage)
    made = await stage.get(f"/orders/{slow['order']}", shop.key)
    assert (first["number"], made["status"]) == ("N-4", "paid")
    assert made["number"].replace("-", "").lower() == made["id"][-12:]


async def test_a_charge_that_never_was_lets_its_stock_go(stage: Stage, shop: Party) -> None:
    id_ = await product(stage, shop, 5, "25.00", currency="usd")
    with heard(stage, silence, port.Charge, port.Find):
        reply = await buy(stage, shop, "pm_card_visa", id_)
    assert (reply.status, reply.json["status"]) == (201, "processing")
    assert await counted(stage, shop, id_) == (3, 2)
    await recover(stage)
    (payment,) = await listed(stage, shop, "/payments")
    assert payment["status"] == "failed"
    assert await listed(stage, shop, "/orders") == []
    assert await counted(stage, shop, id_) == (5, 0)


async def test_a_card_pays_an_order_that_is_there_and_a_decline_leaves_it_waiting(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop, currency="usd")
    route = f"POST /orders/{made['id']}/pay"
    reply = await stage.ask(route, shop.key, {METHOD: DECLINED})
    assert (reply.status, reply.error["code"]) == (402, "card_declined")
    now = await seen(stage, shop, made)
    assert (now["status"], now["payment_status"], len(now["payments"])) == ("pending", "unpaid", 1)
    reply = await stage.ask(route, shop.key, {METHOD: "pm_card_visa"})
    assert (reply.status, reply.json["object"], reply.json["status"]) == (200, "order", "paid")
    assert reply.json == await seen(stage, shop, made)
    assert len(reply.json["payments"]) == 2


async def test_nothing_happens_to_an_order_while_a_card_is_asked(stage: Stage, shop: Party) -> None:
    made = await order(stage, shop, currency="usd")
    reply = await stage.ask(f"POST /orders/{made['id']}/pay", shop.key, {METHOD: TIMES_OUT})
    assert (reply.status, reply.json["payment_status"]) == (200, "processing")
    hat = [{"name": "Hat", "unit_price": "5.00"}]
    for route, body, says in (
        (f"POST /orders/{made['id']}/cancel", {}, "being made"),
        (f"POST /orders/{made['id']}/pay", {METHOD: "pm_card_visa"}, reply.json["payments"][0]),
        (f"PATCH /orders/{made['id']}", {"items": hat}, "processing"),
    ):
        await refused(stage, route, shop.key, body, 400, "state_invalid", says)
    stage.clock.advance(DAY - 60)
    await recover(stage)
    assert (await seen(stage, shop, made))["status"] == "paid"


async def test_of_many_cards_that_pay_an_order_at_once_one_is_charged(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop, currency="usd")
    route = f"POST /orders/{made['id']}/pay"
    replies = await asyncio.gather(*(stage.ask(route, shop.key, VISA) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200] + [400] * 7
    assert len(await listed(stage, shop, "/payments")) == 1
    assert (await seen(stage, shop, made))["amount_paid"] == "20.00"


async def test_a_payment_is_confirmed_only_while_its_order_waits_for_it(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop, currency="usd", payment={METHOD: SHOWS_UP})
    other = await act(stage, shop, made, "pay", **VISA)
    assert other["status"] == "paid"
    route = f"POST /payments/{made['payments'][0]}/confirm"
    await refused(stage, route, shop.key, {}, 400, "state_invalid", "already 'paid'")
    lost = await order(stage, shop, currency="usd", payment={METHOD: SHOWS_UP})
    await act(stage, shop, lost, "cancel")
    route = f"POST /payments/{lost['payments'][0]}/confirm"
    await refused(stage, route, shop.key, {}, 400, "state_invalid", "'cancelled'")


async def test_a_card_that_is_only_authorised_pays_once_it_is_captured_or_is_let_go(
    stage: Stage, shop: Party
) -> None:
    aside = {METHOD: "pm_card_visa", "capture": False}
    made = await order(stage, shop, currency="usd", payment=aside)
    assert (made["status"], made["payment_status"]) == ("pending", "authorized")
    await stage.done(f"POST /payments/{made['payments'][0]}/capture", shop.key)
    now = await seen(stage, shop, made)
    assert (now["status"], now["payment_status"]) == ("paid", "paid")
    made = await order(stage, shop, currency="usd", payment=aside)
    done = await act(stage, shop, made, "cancel")
    assert (done["object"], done["status"], done["payment_status"]) == (
        *("order", "cancelled"),
        "unpaid",
    )
    payment = await stage.get(f"/payments/{made['payments'][0]}", shop.key)
    assert payment["status"] == "canceled"


async def test_a_cancelled_order_gives_back_to_the_card_and_a_return_what_it_is_worth(
    stage: Stage, shop: Party
) -> None:
    made = await order(stage, shop, currency="usd", payment={METHOD: "pm_card_bypassPending"})
    second = await order(stage, shop, currency="usd", payment={METHOD: "pm_card_bypassPending"})
    third = await order(stage, shop, currency="usd", payment={METHOD: "pm_card_bypassPending"})
    assert third["status"] == "paid"
    done = await stage.ask(f"PATCH /orders/{made['id']}", shop.key, {"status": "cancelled"})
    assert (done.status, done.json["status"]) == (200, "cancelled")
    assert (done.json["payment_status"], done.json["amount_refunded"]) == ("refunded", "20.00")
    await act(stage, shop, second, "ship")
    pieces = [{"id": second["items"][0]["id"], "quantity": 1}]
    now = await act(stage, shop, second, "return", items=pieces, refund=True)
    assert (now["object"], now["status"], now["amount_refunded"]) == ("order", "shipped", "10.00")
    now = await act(stage, shop, second, "return", refund=True)
    assert (now["status"], now["payment_status"]) == ("refunded", "refunded")
    assert len(now["refunds"]) == 2


async def test_every_test_account_begins_with_an_order_that_its_payment_has_paid(
    stage: Stage, shop: Party
) -> None:
    made = await stage.get("/orders/ord_test_789?expand[]=payments&expand[]=customer", shop.key)
    assert (made["status"], made["total"], made["currency"]) == ("paid", "100.00", "usd")
    assert made["customer"]["id"] == "cust_test_123"
    (payment,) = made["payments"]
    assert (payment["id"], payment["order"]) == ("pay_test_456", "ord_test_789")
    assert (payment["customer"], payment["amount"]) == ("cust_test_123", "100.00")
    assert await kinds(stage, shop, made) == ["order.created", "order.paid"]
    noted = await change(stage, shop, made, notes="Thanks")
    assert noted["version"] == 3
    # The fee is not returned, so the refund waits for money.
    done = await act(stage, shop, made, "cancel")
    assert (done["status"], done["amount_refunded"]) == ("cancelled", "0.00")
    (refund,) = (await stage.get("/refunds?payment=pay_test_456", shop.key))["data"]
    assert (refund["status"], refund["amount"]) == ("pending", "100.00")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
