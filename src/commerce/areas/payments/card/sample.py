"""The payment that every test account begins with: by card, succeeded, and settled already."""

from __future__ import annotations

from typing import Final

import msgspec

from commerce.areas.customers import customer as customers
from commerce.areas.identity.account import Account
from commerce.areas.payments import receipt
from commerce.areas.payments.card import details
from commerce.areas.payments.payment import (
    Payment,
    PaymentFees,
    PaymentMethod,
    ProcessorResponse,
)
from commerce.areas.stablecoin.transaction import summary
from commerce.books import cards, chart
from commerce.books.cards import Payee, Release
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.gateways.cards import sandbox, test_card
from commerce.gateways.cards.notebook import TEST_CALL, Note
from commerce.gateways.cards.port import Verdict
from commerce.kernel.money import Money
from commerce.resource.example import fixture, needing
from commerce.resource.ref import Ref

FIXTURE: Final = "pay_test_456"
"""The payment, by the name that examples on the web and in tests know it by."""
ORDER: Final = "ord_test_789"
"""The order that it pays."""
AMOUNT: Final = Money(10_000, "usd")
METHOD: Final = "pm_card_visa"
FEE: Final = Money(sandbox.fee(AMOUNT.minor, AMOUNT.currency), AMOUNT.currency)


def _need(needs: Needs) -> None:
    processor, currency = sandbox.Sandbox.name, AMOUNT.currency
    needs.balance(chart.processor_receivable(False, processor, currency))  # noqa: FBT003 - a mode
    needs.balance(chart.processor_expense(False, processor, currency))  # noqa: FBT003 - a mode
    needs.balance(chart.bank(False, processor, currency))  # noqa: FBT003 - a mode
    needs.balance(chart.fees_processing(False, currency))  # noqa: FBT003 - a mode


@fixture
@needing(_need)
def plant(tx: Tx, account: Account) -> None:
    """A customer's payment for an order, whose money is in the account's wallet."""
    payment = tx.add(_made(tx, account), account=account.id)
    wallet, livemode, currency = account.wallet, payment.livemode, AMOUNT.currency
    pending = chart.pending(account.id, livemode, wallet, currency)
    available = chart.available(account.id, livemode, wallet, currency)
    for new in (pending, available):
        tx.found(new)
    net, processor = AMOUNT - FEE, sandbox.Sandbox.name
    paid = cards.captured(
        payment.id,
        "paid",
        net.minor,
        account=account.id,
        processor=processor,
        payee=Payee(wallet, pending),
        fee=FEE.minor,
    )
    booked = tx.post(paid, account=account.id)
    settled = cards.settled(
        payment.id,
        livemode=livemode,
        currency=currency,
        processor=processor,
        arrived=net.minor,
        kept=FEE.minor,
    )
    tx.post(settled, account=account.id)
    release = Release(pending, available, net.minor)
    tx.post(cards.released(payment.id, "settled:1", release), account=account.id)
    tx.advance(
        payment,
        "succeed",
        account=account.id,
        amount_captured=AMOUNT,
        captured=True,
        fees=PaymentFees(processing_fee=FEE),
        net=net,
        transaction=summary(booked),
        available_on=tx.now,
        receipt_url=receipt.url(tx, payment, account.id),
        processor_response=_noted(tx, account),
    )


def _made(tx: Tx, account: Account) -> Payment:
    specimen = test_card.of_method(METHOD)
    assert specimen is not None
    card = details.of_specimen(tx, specimen, account=account.id)
    nothing = Money(0, AMOUNT.currency)
    return Payment(
        id=FIXTURE,
        livemode=False,
        created=tx.now,
        amount=AMOUNT,
        amount_captured=nothing,
        amount_refunded=nothing,
        currency=AMOUNT.currency,
        status="processing",
        capture=True,
        captured=False,
        payment_method=PaymentMethod(type="card", card=card),
        customer=Ref[customers.Customer](customers.FIXTURE),
        order_id=ORDER,
        recipient=account.wallet,
        source=METHOD,
    )


def _noted(tx: Tx, account: Account) -> ProcessorResponse:
    """Have the test processor know of it, so that it can be given back."""
    reference = f"ch_{FIXTURE}"
    verdict = Verdict(
        status="succeeded", reference=reference, amount=AMOUNT.minor, fee=FEE.minor, at_once=True
    )
    said = msgspec.json.encode(verdict).decode()
    note = Note(account.id, False, FIXTURE, "charge", said, tx.now)  # noqa: FBT003 - a mode
    tx.claim(TEST_CALL, tuple(note), fresh=True)
    return ProcessorResponse(
        processor=sandbox.Sandbox.name, reference=reference, status=verdict.status
    )
