"""Taking money from cards: who is owed how much of what a processor has captured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from commerce.areas.payments import charge
from commerce.areas.payments.card import settling
from commerce.areas.payments.charge import Parties, Shares
from commerce.areas.payments.payment import Payment, Unsettled
from commerce.areas.stablecoin import wallet
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import cards, chart
from commerce.books.cards import Payee
from commerce.engine.tx import Tx
from commerce.gateways.cards.port import Verdict
from commerce.kernel.money import Money
from commerce.ledger.directory import Address


def take(tx: Tx, payment: Payment, verdict: Verdict, *, account: str) -> dict[str, Any]:
    """Owe everybody their share of what was captured; gives the fields of the payment after it.

    The fee is what the processor keeps. The money is pending until it is settled, which is at
    once where the processor says so.
    """
    paid = charge.parties(tx, payment)
    captured = Money(verdict.amount, payment.currency)
    shares = charge.shares_of(payment, captured, min(verdict.fee, captured.minor))
    _hold(tx, paid, verdict.processor, payment.currency)
    made = _book(tx, payment, verdict.processor, shares, paid, account=account)
    fields = charge.taken(tx, payment, captured, shares, made, account=account)
    unsettled = _unsettled(shares, paid)
    fields |= settling.begin(tx, payment, verdict, captured, shares.processing, unsettled)
    return fields


def _hold(tx: Tx, paid: Parties, processor: str, currency: str) -> None:
    """Lock what will change, at once."""
    livemode = tx.caller.livemode
    everybody = [*paid.recipients, *([] if paid.platform is None else [paid.platform])]
    tx.hold(
        [
            *(wallet.pending(each, currency) for each in everybody),
            chart.processor_receivable(livemode, processor, currency),
            chart.fees_processing(livemode, currency),
        ]
    )


def _book(  # noqa: PLR0913 - what is booked, of whom, for whom
    tx: Tx, payment: Payment, processor: str, shares: Shares, paid: Parties, *, account: str
) -> list[TransactionSummary | None]:
    """Book each recipient's part, and the platform's; None for a part that is nothing."""

    def post(name: str, amount: int, recipient: Address, fee: int = 0) -> TransactionSummary | None:
        if not amount + fee:
            return None
        payee = Payee(recipient.address, wallet.pending(recipient, payment.currency))
        booking = cards.captured(
            payment.id,
            name,
            amount,
            account=account,
            processor=processor,
            payee=payee,
            fee=fee,
        )
        return summary(tx.post(booking, account=account))

    made = []
    for at, (net, recipient) in enumerate(zip(shares.nets, paid.recipients, strict=True)):
        if at == shares.main:
            made.append(post("paid", net, recipient, shares.processing))
        else:
            made.append(post(f"paid:{at + 1}", net, recipient))
    if paid.platform is not None:
        post("application_fee", shares.platform, paid.platform)
    return made


def _unsettled(shares: Shares, paid: Parties) -> Sequence[Unsettled]:
    """What is pending of everybody's, in the order of the splits, and the platform's last."""
    parts = [
        Unsettled(recipient.address, net)
        for recipient, net in zip(paid.recipients, shares.nets, strict=True)
    ]
    if paid.platform is not None:
        parts.append(Unsettled(paid.platform.address, shares.platform))
    return parts
