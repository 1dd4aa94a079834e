"""What of an order's money can be given back: not twice, and not what a cardholder has taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.areas.orders.scene import act, counted, order, product, seen
from tests.areas.payments.returns.scene import (
    AT_ONCE,
    DISPUTED,
    has,
    merchant_of,
    run_all,
)
from tests.ladder import refused
from tests.stage import Party, Stage

METHOD = "payment_method"
REFUND = "POST /payments/refund"


@pytest.fixture
async def shop(stage: Stage) -> Party:
    return await merchant_of(stage)


async def sold(stage: Stage, shop: Party, card: str, **more: Any) -> tuple[dict[str, Any], str]:
    """An order of two pieces for 20.00 that a card has paid, and the product."""
    id_ = await product(stage, shop, currency="usd")
    pieces = [{"product": id_, "quantity": 2}]
    payment = {METHOD: card, **more}
    return await order(stage, shop, currency="usd", items=pieces, payment=payment), id_


async def lose(stage: Stage, shop: Party, made: dict[str, Any]) -> None:
    """Give up the dispute of an order's payment."""
    payment = await stage.get(f"/payments/{made['payments'][0]}", shop.key)
    await stage.done(f"POST /disputes/{payment['dispute']}/close", shop.key)


async def test_an_order_whose_cardholder_took_the_money_back_can_be_cancelled(
    stage: Stage, shop: Party
) -> None:
    made, id_ = await sold(stage, shop, DISPUTED)
    assert await counted(stage, shop, id_) == (8, 2)
    cancel = f"POST /orders/{made['id']}/cancel"
    await refused(stage, cancel, shop.key, {}, 400, "state_invalid", "once the dispute is 'won'")
    await lose(stage, shop, made)
    done = await act(stage, shop, made, "cancel")
    assert (done["status"], done["amount_refunded"], done["refunds"]) == ("cancelled", "0.00", [])
    assert await counted(stage, shop, id_) == (10, 0)


async def test_pieces_of_an_order_that_a_cardholder_took_back_return_for_nothing(
    stage: Stage, shop: Party
) -> None:
    made, id_ = await sold(stage, shop, DISPUTED)
    await act(stage, shop, made, "ship")
    await lose(stage, shop, made)
    done = await act(stage, shop, made, "return", refund=True)
    assert (done["status"], done["returns"][0]["amount_refunded"]) == ("returned", "0.00")
    assert await counted(stage, shop, id_) == (10, 0)


async def test_a_refund_after_a_lost_dispute_is_told_that_nothing_will_help(
    stage: Stage, shop: Party
) -> None:
    made, _ = await sold(stage, shop, DISPUTED)
    await lose(stage, shop, made)
    body = {"payment": made["payments"][0]}
    await refused(stage, REFUND, shop.key, body, 400, "state_invalid", "is 'lost': its cardholder")


async def test_a_return_gives_back_no_more_than_refunds_that_wait_have_left(
    stage: Stage, shop: Party
) -> None:
    made, _ = await sold(stage, shop, "pm_card_visa")
    await act(stage, shop, made, "ship")
    (payment,) = made["payments"]
    # Its fee has left less than all of it, so this one waits for money.
    waits = await stage.done(REFUND, shop.key, payment=payment, amount="19.50")
    assert waits["status"] == "pending"
    done = await act(stage, shop, made, "return", refund=True)
    assert done["returns"][0]["amount_refunded"] == "0.50"
    await has(stage, shop, "40.00")
    stage.clock.advance(60)
    await run_all(stage)
    now = await seen(stage, shop, made)
    assert (now["status"], now["amount_refunded"]) == ("refunded", "20.00")


async def test_an_order_that_two_cards_have_paid_says_how_it_is_given_back(
    stage: Stage, shop: Party
) -> None:
    made, id_ = await sold(stage, shop, AT_ONCE, capture=False)
    capture = f"POST /payments/{made['payments'][0]}/capture"
    await stage.done(capture, shop.key, amount="5.00")
    paid = await act(stage, shop, made, "pay", **{METHOD: AT_ONCE})
    cancel = f"POST /orders/{made['id']}/cancel"
    says = "This order is 'paid', by several cards: refund their payments one by one"
    await refused(stage, cancel, shop.key, {}, 400, "state_invalid", says)
    await has(stage, shop, "40.00")
    for payment in paid["payments"]:
        await stage.done(REFUND, shop.key, payment=payment)
    assert (await seen(stage, shop, made))["status"] == "refunded"
    assert await counted(stage, shop, id_) == (10, 0)


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
