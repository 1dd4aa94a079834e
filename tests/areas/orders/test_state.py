"""Every verb on an order in every state: what its table allows, and what it refuses."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from commerce.areas.orders.order import Order
from commerce.areas.orders.transition import EVENTS, LIFECYCLE, TRANSITIONS, of_caller
from tests.areas.orders.scene import CREATE, act, in_state, kinds, seen, shop_of
from tests.ladder import refused
from tests.stage import Party, Stage

BY_PATCH = {"confirm": "confirmed"}
"""What a person does by a change of `status` alone."""
VERBS = (
    *("confirm", "pay", "cancel", "hold", "release", "fulfill", "ship", "deliver", "complete"),
    *("return", "dispute"),
)
STATES = LIFECYCLE.states


@pytest.fixture(scope="module")
async def shop(stage: Stage) -> Party:
    return await shop_of(stage, "10000.00")


def asking(id_: str, verb: str) -> tuple[str, dict[str, Any]]:
    """The route of a verb on an order, and its body."""
    if verb in BY_PATCH:
        return f"PATCH /orders/{id_}", {"status": BY_PATCH[verb]}
    return f"POST /orders/{id_}/{verb}", {}


def test_the_table_has_a_line_for_every_state_of_an_order() -> None:
    assert set(STATES) == {
        *("pending", "confirmed", "paid", "partially_fulfilled", "fulfilled", "shipped"),
        *("delivered", "completed", "held", "cancelled", "returned", "refunded", "disputed"),
    }
    assert LIFECYCLE.terminal == ("cancelled", "refunded")
    assert {verb for state in STATES for verb in of_caller(state)} == set(VERBS)


def test_the_events_are_those_of_the_contract() -> None:
    assert set(EVENTS) == {
        f"order.{name}"
        for name in (
            *("created", "updated", "confirmed", "paid", "partially_fulfilled", "fulfilled"),
            *("shipped", "delivered", "completed", "cancelled", "held", "returned", "refunded"),
            *("disputed", "expired"),
        )
    }
    assert Order.tells == EVENTS


@pytest.mark.parametrize(("state", "verb"), [*itertools.product(STATES, VERBS)])
async def test_a_verb_moves_an_order_as_its_table_says_or_is_refused_and_leaves_nothing(
    stage: Stage, shop: Party, state: str, verb: str
) -> None:
    made = await in_state(stage, shop, state)
    assert made["status"] == state
    assert (verb in made["allowed_transitions"]) is (verb in LIFECYCLE.allowed(state))
    route, body = asking(made["id"], verb)
    if verb not in LIFECYCLE.allowed(state):
        if verb == "confirm" and state == "confirmed":
            assert (await stage.done(route, shop.key, **body))["version"] == made["version"]
            return
        await refused(stage, route, shop.key, body, 400, "state_invalid", f"'{state}'")
        return
    before = await kinds(stage, shop, made)
    after = await stage.done(route, shop.key, **body)
    assert after["status"] in LIFECYCLE.targets(state, verb)
    assert after == await seen(stage, shop, made)
    event = TRANSITIONS[state, verb].event(state, after["status"])
    assert event in (await kinds(stage, shop, made))[len(before) :]


@pytest.mark.parametrize("state", [s for s in STATES if "refund" in LIFECYCLE.allowed(s)])
async def test_an_order_of_which_all_is_given_back_is_refunded(
    stage: Stage, shop: Party, state: str
) -> None:
    made = await in_state(stage, shop, state)
    payment = made["payments"][0]
    for amount in ("7.00", "13.00"):
        await stage.done("POST /payments/refund", shop.key, payment=payment, amount=amount)
        now = await seen(stage, shop, made)
        assert now["status"] == (state if amount == "7.00" else "refunded")
    assert (now["amount_refunded"], now["payment_status"]) == ("20.00", "refunded")
    assert len(now["refunds"]) == 2
    assert (await kinds(stage, shop, made))[-2:] == ["order.updated", "order.refunded"]


@pytest.mark.parametrize(
    "state", [s for s in STATES if s != "held" and "hold" in LIFECYCLE.allowed(s)]
)
async def test_an_order_that_is_released_is_where_it_was(
    stage: Stage, shop: Party, state: str
) -> None:
    made = await in_state(stage, shop, state)
    held = await act(stage, shop, made, "hold", reason="Odd address.")
    assert (held["status"], held["held_from"], held["hold_reason"]) == (
        *("held", state),
        "Odd address.",
    )
    left = state in ("partially_fulfilled", "fulfilled")
    assert ("cancel" in held["allowed_transitions"]) is not left
    if left:
        route = f"POST /orders/{made['id']}/cancel"
        await refused(stage, route, shop.key, {}, 400, "state_invalid", "pieces of it have left")
    for other in ("delivered", "completed"):
        route, body = f"PATCH /orders/{made['id']}", {"status": other}
        await refused(stage, route, shop.key, body, 400, "state_invalid", "'held'")
    back = await stage.done(f"PATCH /orders/{made['id']}", shop.key, status=state)
    assert (back["status"], back["held_from"], back["hold_reason"]) == (state, None, None)
    assert (await kinds(stage, shop, made))[-2:] == ["order.held", "order.updated"]


async def test_an_order_of_nothing_is_paid_as_it_is_made(stage: Stage, shop: Party) -> None:
    body = {
        "items": [{"name": "Gift", "unit_price": "5.00"}],
        "discounts": [{"type": "percent", "value": "100"}],
    }
    made = await stage.done(CREATE, shop.key, **body)
    assert (made["status"], made["total"], made["amount_due"]) == ("paid", "0.00", "0.00")
    assert await kinds(stage, shop, made) == ["order.created", "order.paid"]
    given = {**body, "payment": {}}
    await refused(stage, CREATE, shop.key, given, 400, "parameter_invalid", "Nothing is due")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
