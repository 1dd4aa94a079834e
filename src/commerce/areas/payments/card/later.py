"""Later: what a processor is asked about a charge that it knows: to go on, to take, to release."""

from __future__ import annotations

from typing import Any

from commerce.areas.payments import move
from commerce.areas.payments.card import outcome
from commerce.areas.payments.card.charging import UNHEARD
from commerce.areas.payments.payment import Payment, PublicPayment, public
from commerce.engine.outside.call import Heard
from commerce.engine.tx import Tx
from commerce.gateways.cards.port import Asked, Cancel, Capture, Confirm, Find, Verdict
from commerce.kernel.money import Money
from commerce.resource.outside.pending import Declined, Pending, finish


def confirm(tx: Tx, payment: Payment) -> Pending:
    """Have the processor go on with a charge, whose cardholder says to have authenticated.

    With a public key no more is answered than a payer may see.
    """
    # What it waits for stays with it, in case that nobody has authenticated.
    kept = move.advance(tx, payment, "confirm", account=tx.caller.account)
    assert kept.source is not None
    asking = _asking(tx, kept, kept.amount)
    call = Confirm(source=kept.source, capture=kept.capture, **asking)
    verb = confirmed_in_public if tx.caller.public else confirmed
    return Pending(kept, call, _find(tx, "confirm", asking), verb)


def capture(tx: Tx, payment: Payment, amount: Money) -> Pending:
    """Have the processor take what was set aside, or less of it."""
    kept = tx.advance(payment, "ask")
    asking = _asking(tx, kept, amount)
    return Pending(kept, Capture(**asking), _find(tx, "capture", asking), captured)


def cancel(tx: Tx, payment: Payment) -> Pending:
    """Have the processor release what was set aside, or wait for the cardholder no more."""
    kept = tx.advance(payment, "ask")
    asking = _asking(tx, kept, kept.amount)
    whose = {name: asking[name] for name in ("account", "livemode", "key", "reference")}
    return Pending(kept, Cancel(**whose), _find(tx, "cancel", asking), canceled)


def _asking(tx: Tx, payment: Payment, amount: Money) -> dict[str, Any]:
    """What any of these calls says: whose, by which key, about which charge, and how much."""
    assert payment.processor_response is not None
    return {
        "account": tx.caller.account,
        "livemode": payment.livemode,
        # One that is refused may be asked again, as another call.
        "key": tx.new_id("call"),
        "reference": payment.processor_response.reference,
        "amount": amount.minor,
        "currency": amount.currency,
    }


def _find(tx: Tx, asked: Asked, asking: dict[str, Any]) -> Find:
    return Find(asked=asked, since=tx.now, **asking)


@finish("payment.confirm", Payment, inquiry=Find, unheard=UNHEARD)
def confirmed(tx: Tx, payment: Payment, heard: Verdict | Heard) -> Payment | Declined:
    """What the processor said of a cardholder who was to authenticate."""
    otherwise = "require_action" if heard is Heard.ABSENT else "fail"
    return outcome.conclude(tx, payment, heard, otherwise=otherwise)


def _seen_by_payer(_: Tx, payment: Payment) -> PublicPayment:
    return public(payment)


@finish("payment.confirm_in_public", Payment, inquiry=Find, unheard=UNHEARD, shown=_seen_by_payer)
def confirmed_in_public(tx: Tx, payment: Payment, heard: Verdict | Heard) -> Payment | Declined:
    """The same, answered to the payer."""
    return confirmed(tx, payment, heard)


@finish("payment.capture", Payment, inquiry=Find, unheard=UNHEARD)
def captured(tx: Tx, payment: Payment, heard: Verdict | Heard) -> Payment | Declined:
    """What the processor said of money that was set aside, and is to be taken."""
    return outcome.conclude(tx, payment, heard, otherwise="authorize")


@finish("payment.cancel", Payment, inquiry=Find, unheard=UNHEARD)
def canceled(tx: Tx, payment: Payment, heard: Verdict | Heard) -> Payment | Declined:
    """What the processor said of a charge that is to be released."""
    otherwise = "authorize" if payment.next_action is None else "require_action"
    return outcome.conclude(tx, payment, heard, otherwise=otherwise)
