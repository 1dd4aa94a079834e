"""What comes after a charge: authenticated, captured or released, whatever the processor says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from commerce.areas.payments.payment import PublicPayment
from commerce.engine.outside.call import Call, Heard
from commerce.gateways.cards.port import Cancel, Capture, Charge, Confirm, Find, Verdict
from tests.areas.payments.card.scene import (
    SHOWS_UP,
    VISA,
    ask,
    balances,
    charge,
    heard,
    notes,
    recover,
    seen,
    silence,
)
from tests.areas.payments.scene import kinds
from tests.ladder import Rung, climb, refused
from tests.stage import NOW, Party, Stage


class Case(NamedTuple):
    """A payment by a method, a verb on it, the call which that makes, and the state in the end."""

    method: str
    more: dict[str, Any]
    verb: str
    call: type[Call]
    state: str


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await stage.open_account()


def saying(**said: Any) -> Callable[[Call], Awaitable[Verdict]]:
    """A processor that says the same of everything."""

    async def say(call: Call) -> Verdict:
        return Verdict(**{"reference": call.key, "processor": "test", **said})

    return say


async def absent(_: Call) -> Heard:
    return Heard.ABSENT


async def do(stage: Stage, party: Party, payment: dict[str, Any], verb: str, **body: Any) -> Any:
    """Confirm, capture or cancel, and what is answered."""
    return await stage.done(f"POST /payments/{payment['id']}/{verb}", party.key, **body)


# Confirmed


async def test_a_cardholder_who_has_authenticated_has_paid(stage: Stage, merchant: Party) -> None:
    asked = await charge(stage, merchant, SHOWS_UP)
    done = await do(stage, merchant, asked, "confirm")
    assert (done["status"], done["next_action"], done["net"]) == ("succeeded", None, "96.80")
    assert done["client_secret"] is None
    assert await balances(stage, merchant.wallet) == {"pending": 9_680}
    assert await kinds(stage, merchant, asked) == [
        "payment.created",
        "payment.requires_action",
        "payment.processing",
        "payment.succeeded",
    ]


async def test_one_that_is_to_be_captured_later_is_set_aside(stage: Stage, merchant: Party) -> None:
    asked = await charge(stage, merchant, SHOWS_UP, capture=False)
    held = await do(stage, merchant, asked, "confirm")
    assert (held["status"], held["captured"]) == ("requires_capture", False)
    done = await do(stage, merchant, asked, "capture", amount="40.00")
    assert (done["status"], done["amount_captured"], done["net"]) == (
        *("succeeded", "40.00"),
        "38.54",
    )


async def test_a_browser_confirms_with_a_public_key_and_the_secret_and_sees_no_more_than_a_payer(
    stage: Stage, merchant: Party
) -> None:
    public = await stage.make_key(merchant, "public")
    asked = await charge(stage, merchant, SHOWS_UP, metadata={"inner": "1"})
    route, body = f"POST /payments/{asked['id']}/confirm", {"client_secret": asked["client_secret"]}
    await refused(stage, route, public, {}, 403, "key_type_not_allowed", "client_secret")
    await refused(stage, route, public, {"client_secret": "x"}, 404, "resource_missing")
    reply, again = [await stage.ask(route, public, body, Idempotency_Key="k") for _ in range(2)]
    assert (reply.status, again.status, again.body) == (200, 200, reply.body)
    assert reply.json.keys() == set(PublicPayment.__struct_fields__) | {"object"}
    assert reply.json["status"] == "succeeded"
    slow = await charge(stage, merchant, SHOWS_UP)
    body = {"client_secret": slow["client_secret"]}
    with heard(stage, silence, Confirm):
        reply = await stage.ask(f"POST /payments/{slow['id']}/confirm", public, body)
    assert (reply.status, reply.json["status"]) == (200, "processing")
    assert reply.json.keys() == set(PublicPayment.__struct_fields__) | {"object"}


async def test_the_guards_of_a_confirmation_come_in_their_order(
    stage: Stage, merchant: Party
) -> None:
    asked = await charge(stage, merchant, SHOWS_UP)
    secret = {"client_secret": asked["client_secret"]}
    stranger = await stage.open_account()
    route = f"POST /payments/{asked['id']}/confirm"
    for key in (stranger.key, await stage.make_key(stranger, "public")):
        await climb(
            stage,
            route,
            key,
            Rung({"client_secret": "x"}, 404, "resource_missing", "id"),
            Rung(secret, 403, "key_type_not_allowed", None, "its own account"),
        )
    await climb(
        stage,
        route,
        merchant.key,
        Rung(
            {"payment_method": {"type": "ssusd"}},
            *(400, "parameter_invalid", "payment_method"),
        ),
    )


async def test_a_cardholder_who_has_not_authenticated_is_waited_for_again(
    stage: Stage, merchant: Party
) -> None:
    with heard(stage, saying(status="requires_action", handle="pi_secret"), Charge, Confirm):
        asked = await charge(stage, merchant)
        waits = {"type": "use_processor", "processor_client_secret": "pi_secret"}
        assert (asked["status"], asked["next_action"]) == ("requires_action", waits)
        again = await do(stage, merchant, asked, "confirm")
    assert (again["status"], again["next_action"]) == ("requires_action", waits)


async def test_a_card_that_is_declined_after_all_has_failed(stage: Stage, merchant: Party) -> None:
    asked = await charge(stage, merchant, SHOWS_UP)
    declined = saying(status="declined", code="authentication_required")
    with heard(stage, declined, Confirm):
        reply = await stage.ask(f"POST /payments/{asked['id']}/confirm", merchant.key, {})
    assert (reply.status, reply.error["code"]) == (402, "authentication_required")
    assert reply.error["payment"] == asked["id"]
    found = await seen(stage, merchant, asked["id"])
    assert (found["status"], found["failure_code"]) == ("failed", "authentication_required")
    assert found["next_action"] is None


# Captured and released


async def test_what_is_set_aside_is_taken_and_the_rest_released(
    stage: Stage, merchant: Party
) -> None:
    held = await charge(stage, merchant, capture=False)
    done = await do(stage, merchant, held, "capture", amount="40.00")
    shown = ("succeeded", "40.00", "38.54", True)
    assert (done["status"], done["amount_captured"], done["net"], done["captured"]) == shown
    assert await balances(stage, merchant.wallet) == {"pending": 3_854}
    assert await kinds(stage, merchant, held) == [
        "payment.created",
        "payment.requires_capture",
        "payment.processing",
        "payment.captured",
        "payment.succeeded",
    ]


async def test_what_is_canceled_costs_nothing(stage: Stage, merchant: Party) -> None:
    for method, capture in ((VISA, False), (SHOWS_UP, True)):
        made = await charge(stage, merchant, method, capture=capture)
        done = await do(stage, merchant, made, "cancel")
        assert (done["status"], done["next_action"]) == ("canceled", None)
        assert (await kinds(stage, merchant, made))[-2:] == [
            "payment.processing",
            "payment.canceled",
        ]
    assert await balances(stage, merchant.wallet) == {}


async def test_the_guards_of_a_capture_come_in_their_order(stage: Stage, merchant: Party) -> None:
    friend = await stage.open_account()
    held = await charge(stage, merchant, capture=False, recipient=friend.wallet)
    await stage.block(friend.wallet)
    await climb(
        stage,
        f"POST /payments/{held['id']}/capture",
        merchant.key,
        Rung({"amount": "100.01"}, 400, "amount_invalid", "amount", "set aside"),
        Rung({"amount": "0.49"}, 400, "amount_invalid", "amount", "0.50"),
        Rung({"amount": "0.50"}, 403, "sanctioned_party", "id"),
    )


@pytest.mark.parametrize(
    "case",
    [
        Case(VISA, {"capture": False}, "capture", Capture, "requires_capture"),
        Case(VISA, {"capture": False}, "cancel", Cancel, "requires_capture"),
        Case(SHOWS_UP, {}, "cancel", Cancel, "requires_action"),
    ],
)
async def test_a_refusal_leaves_it_where_it_was_and_it_can_be_tried_again(
    stage: Stage, merchant: Party, case: Case
) -> None:
    method, more, verb, call, state = case
    made = await charge(stage, merchant, method, **more)
    route = f"POST /payments/{made['id']}/{verb}"
    with heard(stage, saying(status="declined", code="card_declined"), call):
        reply = await stage.ask(route, merchant.key, {}, Idempotency_Key="no")
        assert (reply.status, reply.error["code"]) == (402, "card_declined")
        assert reply.error["payment"] == made["id"]
    found = await seen(stage, merchant, made["id"])
    for name in ("next_action", "processor_response", "failure_code", "unknown_since"):
        assert found[name] == made[name]
    assert found["status"] == state
    assert (await stage.ask(route, merchant.key, {}, Idempotency_Key="no")).body == reply.body
    await do(stage, merchant, made, verb)


@pytest.mark.parametrize(
    "case",
    [
        Case(VISA, {"capture": False}, "capture", Capture, "requires_capture"),
        Case(VISA, {"capture": False}, "cancel", Cancel, "requires_capture"),
        Case(SHOWS_UP, {}, "cancel", Cancel, "requires_action"),
        Case(SHOWS_UP, {}, "confirm", Confirm, "requires_action"),
    ],
)
async def test_what_was_never_done_is_found_out_and_leaves_it_where_it_was(
    stage: Stage, merchant: Party, case: Case
) -> None:
    method, more, verb, call, state = case
    made = await charge(stage, merchant, method, **more)
    with heard(stage, silence, call):
        slow = await do(stage, merchant, made, verb)
    assert (slow["status"], slow["unknown_since"]) == ("processing", NOW)
    for other in ("confirm", "capture", "cancel"):
        reply = await stage.ask(f"POST /payments/{made['id']}/{other}", merchant.key, {})
        assert (reply.status, reply.error["code"]) == (400, "state_invalid")
    await recover(stage)
    found = await seen(stage, merchant, made["id"])
    assert (found["status"], found["unknown_since"]) == (state, None)
    assert found["next_action"] == made["next_action"]
    await do(stage, merchant, made, verb)


@pytest.mark.parametrize(
    "case",
    [
        Case(VISA, {"capture": False}, "capture", Capture, "succeeded"),
        Case(VISA, {"capture": False}, "cancel", Cancel, "canceled"),
        Case(SHOWS_UP, {}, "confirm", Confirm, "succeeded"),
    ],
)
async def test_what_was_done_unheard_is_found_out_and_done_once(
    stage: Stage, merchant: Party, case: Case
) -> None:
    method, more, verb, call, state = case
    made = await charge(stage, merchant, method, **more)
    really = stage.app.engine.outside._ways[call]

    async def unheard(asked: Call) -> None:
        await really(asked)
        raise TimeoutError

    with heard(stage, unheard, call):
        slow = await do(stage, merchant, made, verb)
    assert slow["status"] == "processing"
    await recover(stage)
    await recover(stage)
    found = await seen(stage, merchant, made["id"])
    assert (found["status"], found["unknown_since"]) == (state, None)
    pending = {"pending": 9_680} if state == "succeeded" else {}
    assert await balances(stage, merchant.wallet) == pending


async def test_money_that_was_taken_although_its_release_was_asked_for_is_owed(
    stage: Stage, merchant: Party
) -> None:
    held = await charge(stage, merchant, capture=False)
    taken = saying(status="succeeded", amount=10_000, fee=320, processor="test")
    with heard(stage, taken, Cancel):
        done = await do(stage, merchant, held, "cancel")
    assert (done["status"], done["net"]) == ("succeeded", "96.80")
    lost = await charge(stage, merchant, capture=False)
    with heard(stage, saying(status="canceled"), Capture):
        done = await do(stage, merchant, lost, "capture")
    assert (done["status"], done["captured"]) == ("canceled", False)


# At once


async def test_of_two_confirmations_at_once_one_is_asked_for(stage: Stage, merchant: Party) -> None:
    asked = await charge(stage, merchant, SHOWS_UP)
    route = f"POST /payments/{asked['id']}/confirm"
    replies = await asyncio.gather(*(stage.ask(route, merchant.key, {}) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200, *[400] * 7]
    assert await balances(stage, merchant.wallet) == {"pending": 9_680}
    assert await notes(stage, merchant) == ["charge", "confirm"]


async def test_a_capture_and_a_release_at_once_are_one_of_them(
    stage: Stage, merchant: Party
) -> None:
    for _ in range(5):
        held = await charge(stage, merchant, capture=False)
        routes = [f"POST /payments/{held['id']}/{verb}" for verb in ("capture", "cancel")] * 3
        replies = await asyncio.gather(*(stage.ask(route, merchant.key, {}) for route in routes))
        assert sorted(reply.status for reply in replies) == [200, *[400] * 5]
        (won,) = [reply.json["status"] for reply in replies if reply.status == 200]
        assert (await seen(stage, merchant, held["id"]))["status"] == won
    await stage.audit()


async def test_a_recovery_is_asked_about_the_charge_that_it_is_of(
    stage: Stage, merchant: Party
) -> None:
    """A capture that nobody heard of is looked for by its own key, with what it was about."""
    held = await charge(stage, merchant, capture=False)
    finds: list[Find] = []

    async def look(find: Find) -> Heard:
        finds.append(find)
        return Heard.ABSENT

    with heard(stage, silence, Capture), heard(stage, look, Find):
        await do(stage, merchant, held, "capture", amount="40.00")
        await recover(stage)
    (find,) = finds
    assert (find.asked, find.amount, find.currency) == ("capture", 4_000, "usd")
    assert find.reference == held["processor_response"]["reference"]
    assert find.key != held["id"]


async def test_nobody_who_was_never_charged_is_charged_by_the_recovery(
    stage: Stage, merchant: Party
) -> None:
    with heard(stage, silence, Charge):
        reply = await ask(stage, merchant, idempotency_key="k")
    assert reply.json["status"] == "processing"
    await recover(stage)
    found = await seen(stage, merchant, reply.json["id"])
    assert (found["status"], found["failure_code"]) == ("failed", "processing_error")
    assert (await ask(stage, merchant, idempotency_key="k")).body == reply.body


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
