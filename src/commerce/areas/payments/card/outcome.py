"""Outcomes: what becomes of a payment by what its processor said."""

from __future__ import annotations

from typing import Any

import msgspec

from commerce.areas.payments import move
from commerce.areas.payments.card import details, taking
from commerce.areas.payments.dispute import opening
from commerce.areas.payments.payment import NextAction, Payment, ProcessorResponse
from commerce.engine.outside.call import Heard
from commerce.engine.tx import Tx
from commerce.gateways.cards.port import Verdict, Why, why
from commerce.kernel.errors import ERRORS
from commerce.resource.outside.pending import Declined

DECLINES = {
    "insufficient_funds": "The card has too little money for this.",
    "lost_card": "The card was reported lost.",
    "stolen_card": "The card was reported stolen.",
    "test_mode_live_card": "This is none of the test cards, and test mode takes no others.",
}
"""What some reasons mean, in words."""


def conclude(
    tx: Tx, payment: Payment, heard: Verdict | Heard, *, otherwise: str
) -> Payment | Declined:
    """Move a payment of the caller's, which is `processing`, to where its processor has it.

    What it pays for moves on with it. `otherwise` is the verb for what was refused, or never
    done: `fail`, or the one that puts the payment back to where it was. Either is `Declined`.
    """
    refusal = why(heard)
    fields = {"unknown_since": None, **_told(tx, payment, heard)}
    if refusal is not None:
        return _refused(tx, payment, refusal, otherwise, fields)
    assert isinstance(heard, Verdict)
    account = tx.caller.account
    if heard.status == "requires_action":
        waits = NextAction(type="use_processor", processor_client_secret=heard.handle)
        return move.advance(
            tx, payment, "require_action", account=account, next_action=waits, **fields
        )
    fields["next_action"] = None
    if heard.status == "requires_capture":
        return move.advance(tx, payment, "authorize", account=account, **fields)
    if heard.status == "canceled":
        return move.advance(tx, payment, "release", account=account, told="cancel", **fields)
    fields |= taking.take(tx, payment, heard, account=account)
    if payment.capture:
        taken = move.advance(tx, payment, "succeed", account=account, **fields)
        return opening.open_(tx, taken, account=account) if heard.disputed else taken
    taken = move.advance(
        *(tx, payment, "succeed"),
        account=account,
        told="capture",
        event="payment.captured",
        **fields,
    )
    taken = tx.change(taken, event="payment.succeeded")
    return opening.open_(tx, taken, account=account) if heard.disputed else taken


def _refused(tx: Tx, payment: Payment, refusal: Why, verb: str, fields: dict[str, Any]) -> Declined:
    """Nothing was taken: the payment fails, or stands where it stood."""
    account, code = tx.caller.account, refusal.code
    decline_code = refusal.details.get("decline_code")
    message = DECLINES.get(decline_code or "", ERRORS[code].meaning)
    if verb == "fail":
        after = move.advance(
            *(tx, payment, "fail"),
            account=account,
            next_action=None,
            failure_code=code,
            failure_message=message,
            decline_code=decline_code,
            **fields,
        )
    else:
        after = move.advance(tx, payment, verb, account=account, **fields)
    return Declined(after, code, message, payment=after.id, **refusal.details)


def _told(tx: Tx, payment: Payment, heard: Verdict | Heard) -> dict[str, Any]:
    """What a processor said of a charge, and of a card that it alone knew."""
    if isinstance(heard, Heard):
        return {}
    before = payment.processor_response
    if heard.status == "declined" and before is not None:
        # A refusal of something later has no charge of its own.
        return {}
    response = ProcessorResponse(
        processor=heard.processor, reference=heard.reference, status=heard.status
    )
    fields: dict[str, Any] = {"processor_response": response}
    method = payment.payment_method
    if heard.card is not None and method.card is None:
        card = details.of_facts(tx, heard.card)
        fields["payment_method"] = msgspec.structs.replace(method, card=card)
    return fields
