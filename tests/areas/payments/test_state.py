"""Every verb on a payment in every state, and on a refund: what is allowed, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from commerce.areas.payments.payment import Payment
from commerce.areas.payments.refund import Refund
from tests.areas.payments.card.scene import DECLINED, SHOWS_UP, TIMES_OUT, VISA, ask
from tests.areas.payments.scene import REFUND, ask_for, funded, pay, seen
from tests.ladder import refused
from tests.stage import Party, Stage

LIFECYCLE = Payment.lifecycle
VERBS = ("confirm", "capture", "cancel", "refund")
ALLOWED = {
    ("requires_action", "confirm"): "succeeded",
    ("requires_action", "cancel"): "canceled",
    ("requires_capture", "capture"): "succeeded",
    ("requires_capture", "cancel"): "canceled",
    ("succeeded", "refund"): "succeeded",
}
OF_WALLETS = [state for state in LIFECYCLE.states if state not in {"processing", "failed"}]
"""No commit leaves a payment from a wallet in the others."""
CASES = [
    *itertools.product(["ssusd"], OF_WALLETS, VERBS),
    *[
        case
        for case in itertools.product(["card"], LIFECYCLE.states, VERBS)
        if case != ("card", "succeeded", "refund")
    ],
]
BY_CARD: dict[str, tuple[str, dict[str, Any]]] = {
    "processing": (TIMES_OUT, {}),
    "requires_action": (SHOWS_UP, {}),
    "requires_capture": (VISA, {"capture": False}),
    "succeeded": (VISA, {}),
    "failed": (DECLINED, {}),
    "canceled": (VISA, {"capture": False}),
}


async def in_state(stage: Stage, party: Party, kind: str, state: str) -> str:
    """A payment in a state."""
    if kind == "card":
        method, more = BY_CARD[state]
        reply = await ask(stage, party, method, **more)
        id_ = str(reply.error["payment"] if reply.status == 402 else reply.json["id"])
        if state == "canceled":
            await stage.done(f"POST /payments/{id_}/cancel", party.key)
        return id_
    if state == "succeeded":
        return str((await pay(stage, party))["id"])
    if state == "requires_capture":
        return str((await pay(stage, party, capture=False))["id"])
    asked = await ask_for(stage, party)
    if state == "canceled":
        await stage.done(f"POST /payments/{asked['id']}/cancel", party.key)
    return str(asked["id"])


def test_the_table_of_what_is_allowed_is_the_lifecycles() -> None:
    states = [state for state in LIFECYCLE.states if state != "processing"]
    moves = {(state, verb) for state in states for verb in LIFECYCLE.allowed(state)}
    asking = {("requires_action", "ask"), ("requires_capture", "ask")}
    assert moves | {("succeeded", "refund")} == ALLOWED.keys() | asking
    of_processors = {"succeed", "authorize", "require_action", "fail", "release"}
    assert set(LIFECYCLE.allowed("processing")) == of_processors
    assert Refund.lifecycle.states == ("pending", "succeeded", "failed")


@pytest.mark.parametrize(("kind", "state", "verb"), CASES)
async def test_a_verb_moves_a_payment_or_is_refused_and_leaves_nothing(
    stage: Stage, kind: str, state: str, verb: str
) -> None:
    party = await (funded(stage) if kind == "ssusd" else stage.open_account())
    id_ = await in_state(stage, party, kind, state)
    assert (await stage.get(f"/payments/{id_}", party.key))["status"] == state
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
