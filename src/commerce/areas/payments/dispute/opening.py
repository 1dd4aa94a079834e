"""Opening a dispute: what a cardholder takes back is withdrawn from whoever was paid."""

from __future__ import annotations

import msgspec

from commerce.areas.payments import due
from commerce.areas.payments.card.drawing import Drawn, Part, Rest, draw, processor, purse
from commerce.areas.payments.dispute.dispute import Dispute, Withdrawal
from commerce.areas.payments.dispute.evidence import Evidence
from commerce.areas.payments.payment import Payment
from commerce.books import returns
from commerce.engine.tx import Tx
from commerce.kernel.clock import DAY_SECONDS
from commerce.kernel.money import Money

EXPIRE = "dispute.expire"
"""The job that loses a dispute which nobody has answered."""
RESPONSE_DAYS = 14
"""How long there is to answer one."""


class ExpireDispute(msgspec.Struct, frozen=True):
    """A dispute whose time is over."""

    id: str


def open_(tx: Tx, payment: Payment, *, account: str) -> Payment:
    """Open a dispute on all that is left of an account's payment, which was captured.

    Gives the payment after it.
    """
    id_ = tx.new_id("disp")
    amount = Money(payment.refundable, payment.currency)
    parts = due.parts(payment, amount.minor)
    givers = due.givers(tx, payment, None, account=account)
    asked = [Part(*each) for each in zip(givers, parts, strict=True) if each[1]]
    drawn, rest = draw(tx, payment, asked)
    lacking = Money(sum(each.lacking for each in drawn), amount.currency)
    dispute = Dispute(
        id=id_,
        livemode=payment.livemode,
        created=tx.now,
        amount=amount,
        currency=amount.currency,
        payment=payment.ref,
        reason="fraudulent",
        status="needs_response",
        evidence=Evidence(),
        evidence_due_by=tx.now + RESPONSE_DAYS * DAY_SECONDS,
        withdrawals=[_withdrawn(tx, id_, payment, each, at) for at, each in enumerate(drawn, 1)],
        covered=lacking,
    )
    if lacking.minor:
        booking = returns.covered(
            id_, lacking, livemode=payment.livemode, processor=processor(payment)
        )
        tx.post(booking, account=account)
    tx.add(dispute, account=account)
    job = msgspec.json.encode(ExpireDispute(id_))
    tx.defer(EXPIRE, id_, job, at=dispute.evidence_due_by, account=account)
    return _marked(tx, payment, dispute, rest, account)


def _marked(tx: Tx, payment: Payment, dispute: Dispute, rest: Rest, account: str) -> Payment:
    return tx.change(
        payment, account=account, event="payment.updated", dispute=dispute.id, unsettled=rest
    )


def _withdrawn(tx: Tx, dispute: str, payment: Payment, drawn: Drawn, at: int) -> Withdrawal:
    """Take what there is of one wallet's part."""
    transaction = None
    if drawn.pending or drawn.free:
        booking = returns.taken(
            dispute,
            f"disputed:{at}",
            "dispute",
            processor=processor(payment),
            purse=purse(payment, drawn.wallet),
            pending=drawn.pending,
            free=drawn.free,
        )
        transaction = tx.post(booking, account=drawn.wallet.account).id
    amount = drawn.pending + drawn.free + drawn.lacking
    return Withdrawal(
        wallet=drawn.wallet.address,
        amount=Money(amount, payment.currency).text,
        unsettled=Money(drawn.pending, payment.currency).text,
        available=Money(drawn.free, payment.currency).text,
        transaction=transaction,
    )
