"""Answering a dispute: evidence is gathered and handed in, or the dispute is given up."""

from __future__ import annotations

from typing import Any

import msgspec

from commerce.areas.payments import charge
from commerce.areas.payments.card.drawing import processor, purse, put_back
from commerce.areas.payments.dispute.dispute import Dispute
from commerce.areas.payments.dispute.evidence import Evidence, together
from commerce.areas.payments.dispute.opening import EXPIRE, ExpireDispute
from commerce.areas.payments.payment import Payment
from commerce.books import returns
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.jobs.queue import task
from commerce.kernel.errors import ApiError
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id, Metadata, changed

DECISIONS = {"winning_evidence": "win", "losing_evidence": "lose"}
"""What decides a dispute in test mode, as the whole of `uncategorized_text`."""


class OneDispute(Params, frozen=True, kw_only=True):
    """Which dispute."""

    id: Id
    """The dispute's id."""


class UpdateDispute(OneDispute, frozen=True, kw_only=True):
    """What you say to a dispute."""

    evidence: Evidence | None = None
    """What shows that the payment was in order. What you leave out stays; an empty text takes one
    back."""
    submit: bool | None = None
    """Whether to hand the evidence in, after which it cannot be changed: true where you send some,
    unless you say otherwise."""
    metadata: Metadata = {}
    """Pairs of your own."""


def _needs(needs: Needs, caller: Caller, params: OneDispute | ExpireDispute) -> None:
    key = (caller.account, caller.livemode, params.id)
    needs.row(Dispute.__noun__.table.key, key, lock=True)


async def _disputed(example: Example) -> str:
    """A payment that its cardholder disputes; gives the id of the dispute."""
    method = "pm_card_createDispute"
    made = await example.call(
        "POST /payments/create", amount="25.00", currency="usd", payment_method=method
    )
    page = await example.call("GET /disputes", payment=made["id"])
    return str(page["data"][0]["id"])


async def update_example(example: Example) -> dict[str, object]:
    """Evidence that is kept, and not handed in yet."""
    evidence = {"customer_name": "Jenny Rosen", "product_description": "A red shirt"}
    return {"id": await _disputed(example), "evidence": evidence, "submit": False}


async def close_example(example: Example) -> dict[str, object]:
    """A dispute that is in the right."""
    return {"id": await _disputed(example)}


@operation(
    Dispute,
    "POST /disputes/{id}",
    scope="payments:write",
    params=UpdateDispute,
    needs=_needs,
    example=update_example,
)
def update(tx: Tx, params: UpdateDispute) -> Dispute:
    """Say what there is to say to a dispute, and hand it in.

    What was handed in is decided by the cardholder's bank, which takes its time. In test mode
    `winning_evidence` as `uncategorized_text` wins at once, and `losing_evidence` loses; with
    anything else it stays under review.
    """
    dispute = tx.lock(Dispute, params.id)
    fields: dict[str, Any] = {"metadata": changed(dispute.metadata, params.metadata)}
    submit = params.evidence is not None if params.submit is None else params.submit
    if params.evidence is None and not submit:
        return tx.change(dispute, **fields)
    tx.require(dispute, "submit")
    evidence = together(dispute.evidence, params.evidence or Evidence())
    if not submit:
        return tx.change(dispute, evidence=evidence, **fields)
    if evidence == Evidence():
        message = "There is no evidence to hand in yet: send some."
        raise ApiError("parameter_missing", message, param="evidence")
    handed_in = tx.advance(
        dispute,
        "submit",
        event="dispute.updated",
        evidence=evidence,
        submitted_at=tx.now,
        **fields,
    )
    return _decided(tx, handed_in)


@operation(
    Dispute,
    "POST /disputes/{id}/close",
    scope="payments:write",
    params=OneDispute,
    needs=_needs,
    example=close_example,
)
def close(tx: Tx, params: OneDispute) -> Dispute:
    """Give a dispute up: it is lost, for good."""
    return _closed(tx, tx.lock(Dispute, params.id), "close")


@task(EXPIRE, params=ExpireDispute, needs=_needs)
def expire(tx: Tx, params: ExpireDispute) -> None:
    """Lose a dispute that nobody has answered in time."""
    dispute = tx.lock(Dispute, params.id)
    if dispute.status == "needs_response":
        _closed(tx, dispute, "expire")


def _decided(tx: Tx, dispute: Dispute) -> Dispute:
    """What test mode makes of evidence that was handed in."""
    verb = DECISIONS.get((dispute.evidence.uncategorized_text or "").strip())
    if dispute.livemode or verb is None:
        return dispute
    if verb == "win":
        _reinstate(tx, dispute)
    return _closed(tx, dispute, verb)


def _closed(tx: Tx, dispute: Dispute, verb: str) -> Dispute:
    return tx.advance(dispute, verb, event="dispute.closed", closed_at=tx.now)


def _reinstate(tx: Tx, dispute: Dispute) -> None:
    """Give everybody back what was withdrawn."""
    payment = tx.lock(Payment, dispute.payment)
    name, currency = processor(payment), dispute.currency
    before = payment.unsettled
    for at, each in enumerate(dispute.withdrawals, 1):
        pending, free = (charge.minor(text, currency) for text in (each.unsettled, each.available))
        if each.transaction is None:
            continue
        again, rest = put_back(payment, each.wallet, pending)
        payment = msgspec.structs.replace(payment, unsettled=rest)
        address = tx.address(each.wallet)
        booking = returns.given(
            dispute.id,
            f"reinstated:{at}",
            "dispute",
            processor=name,
            purse=purse(payment, address),
            pending=pending if again else 0,
            free=free if again else pending + free,
        )
        tx.post(booking, account=address.account)
    if dispute.covered.minor:
        lost = dispute.covered
        tx.post(returns.recovered(dispute.id, lost, livemode=dispute.livemode, processor=name))
    if payment.unsettled != before:
        tx.change(payment, event="payment.updated", unsettled=payment.unsettled)
