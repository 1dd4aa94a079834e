"""Settlement: what cards have paid becomes available, days after the processor has captured it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from commerce.areas.payments.payment import Payment, Unsettled
from commerce.areas.stablecoin import wallet
from commerce.areas.stablecoin.destination import estimated
from commerce.books import cards, chart
from commerce.books.cards import Release
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.gateways.cards.port import Verdict
from commerce.jobs.queue import task
from commerce.kernel.clock import day, parse_time
from commerce.kernel.money import Money

SETTLE = "payment.settle"
"""The job that makes available what is pending of a payment."""


class SettlePayment(msgspec.Struct, frozen=True):
    """A payment whose money is pending, and what its settlement touches."""

    id: str
    currency: str
    processor: str
    wallets: list[str]


def begin(  # noqa: PLR0913, PLR0917 - what is to be settled, and how much of it
    tx: Tx,
    payment: Payment,
    verdict: Verdict,
    captured: Money,
    kept: int,
    unsettled: Sequence[Unsettled],
) -> dict[str, Any]:
    """Settle at once what a processor says is there at once, and the rest when it will be.

    `kept` is what the processor keeps. Gives the fields of the payment after it.
    """
    if verdict.at_once or (verdict.available_on is None and not tx.means.settlement_days):
        _post(tx, payment, verdict.processor, captured.minor - kept, kept, unsettled)
        return {"available_on": tx.now, "unsettled": None}
    at = verdict.available_on or _available_on(tx)
    wallets = list(dict.fromkeys(each.wallet for each in unsettled))
    job = SettlePayment(payment.id, payment.currency, verdict.processor, wallets)
    tx.defer(SETTLE, payment.id, msgspec.json.encode(job), at=at)
    return {"available_on": at, "unsettled": list(unsettled)}


def _available_on(tx: Tx) -> int:
    """When what is captured now is available: at the beginning of a banking day, in UTC."""
    return parse_time(estimated(day(tx.now), tx.means.settlement_days), param="available_on")


def _need(needs: Needs, caller: Caller, params: SettlePayment) -> None:
    livemode, currency, processor = caller.livemode, params.currency, params.processor
    key = (caller.account, livemode, params.id)
    needs.row(Payment.__noun__.table.key, key, lock=True)
    for address in params.wallets:
        owner = needs.address(livemode, address)
        needs.balance(chart.pending(owner, livemode, address, currency))
        needs.balance(chart.available(owner, livemode, address, currency))
    needs.balance(chart.processor_receivable(livemode, processor, currency))
    needs.balance(chart.processor_expense(livemode, processor, currency))
    needs.balance(chart.bank(livemode, processor, currency))


@task(SETTLE, params=SettlePayment, needs=_need)
def settle(tx: Tx, params: SettlePayment) -> None:
    """Make available what is pending of a payment; what was given back of it meanwhile is not."""
    payment = tx.lock(Payment, params.id)
    if payment.unsettled is None:
        return
    assert payment.fees is not None
    kept = payment.fees.processing_fee.minor
    arrived = payment.amount_captured.minor - kept
    _post(tx, payment, params.processor, arrived, kept, payment.unsettled)
    tx.change(payment, event="payment.settled", unsettled=None)


def _post(  # noqa: PLR0913, PLR0917 - what is settled
    tx: Tx,
    payment: Payment,
    processor: str,
    arrived: int,
    kept: int,
    unsettled: Sequence[Unsettled],
) -> None:
    currency = payment.currency
    booking = cards.settled(
        payment.id,
        livemode=payment.livemode,
        currency=currency,
        processor=processor,
        arrived=arrived,
        kept=kept,
    )
    tx.post(booking)
    for at, each in enumerate(unsettled, 1):
        if each.amount:
            to = tx.address(each.wallet)
            pending, free = wallet.pending(to, currency), wallet.available(to, currency)
            release = Release(pending, free, each.amount)
            tx.post(cards.released(payment.id, f"settled:{at}", release), account=to.account)
