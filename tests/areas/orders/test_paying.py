"""Paying for orders in ssUSD: at once, later, by somebody else, and into escrow."""

from __future__ import annotations

import asyncio

import pytest

from commerce.jobs.worker import Worker
from tests.areas.orders.scene import (
    CREATE,
    DAY,
    EXTERNAL,
    ONE,
    WALLET,
    act,
    change,
    counted,
    in_state,
    kinds,
    order,
    paid,
    product,
    seen,
    shop_of,
)
from tests.areas.payments.scene import balances, confirm
from tests.ladder import refused
from tests.stage import Party, Stage

PAY = "POST /payments/create"


@pytest.fixture
async def shop(stage: Stage) -> Party:
    return await shop_of(stage)


async def run_jobs(stage: Stage) -> None:
    worker: Worker = stage.app.worker
    while await worker.turn():
        pass


async def test_an_order_is_paid_as_it_is_made(stage: Stage, shop: Party) -> None:
    buyer = await stage.open_account()
    made = await paid(stage, shop, payment={**WALLET, "recipient": buyer.id})
    assert (made["status"], made["payment_status"]) == ("paid", "paid")
    assert (made["amount_paid"], made["amount_due"]) == ("20.00", "0.00")
    assert made["paid_at"] == made["created"]
    (id_,) = made["payments"]
    payment = await stage.get(f"/payments/{id_}?expand[]=order", shop.key)
    assert (payment["amount"], payment["status"]) == ("20.00", "succeeded")
    assert payment["order"]["id"] == made["id"]
    assert await stage.available(buyer) == "19.99"
    assert await kinds(stage, shop, made) == ["order.created", "order.paid"]


async def test_without_money_there_is_no_order(stage: Stage, shop: Party) -> None:
    id_ = await product(stage, shop, 5, "900.00")
    body = {"items": [{"product": id_, "quantity": 2}], "payment": WALLET}
    await refused(stage, CREATE, shop.key, body, 402, "insufficient_funds", "1800.00")
    assert await counted(stage, shop, id_) == (5, 0)


async def test_an_order_is_paid_later_by_its_own_operation_or_by_a_payment_that_names_it(
    stage: Stage, shop: Party
) -> None:
    made = await change(stage, shop, await order(stage, shop), status="confirmed")
    done = await act(stage, shop, made, "pay")
    assert (done["status"], done["version"]) == ("paid", 3)
    made = await order(stage, shop)
    await stage.done(PAY, shop.key, amount="20.00", currency="ssusd", order=made["id"])
    assert (await seen(stage, shop, made))["status"] == "paid"
    page = await stage.get(f"/payments?order={made['id']}", shop.key)
    assert [each["id"] for each in page["data"]] == (await seen(stage, shop, made))["payments"]


async def test_a_payment_that_does_not_fit_its_order_is_refused(stage: Stage, shop: Party) -> None:
    customer = await stage.done("POST /customers", shop.key, name="Jenny")
    made = await order(stage, shop, customer=customer["id"])
    held = await order(stage, shop, escrow=True)
    done = await paid(stage, shop)
    good = {"amount": "20.00", "currency": "ssusd"}
    for more, status, code, says in (
        ({"order": "ord_test_nobody"}, 404, "resource_missing", "order"),
        ({"order": done["id"]}, 400, "state_invalid", "already 'paid'"),
        ({"order": made["id"], "amount": "19.99"}, 400, "amount_mismatch", "20.00"),
        ({"order": held["id"]}, 400, "parameter_invalid", "'capture' false"),
        (
            {"order": made["id"], "customer": "cust_test_123"},
            *(400, "parameter_invalid", customer["id"]),
        ),
    ):
        await refused(stage, PAY, shop.key, {**good, **more}, status, code, says)
    card = {"amount": "20.00", "currency": "usd", "payment_method": "pm_card_visa"}
    body = {**card, "order": made["id"]}
    await refused(stage, PAY, shop.key, body, 400, "currency_unsupported", "ssusd")


async def test_somebody_else_pays_with_the_secret_that_the_order_is_answered_with(
    stage: Stage, shop: Party
) -> None:
    buyer = await shop_of(stage)
    made = await order(stage, shop, payment=EXTERNAL)
    secret = made["client_secret"]
    assert (made["status"], made["payment_status"]) == ("pending", "unpaid")
    assert (await seen(stage, shop, made))["client_secret"] is None
    payment = {"id": made["payments"][0], "client_secret": secret}
    await confirm(stage, payment, buyer)
    now = await seen(stage, shop, made)
    assert (now["status"], now["amount_paid"]) == ("paid", "20.00")
    assert await stage.available(buyer) == "980.00"
    assert await kinds(stage, shop, made) == ["order.created", "order.updated", "order.paid"]


async def test_of_two_who_were_asked_to_pay_one_does(stage: Stage, shop: Party) -> None:
    buyer = await shop_of(stage)
    made = await order(stage, shop, payment=EXTERNAL)
    other = await act(stage, shop, made, "pay", **EXTERNAL)
    asked = [
        {"id": id_, "client_secret": secret}
        for id_, secret in zip(
            other["payments"], (made["client_secret"], other["client_secret"]), strict=True
        )
    ]
    routes = [f"POST /payments/{each['id']}/confirm" for each in asked]
    replies = await asyncio.gather(
        *(
            stage.ask(route, buyer.key, {"client_secret": each["client_secret"]})
            for route, each in zip(routes, asked, strict=True)
            for _ in range(3)
        )
    )
    assert sorted(reply.status for reply in replies) == [200] + [400] * 5
    assert await stage.available(buyer) == "980.00"
    assert (await seen(stage, shop, made))["amount_paid"] == "20.00"


async def test_what_was_asked_for_is_not_paid_once_the_order_has_changed(
    stage: Stage, shop: Party
) -> None:
    buyer = await shop_of(stage)
    for verb, code in (("change", "amount_mismatch"), ("cancel", "state_invalid")):
        made = await order(stage, shop, payment=EXTERNAL)
        if verb == "change":
            await change(stage, shop, made, items=[{"name": "Hat", "unit_price": "5.00"}])
        else:
            await act(stage, shop, made, "cancel")
        route = f"POST /payments/{made['payments'][0]}/confirm"
        body = {"client_secret": made["client_secret"]}
        await refused(stage, route, buyer.key, body, 400, code)
    assert await stage.available(buyer) == "1000.00"


async def test_a_cancelled_order_gives_back_what_was_paid_and_reserved(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 5)
    made = await paid(stage, shop, items=[{"product": id_, "quantity": 3}])
    assert await counted(stage, shop, id_) == (2, 3)
    done = await act(stage, shop, made, "cancel", reason="Changed their mind.")
    assert (done["status"], done["payment_status"]) == ("cancelled", "refunded")
    assert (done["amount_refunded"], done["cancel_reason"]) == ("30.00", "Changed their mind.")
    assert await counted(stage, shop, id_) == (5, 0)
    refund = await stage.get(f"/refunds/{done['refunds'][0]}", shop.key)
    assert (refund["amount"], refund["payment"]) == ("30.00", made["payments"][0])


async def test_money_in_escrow_is_the_payers_until_the_order_is_completed(
    stage: Stage, shop: Party
) -> None:
    seller = await stage.open_account()
    made = await paid(stage, shop, escrow=True, payment={**WALLET, "recipient": seller.id})
    assert (made["status"], made["payment_status"], made["amount_due"]) == (
        *("paid", "escrowed"),
        "0.00",
    )
    assert await balances(stage, shop) == ("980.00", "20.00")
    route = f"POST /payments/{made['payments'][0]}/capture"
    await refused(stage, route, shop.key, {}, 400, "state_invalid", "in escrow")
    await act(stage, shop, made, "ship")
    await act(stage, shop, made, "deliver")
    done = await act(stage, shop, made, "complete")
    assert (done["status"], done["payment_status"]) == ("completed", "paid")
    assert await balances(stage, shop) == ("980.00", "0.00")
    assert await stage.available(seller) == "19.99"
    assert await kinds(stage, shop, made) == [
        *("order.created", "order.paid", "order.shipped", "order.delivered"),
        *("order.updated", "order.completed"),
    ]


async def test_an_order_in_escrow_is_completed_by_itself_three_days_after_its_delivery(
    stage: Stage,
) -> None:
    shop = await shop_of(stage)
    made = await in_state(stage, shop, "delivered", escrow=True)
    plain = await in_state(stage, shop, "delivered")
    disputed = await in_state(stage, shop, "disputed", escrow=True)
    stage.clock.advance(3 * DAY - 1)
    await run_jobs(stage)
    assert (await seen(stage, shop, made))["status"] == "delivered"
    stage.clock.advance(1)
    await run_jobs(stage)
    now = await seen(stage, shop, made)
    assert (now["status"], now["payment_status"]) == ("completed", "paid")
    assert (await seen(stage, shop, plain))["status"] == "delivered"
    now = await seen(stage, shop, disputed)
    assert (now["status"], now["payment_status"]) == ("disputed", "escrowed")
    done = await act(stage, shop, disputed, "complete")
    assert (done["status"], done["payment_status"]) == ("completed", "paid")


async def test_money_in_escrow_is_free_again_where_its_order_is_cancelled_or_all_comes_back(
    stage: Stage, shop: Party
) -> None:
    for state, verb, status in (
        ("paid", "cancel", "cancelled"),
        ("delivered", "return", "refunded"),
    ):
        made = await in_state(stage, shop, state, escrow=True)
        body = {"refund": True} if verb == "return" else {}
        done = await act(stage, shop, made, verb, **body)
        assert (done["status"], done["payment_status"]) == (status, "refunded")
        assert done["amount_refunded"] == "20.00"
        assert await balances(stage, shop) == ("1000.00", "0.00")


async def test_an_order_whose_money_in_escrow_is_let_go_is_refunded(
    stage: Stage, shop: Party
) -> None:
    id_ = await product(stage, shop, 2)
    made = await paid(stage, shop, escrow=True, items=[{"product": id_}])
    await stage.done(f"POST /payments/{made['payments'][0]}/cancel", shop.key)
    now = await seen(stage, shop, made)
    assert (now["status"], now["amount_refunded"]) == ("refunded", "10.00")
    assert await counted(stage, shop, id_) == (2, 0)


async def test_what_comes_back_of_an_order_in_escrow_is_not_paid_out(stage: Stage) -> None:
    shop, seller = await shop_of(stage), await stage.open_account()
    made = await paid(
        stage,
        shop,
        escrow=True,
        payment={**WALLET, "recipient": seller.id},
        shipping={"amount": "3.00"},
    )
    await act(stage, shop, made, "ship")
    await act(stage, shop, made, "deliver")
    one = [{"id": made["items"][0]["id"], "quantity": 1}]
    back = await act(stage, shop, made, "return", items=one, refund=True)
    assert (back["status"], back["payment_status"]) == ("delivered", "escrowed")
    assert back["amount_refunded"] == "10.00"
    assert await balances(stage, shop) == ("977.00", "23.00")
    back = await act(stage, shop, made, "return", refund=True)
    assert (back["status"], back["payment_status"]) == ("returned", "partially_refunded")
    assert (back["amount_paid"], back["amount_refunded"]) == ("23.00", "20.00")
    assert await balances(stage, shop) == ("997.00", "0.00")
    assert await stage.available(seller) == "2.99"


async def test_money_set_aside_by_hand_pays_once_it_is_captured(stage: Stage, shop: Party) -> None:
    made = await order(stage, shop, payment={**WALLET, "capture": False})
    assert (made["status"], made["payment_status"]) == ("pending", "authorized")
    route = f"POST /orders/{made['id']}/pay"
    await refused(stage, route, shop.key, {}, 400, "state_invalid", made["payments"][0])
    body = {"items": [{"name": "Hat", "unit_price": "5.00"}]}
    await refused(stage, f"PATCH /orders/{made['id']}", shop.key, body, 400, "state_invalid")
    await stage.done(f"POST /payments/{made['payments'][0]}/capture", shop.key)
    now = await seen(stage, shop, made)
    assert (now["status"], now["payment_status"]) == ("paid", "paid")
    made = await order(stage, shop, payment={**WALLET, "capture": False})
    await act(stage, shop, made, "cancel")
    now = await seen(stage, shop, made)
    assert (now["status"], now["payment_status"]) == ("cancelled", "unpaid")
    assert await balances(stage, shop) == ("999.99", "0.00")


async def test_what_was_captured_in_part_leaves_the_rest_due(stage: Stage, shop: Party) -> None:
    made = await order(stage, shop, payment={**WALLET, "capture": False})
    route = f"POST /payments/{made['payments'][0]}/capture"
    await stage.done(route, shop.key, amount="15.00")
    now = await seen(stage, shop, made)
    assert (now["status"], now["payment_status"]) == ("pending", "unpaid")
    assert (now["amount_paid"], now["amount_due"]) == ("15.00", "5.00")
    done = await act(stage, shop, made, "pay", amount="5.00")
    assert (done["status"], done["amount_paid"], len(done["payments"])) == ("paid", "20.00", 2)
    done = await act(stage, shop, made, "cancel")
    assert (done["amount_refunded"], len(done["refunds"])) == ("20.00", 2)


async def test_an_order_that_nobody_pays_in_a_day_expires(stage: Stage) -> None:
    shop = await shop_of(stage)
    id_ = await product(stage, shop, 9)
    items = [{"product": id_, "quantity": 2}]
    left = await order(stage, shop, items=items)
    sure = await change(stage, shop, await order(stage, shop, items=items), status="confirmed")
    held = await act(stage, shop, await order(stage, shop, items=items), "hold")
    bought = await act(stage, shop, await order(stage, shop, items=items), "pay")
    aside = await order(stage, shop, payment={**WALLET, "capture": False})
    stage.clock.advance(DAY - 1)
    await run_jobs(stage)
    assert (await seen(stage, shop, left))["status"] == "pending"
    stage.clock.advance(1)
    await run_jobs(stage)
    for made in (left, sure):
        now = await seen(stage, shop, made)
        assert (now["status"], now["cancel_reason"]) == ("cancelled", "expired")
        assert (now["amount_due"], now["cancelled_at"]) == ("0.00", now["expires_at"])
        assert (await kinds(stage, shop, made))[-1] == "order.expired"
    for made, status in ((held, "held"), (bought, "paid"), (aside, "pending")):
        assert (await seen(stage, shop, made))["status"] == status
    assert await counted(stage, shop, id_) == (5, 4)
    await act(stage, shop, held, "release")
    stage.clock.advance(DAY)
    await run_jobs(stage)
    assert (await seen(stage, shop, held))["status"] == "cancelled"
    assert await counted(stage, shop, id_) == (7, 2)


async def test_an_order_whose_hold_was_released_expires_as_any_other(stage: Stage) -> None:
    shop = await shop_of(stage)
    id_ = await product(stage, shop, 9)
    items = [{"product": id_, "quantity": 2}]
    made = await order(stage, shop, items=items, payment={**WALLET, "capture": False})
    await stage.done(f"POST /payments/{made['payments'][0]}/cancel", shop.key)
    stage.clock.advance(DAY)
    await run_jobs(stage)
    assert (await seen(stage, shop, made))["cancel_reason"] == "expired"
    assert await counted(stage, shop, id_) == (9, 0)


async def test_an_order_does_not_expire_with_money_of_its_buyer_in_it(stage: Stage) -> None:
    shop = await shop_of(stage)
    made = await order(stage, shop, payment={**WALLET, "capture": False})
    id_ = made["payments"][0]
    await stage.done(f"POST /payments/{id_}/capture", shop.key, amount="15.00")
    stage.clock.advance(DAY)
    await run_jobs(stage)
    now = await seen(stage, shop, made)
    assert (now["status"], now["amount_paid"], now["amount_due"]) == ("pending", "15.00", "5.00")
    await stage.done("POST /payments/refund", shop.key, payment=id_)
    stage.clock.advance(DAY)
    await run_jobs(stage)
    now = await seen(stage, shop, made)
    assert (now["status"], now["cancel_reason"]) == ("cancelled", "expired")
    assert now["amount_refunded"] == "15.00"


async def test_a_payment_and_the_expiry_of_an_order_exclude_each_other(stage: Stage) -> None:
    shop = await shop_of(stage)
    made = [await order(stage, shop) for _ in range(8)]
    stage.clock.advance(DAY)
    routes = [f"POST /orders/{each['id']}/pay" for each in made]
    await asyncio.gather(*(stage.ask(route, shop.key, {}) for route in routes), run_jobs(stage))
    await run_jobs(stage)
    found = [await seen(stage, shop, each) for each in made]
    assert {each["status"] for each in found} <= {"paid", "cancelled"}
    spent = 20 * sum(each["status"] == "paid" for each in found)
    # To themselves, they cost the fee.
    assert float(await stage.available(shop)) == 1000 - 0.01 * spent / 20


async def test_of_many_who_pay_or_cancel_at_once_one_comes_first(stage: Stage) -> None:
    shop = await shop_of(stage)
    for _ in range(6):
        made = await order(stage, shop, items=ONE)
        routes = [f"POST /orders/{made['id']}/{verb}" for verb in ("pay", "cancel")] * 3
        replies = await asyncio.gather(*(stage.ask(route, shop.key, {}) for route in routes))
        now = await seen(stage, shop, made)
        assert now["status"] == "cancelled"
        assert sorted(reply.status for reply in replies)[:1] == [200]
        assert len(now["payments"]) == len(now["refunds"]) <= 1


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
