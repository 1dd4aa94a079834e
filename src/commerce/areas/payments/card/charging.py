"""Charging: a payment by card is made, the processor is asked, and what it said is kept."""

from __future__ import annotations

from typing import Any

import msgspec

from commerce.areas.payments import secret
from commerce.areas.payments.card import outcome
from commerce.areas.payments.payment import Payment
from commerce.engine.outside.call import Heard
from commerce.engine.tx import Tx
from commerce.gateways.cards.port import Charge, Find, Verdict
from commerce.resource.outside.pending import Declined, Pending, finish

UNHEARD = "payment.processing"
"""The event by which is told that a processor has not said in time what became of a payment."""


def begin(tx: Tx, payment: Payment) -> tuple[Payment, Charge, Find]:
    """Keep a payment by card, which is `processing`; gives what is asked, and what asks again.

    Whoever makes a payment as a part of something greater finishes it by `settle`.
    """
    key = secret.make(tx, payment.id)
    kept = tx.add(msgspec.structs.replace(payment, client_secret_hash=secret.hash_of(key)))
    assert kept.source is not None
    whose: dict[str, Any] = {
        "account": tx.caller.account,
        "livemode": kept.livemode,
        "key": kept.id,
        "amount": kept.amount.minor,
        "currency": kept.currency,
    }
    call = Charge(
        source=kept.source,
        capture=kept.capture,
        descriptor=kept.statement_descriptor,
        **whose,
    )
    return kept, call, Find(asked="charge", since=tx.now, **whose)


def charge(tx: Tx, payment: Payment) -> Pending:
    """Keep a payment by card, and have the processor charge it."""
    return Pending(*begin(tx, payment), settle)


def with_secret(tx: Tx, payment: Payment) -> Payment:
    """A payment as it is answered to whoever made it, this once."""
    return msgspec.structs.replace(payment, client_secret=secret.make(tx, payment.id))


@finish("payment.charge", Payment, inquiry=Find, unheard=UNHEARD, shown=with_secret)
def settle(tx: Tx, payment: Payment, heard: Verdict | Heard) -> Payment | Declined:
    """What the processor said of a charge. One that it declines, or never saw, has failed."""
    return outcome.conclude(tx, payment, heard, otherwise="fail")
