"""Refunds to cards: the money is taken back first, then the processor is asked, and may refuse."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from commerce.areas.payments import charge, due, move
from commerce.areas.payments.card import drawing
from commerce.areas.payments.card.drawing import Drawn, Part, Rest, processor, purse
from commerce.areas.payments.dispute.dispute import Dispute
from commerce.areas.payments.payment import Payment, ProcessorResponse
from commerce.areas.payments.refund import Refund
from commerce.areas.stablecoin.transaction import summary
from commerce.books import returns
from commerce.engine.outside.call import Heard
from commerce.engine.tx import Tx
from commerce.gateways.cards import port
from commerce.gateways.cards.port import Find, Verdict, why
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.outside.pending import Declined, ask_later, finish


class Taken(NamedTuple):
    """The money of a refund, taken from who gives it."""

    rest: Rest
    """What is pending of the payment after it."""
    fields: dict[str, Any]
    """The fields of the refund after it."""


def refuse_disputed(tx: Tx, payment: Payment) -> None:
    """Refuse to give back what a cardholder takes back already. Raises `state_invalid`."""
    if payment.dispute is None:
        return
    dispute = tx.get(Dispute, payment.dispute)
    if dispute.status == "won":
        return
    if dispute.status == "lost":
        message = f"The dispute {dispute.id} of this payment is 'lost': its cardholder has the"
        message += " money already, and a payment is refunded while it is not disputed, or 'won'."
    else:
        message = f"This payment is disputed ({dispute.id}, '{dispute.status}'); it can be refunded"
        message += " once the dispute is 'won'."
    raise ApiError("state_invalid", message, param="payment")


def left(tx: Tx, payment: Payment) -> int:
    """How much of a payment can still be given back: nothing of one that its cardholder took back.

    In the smallest unit.
    """
    lost = payment.dispute is not None and tx.get(Dispute, payment.dispute).status == "lost"
    return 0 if lost else payment.refundable


def draw(tx: Tx, payment: Payment, refund: Refund) -> Taken | None:
    """Take the money of a refund from who gives it; None, and nothing is taken, if it is short."""
    drawn, rest = _drawn(tx, payment, refund)
    if any(each.lacking for each in drawn):
        return None
    booked = []
    for at, each in enumerate(drawn, 1):
        booking = returns.taken(
            refund.id,
            f"refunded:{at}",
            "refund",
            processor=processor(payment),
            purse=purse(payment, each.wallet),
            pending=each.pending,
            free=each.free,
        )
        booked.append(tx.post(booking, account=each.wallet.account))
    sources = [
        msgspec.structs.replace(
            source, unsettled=Money(each.pending, refund.currency).text, transaction=made.id
        )
        for source, each, made in zip(refund.sources, drawn, booked, strict=True)
    ]
    return Taken(rest, {"sources": sources, "transaction": summary(booked[0])})


def _drawn(tx: Tx, payment: Payment, refund: Refund) -> tuple[list[Drawn], Rest]:
    parts = [
        Part(tx.address(each.wallet), charge.minor(each.amount, refund.currency))
        for each in refund.sources
    ]
    return drawing.draw(tx, payment, parts)


def call(tx: Tx, payment: Payment, refund: Refund) -> tuple[port.Refund, Find]:
    """What the processor is asked, and what asks it what became of that."""
    assert payment.processor_response is not None
    terms: dict[str, Any] = {
        "account": tx.caller.account,
        "livemode": refund.livemode,
        "key": refund.id,
        "reference": payment.processor_response.reference,
        "amount": refund.amount.minor,
        "currency": refund.currency,
    }
    return port.Refund(**terms), Find(asked="refund", since=tx.now, **terms)


def run(tx: Tx, refund: Refund) -> None:
    """Take the money of a refund that has waited for it, and have the processor asked.

    Raises `insufficient_funds` while there is too little, so that it is tried again.
    """
    payment = tx.lock(Payment, refund.payment)
    taken = draw(tx, payment, refund)
    if taken is None:
        raise ApiError("insufficient_funds", f"Too little is there for {refund.id}.")
    if payment.unsettled is not None:
        tx.change(payment, event="payment.updated", unsettled=taken.rest)
    changed = tx.change(refund, event="refund.updated", **taken.fields)
    _, inquiry = call(tx, payment, refund)
    ask_later(tx, changed, inquiry, settle)


@finish("refund.settle", Refund, inquiry=Find)
def settle(tx: Tx, refund: Refund, heard: Verdict | Heard) -> Refund | Declined:
    """What the processor said of a refund; the money of one that it refused is put back."""
    said = None
    if isinstance(heard, Verdict):
        said = ProcessorResponse(
            processor=heard.processor, reference=heard.reference, status=heard.status
        )
    refused = why(heard)
    payment = tx.lock(Payment, refund.payment)
    if refused is None:
        given = tx.advance(
            refund,
            "succeed",
            event="refund.updated",
            processor_response=said,
            unknown_since=None,
        )
        move.followed(tx, payment, "refund", tx.caller.account)
        return given
    _restore(tx, payment, refund)
    failed = tx.advance(
        refund,
        "fail",
        event="refund.updated",
        failure_code=refused.code,
        processor_response=said,
        unknown_since=None,
    )
    return Declined(failed, refused.code, refund=failed.id, **refused.details)


def _restore(tx: Tx, payment: Payment, refund: Refund) -> None:
    """Put the money of a refund back where it came from, and count it no more."""
    for at, source in enumerate(refund.sources, 1):
        taken = charge.minor(source.amount, refund.currency)
        pending = charge.minor(source.unsettled or "0", refund.currency)
        again, rest = drawing.put_back(payment, source.wallet, pending)
        payment = msgspec.structs.replace(payment, unsettled=rest)
        address = tx.address(source.wallet)
        booking = returns.given(
            refund.id,
            f"restored:{at}",
            "refund",
            processor=processor(payment),
            purse=purse(payment, address),
            pending=pending if again else 0,
            free=taken - pending if again else taken,
        )
        tx.post(booking, account=address.account)
    assert refund.parts is not None
    fields = due.uncounted(payment, refund.amount, refund.parts)
    tx.change(payment, event="payment.updated", unsettled=payment.unsettled, **fields)
