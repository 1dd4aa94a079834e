"""Every verb on a payment in every state, and on a refund: what is allowed, and what is refused."""

from __future__ import annotations

import itertools

import pytest

from commerce.areas.payments.payment import Payment
from commerce.areas.payments.refund import Refund
from tests.areas.payments.scene import REFUND, ask_for, funded, pay, seen
from tests.ladder import refused
from tests.stage import Party, Stage

LIFECYCLE = Payment.lifecycle
PASSED_THROUGH = {"processing"}
"""States that no commit leaves a payment in."""
STATES = [state for state in LIFECYCLE.states if state not in PASSED_THROUGH]
VERBS = ("confirm", "capture", "cancel", "refund")
ALLOWED = {
    ("requires_action", "confirm"): "succeeded",
    ("requires_action", "cancel"): "canceled",
    ("requires_capture", "capture"): "succeeded",
    ("requires_capture", "cancel"): "canceled",
    ("succeeded", "refund"): "succeeded",
}


async def in_state(stage: Stage, party: Party, state: str) -> str:
    """A payment in a state."""
    if state == "succeeded":
        return str((await pay(stage, party))["id"])
    if state == "requires_capture":
        return str((await pay(stage, party, capture=False))["id"])
    asked = await ask_for(stage, party)
    if state == "canceled":
        await stage.done(f"POST /payments/{asked['id']}/cancel", party.key)
    return str(asked["id"])


def test_the_table_of_what_is_allowed_is_the_lifecycles() -> None:
    moves = {(state, verb) for state in STATES for verb in LIFECYCLE.allowed(state)}
    assert moves | {("succeeded", "refund")} == ALLOWED.keys()
    assert Refund.lifecycle.states == ("pending", "succeeded")


@pytest.mark.parametrize(("state", "verb"), [*itertools.product(STATES, VERBS)])
async def test_a_verb_moves_a_payment_or_is_refused_and_leaves_nothing(
    stage: Stage, state: str, verb: str
) -> None:
    party = await funded(stage)
    id_ = await in_state(stage, party, state)
    route = f"POST /payments/{id_}/{verb}"
    after = ALLOWED.get((state, verb))
    if after is None:
        await refused(stage, route, party.key, {}, 400, "state_invalid", f"'{state}'")
        return
    await stage.done(route, party.key)
    now = await stage.get(f"/payments/{id_}", party.key)
    assert now["status"] == after


async def test_a_refund_that_was_given_back_is_not_given_back_again(stage: Stage) -> None:
    party = await funded(stage)
    paid = await pay(stage, party)
    await stage.done(REFUND, party.key, payment=paid["id"])
    body = {"payment": paid["id"]}
    await refused(stage, REFUND, party.key, body, 400, "state_invalid", "refunded whole")
    assert (await seen(stage, paid, party))["amount_refunded"] == "100.00"


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
