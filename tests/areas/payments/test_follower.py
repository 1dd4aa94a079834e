"""What follows payments: in the same transaction it moves on, or both stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from commerce.areas.customers import customer as customers
from commerce.areas.customers.customer import Customer
from commerce.areas.payments.payment import Payment
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.resource.composition.follower import followers_of, follows
from tests.areas.payments.scene import CREATE, REFUND, ask_for, confirm, funded, pay
from tests.ladder import refused
from tests.stage import Party, Stage

STUCK, TAKEN = "stuck", "taken"


def _need(needs: Needs, account: str, livemode: bool, id_: str) -> None:
    needs.row(customers.TABLE.key, (account, livemode, id_), lock=True)


def _begin(tx: Tx, payment: Payment) -> None:
    found = customers.require(tx, str(payment.order_id), param="order")
    if found.name == TAKEN:
        raise ApiError("state_invalid", "This is paid.", param="order")
    if payment.currency != "ssusd":
        raise ApiError("currency_unsupported", param="currency")


@follows("order", need=_need, begin=_begin)
def follow(tx: Tx, payment: Payment, move: str, *, account: str) -> None:
    """A customer stands for the order, and its phone number says how it was moved."""
    found = tx.lock(Customer, str(payment.order_id), account=account)
    if found.name == STUCK:
        raise ApiError("state_invalid", "This does not move.", param="order")
    told = f"{payment.status}:{payment.amount_refunded.text}:{move}"
    tx.change(found, account=account, phone=f"{found.phone or ''} {told}".strip())


@pytest.fixture(autouse=True)
def followed(stage: Stage) -> Iterator[None]:
    engine = stage.app.engine
    before = engine.means
    engine.means = before._replace(followers=followers_of([SimpleNamespace(follow=follow)]))
    yield
    engine.means = before


async def order_of(stage: Stage, party: Party, name: str = "open") -> str:
    """What a payment is to pay for."""
    return str((await stage.done("POST /customers", party.key, name=name))["id"])


async def told(stage: Stage, party: Party, order: str) -> list[str]:
    """How it was moved."""
    found: dict[str, Any] = await stage.get(f"/customers/{order}", party.key)
    return (found["phone"] or "").split()


async def test_a_payment_moves_what_it_pays_for(stage: Stage) -> None:
    party = await funded(stage)
    order = await order_of(stage, party)
    paid = await pay(stage, party, order=order)
    assert (paid["status"], paid["order"]) == ("succeeded", order)
    await stage.done(REFUND, party.key, payment=paid["id"], amount="40.00")
    assert await told(stage, party, order) == [
        "succeeded:0.00:succeed",
        "succeeded:40.00:refund",
    ]


async def test_money_that_is_set_aside_moves_it_step_by_step(stage: Stage) -> None:
    party = await funded(stage)
    order = await order_of(stage, party)
    held = [await pay(stage, party, order=order, capture=False) for _ in range(2)]
    await stage.done(f"POST /payments/{held[0]['id']}/capture", party.key, amount="10.00")
    await stage.done(f"POST /payments/{held[1]['id']}/cancel", party.key)
    assert await told(stage, party, order) == [
        "requires_capture:0.00:authorize",
        "requires_capture:0.00:authorize",
        "succeeded:0.00:capture",
        "canceled:0.00:cancel",
    ]


async def test_a_payer_of_another_account_moves_the_payees(stage: Stage) -> None:
    payee, payer = await funded(stage), await funded(stage)
    order = await order_of(stage, payee)
    asked = await ask_for(stage, payee, order=order)
    await confirm(stage, asked, payer)
    moves = [each.rpartition(":")[2] for each in await told(stage, payee, order)]
    assert moves == ["require_action", "confirm", "succeed"]


async def test_what_cannot_move_keeps_the_payment_where_it_is(stage: Stage) -> None:
    party = await funded(stage)
    stuck = await order_of(stage, party, STUCK)
    asked = {"amount": "100.00", "currency": "ssusd", "order": stuck}
    await refused(stage, CREATE, party.key, asked, 400, "state_invalid", "does not move")
    assert (await stage.get(f"/payments?order={stuck}", party.key))["data"] == []


async def test_what_is_paid_or_is_not_there_refuses_a_payment_before_money_is_looked_at(
    stage: Stage,
) -> None:
    party = await stage.open_account()
    taken = await order_of(stage, party, TAKEN)
    asked = {"amount": "100.00", "currency": "ssusd"}
    body = {**asked, "order": taken}
    await refused(stage, CREATE, party.key, body, 400, "state_invalid", "is paid")
    body = {**asked, "order": "ord_test_none"}
    await refused(stage, CREATE, party.key, body, 404, "resource_missing", "ord_test_none")
    body = {**asked, "invoice": "inv_test_none"}
    await refused(stage, CREATE, party.key, body, 404, "resource_missing", "No such invoice")


async def test_a_list_holds_the_payments_of_one_order(stage: Stage) -> None:
    party = await funded(stage)
    first, second = [await order_of(stage, party) for _ in range(2)]
    paid = [await pay(stage, party, order=order) for order in (first, second, second)]
    page = await stage.get(f"/payments/list?order={second}", party.key)
    assert {each["id"] for each in page["data"]} == {each["id"] for each in paid[1:]}
    assert (await stage.get("/payments/list?invoice=inv_test_none", party.key))["data"] == []


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
