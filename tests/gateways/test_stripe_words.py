"""What Stripe's own objects say here, in the states that its emulator never gets into."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from commerce.gateways.cards.port import Capture
from commerce.gateways.cards.stripe_gateway import Unsettled, _of_intent, _of_refund, _refusal, _why

KEY = "sk_live_emulated"
CALL = Capture(account="acct_1", livemode=True, key="k", reference="pi_1", amount=1, currency="usd")


def intent(status: str, **more: Any) -> stripe.PaymentIntent:
    """A payment intent as Stripe's library makes one of an answer."""
    fields = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": 1000,
        "latest_charge": None,
        "payment_method": None,
        "last_payment_error": None,
        "client_secret": "pi_1_secret",
    }
    return stripe.PaymentIntent.construct_from(fields | more, KEY)


def refund(status: str) -> stripe.Refund:
    """A refund, likewise."""
    fields = {"id": "re_1", "object": "refund", "status": status, "amount": 300, "currency": "usd"}
    return stripe.Refund.construct_from(fields, KEY)


def refused(body: dict[str, Any]) -> stripe.CardError:
    """A card that was refused, likewise."""
    made: Any = stripe.CardError
    error: stripe.CardError = made("no", "card", "expired_card", json_body=body)
    return error


def test_of_less_than_was_set_aside_no_more_counts_than_was_received() -> None:
    settled = {"object": "balance_transaction", "fee": 42, "available_on": 1_800_000_000}
    charge = {"id": "ch_1", "object": "charge", "balance_transaction": settled}
    said = _of_intent(intent("succeeded", amount_received=400, latest_charge=charge), "usd")
    assert (said.amount, said.fee, said.available_on) == (400, 42, 1_800_000_000)


def test_a_cardholder_who_is_waited_for_gets_the_handle_of_the_processors_own_library() -> None:
    assert _of_intent(intent("requires_action"), "usd").handle == "pi_1_secret"
    assert _of_intent(intent("requires_capture"), "usd").handle is None


def test_what_stripe_is_at_yet_is_no_verdict() -> None:
    with pytest.raises(Unsettled):
        _of_intent(intent("processing"), "usd")
    with pytest.raises(Unsettled):
        _of_refund(CALL, refund("requires_action"))


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_came_to_nothing_is_declined(status: str) -> None:
    said = _of_refund(CALL, refund(status))
    assert (said.status, said.reference, said.code) == ("declined", "re_1", "processing_error")


def test_a_refund_that_is_on_its_way_is_given() -> None:
    assert _of_refund(CALL, refund("pending")).amount == 300


@pytest.mark.parametrize(
    ("code", "decline_code", "said"),
    [
        ("card_declined", "lost_card", ("card_declined", "lost_card")),
        ("expired_card", None, ("expired_card", None)),
        ("payment_intent_authentication_failure", None, ("authentication_required", None)),
        ("testmode_charges_only", None, ("card_declined", "testmode_charges_only")),
    ],
)
def test_reasons_are_in_our_words(code: str, decline_code: str | None, said: object) -> None:
    problem = stripe.ErrorObject.construct_from({"code": code, "decline_code": decline_code}, KEY)
    assert _why(problem) == said


def test_a_card_that_was_refused_later_names_its_intent_if_stripe_does() -> None:
    body = {"error": {"code": "expired_card", "payment_intent": {"id": "pi_9"}}}
    assert _refusal(CALL, refused(body)).reference == "pi_9"
    assert _refusal(CALL, refused({"error": {}})).reference == "k"
