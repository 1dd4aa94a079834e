"""Giving back: refunds are made, and those that wait for money are tried again."""

from __future__ import annotations

from typing import Any

import msgspec

from commerce.areas.identity import spending
from commerce.areas.payments import charge, due, move
from commerce.areas.payments.card import reversal
from commerce.areas.payments.payment import Payment
from commerce.areas.payments.refund import Reason, Refund, Source
from commerce.areas.stablecoin import transaction, wallet
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import payments
from commerce.books.payments import Side
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.jobs.queue import task
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.account import LedgerAccount
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.outside.pending import Pending
from commerce.resource.parameter import Metadata, Price, kept, priced
from commerce.resource.ref import Ref

RUN = "refund.run"
"""The job that tries a pending refund again."""
RETRY_SECONDS = 1
"""When it is tried again at first; a job that fails is put off longer each time."""


class CreateRefund(Params, frozen=True, kw_only=True):
    """What to give back."""

    payment: Ref[Payment]
    """The payment."""
    amount: Price | None = None
    """How much, all that is left by default."""
    reason: Reason | None = None
    """Why."""
    metadata: Metadata = {}
    """Pairs of your own."""


class RunRefund(msgspec.Struct, frozen=True):
    """A refund that waits for money."""

    id: str
    wallets: list[str]
    payment: str


def _needs(needs: Needs, caller: Caller, params: CreateRefund) -> None:
    key = (caller.account, caller.livemode, params.payment)
    needs.row(Payment.__noun__.table.key, key, lock=True)
    spending.need(needs, caller)
    # Who paid and who was paid is known once the payment is read: often the account itself.
    charge.need_payee(needs, caller, caller.account)


async def example(example: Example) -> dict[str, object]:
    """Some of a payment."""
    await example.fund("100.00")
    made = await example.call("POST /payments/create", amount="25.00", currency=SSUSD)
    return {"payment": made["id"], "amount": "10.00", "reason": "requested_by_customer"}


@operation(
    Refund,
    "POST /payments/refund",
    alias="POST /payments/{payment}/refund",
    scope="payments:write",
    params=CreateRefund,
    needs=_needs,
    example=example,
)
def refund(tx: Tx, params: CreateRefund) -> Refund | Pending:
    """Give back some or all of what was captured, to the wallet or the card that paid.

    Each recipient gives back its part, and the platform its part of its share; the network's fee is
    not returned. From others' wallets nothing is taken: only those of accounts connected to yours
    give, and your main wallet gives what went to anybody else. What you paid to a stranger from a
    wallet of yours is theirs to send back.

    To a card, each wallet gives of what is pending of this payment first, then of what is
    available. The processor is asked; one that it refuses is kept as `failed`, and answers 402.
    """
    payment = tx.lock(Payment, params.payment, param="payment")
    amount = _amount(payment, params)
    by_card = payment.payment_method.type == "card"
    if by_card:
        reversal.refuse_disputed(tx, payment)
    address = payment.payment_method.wallet_address
    recipient = None if address is None else tx.address(address)
    parts = due.parts(payment, amount.minor)
    givers = due.givers(tx, payment, recipient, account=tx.caller.account)
    for each in givers if recipient is None else (recipient, *givers):
        wallet.refuse_blocked(each, param="payment")
    spending.use(tx, amount, address, to="payment")
    sources = [
        Source(wallet=giver.address, amount=Money(part, amount.currency).text)
        for giver, part in zip(givers, parts, strict=True)
        if part
    ]
    made = Refund(
        id=tx.new_id("re"),
        livemode=payment.livemode,
        created=tx.now,
        metadata=kept(params.metadata),
        payment=payment.ref,
        amount=amount,
        currency=amount.currency,
        reason=params.reason,
        status="pending",
        recipient=address,
        sources=sources,
        parts=parts if by_card else None,
    )
    if by_card:
        return _to_card(tx, payment, made)
    if _short(tx, made) is None:
        fields = _give(tx, made)
        made = msgspec.structs.replace(made, status="succeeded", **fields)
    else:
        _wait(tx, made)
    counted = due.counted(payment, made.id, made.amount, parts)
    move.refund(tx, payment, account=tx.caller.account, **counted)
    return tx.add(made)


def _to_card(tx: Tx, payment: Payment, made: Refund) -> Refund | Pending:
    """Give back to a card, or wait for money to do so."""
    assert made.parts is not None
    counted = due.counted(payment, made.id, made.amount, made.parts)
    drawn = reversal.draw(tx, payment, made)
    if drawn is None:
        tx.change(payment, event="payment.refunded", **counted)
        _wait(tx, made)
        return tx.add(made)
    tx.change(payment, event="payment.refunded", unsettled=drawn.rest, **counted)
    made = tx.add(msgspec.structs.replace(made, **drawn.fields))
    call, inquiry = reversal.call(tx, payment, made)
    return Pending(made, call, inquiry, reversal.settle)


def _wait(tx: Tx, made: Refund) -> None:
    """Have a refund tried again, for which there is too little money."""
    wallets = [each.wallet for each in made.sources]
    if made.recipient is not None:
        wallets.insert(0, made.recipient)
    job = RunRefund(made.id, wallets, made.payment)
    tx.defer(RUN, made.id, msgspec.json.encode(job), at=tx.now + RETRY_SECONDS)


def _amount(payment: Payment, params: CreateRefund) -> Money:
    """How much is to be given back. Raises `state_invalid`, `amount_invalid`."""
    if not payment.captured:
        message = f"This payment is '{payment.status}'; it can be refunded once it is 'succeeded'."
        raise ApiError("state_invalid", message, param="payment")
    left = Money(payment.refundable, payment.currency)
    if not left.minor:
        message = "This payment is 'succeeded' and has been refunded whole; nothing is left of it."
        raise ApiError("state_invalid", message, param="payment")
    if params.amount is None:
        return left
    amount = priced(params.amount, payment.currency, param="amount")
    if left < amount:
        message = f"{amount.text} is more than the {left.text} that is left of this payment."
        raise ApiError("amount_invalid", message, param="amount")
    return amount


def _short(tx: Tx, refund: Refund) -> str | None:
    """A wallet that has too little for its part of a refund; None where all have enough."""
    assert refund.recipient is not None
    payee = wallet.available(tx.address(refund.recipient))
    asked: dict[LedgerAccount, int] = {}
    for source in refund.sources:
        account = wallet.available(tx.address(source.wallet))
        asked[account] = asked.get(account, 0) + charge.minor(source.amount, refund.currency)
    lacking = (a for a, part in asked.items() if a != payee and tx.balance(a) < part)
    return next((account.code for account in lacking), None)


def _give(tx: Tx, refund: Refund) -> dict[str, Any]:
    """Move the money of a refund; gives its fields after it."""
    assert refund.recipient is not None
    payee = _side(tx, refund.recipient)
    made: list[TransactionSummary] = []
    sources: list[Source] = []
    for at, source in enumerate(refund.sources, 1):
        payer = _side(tx, source.wallet)
        if payer.account != payee.account:
            part = charge.minor(source.amount, refund.currency)
            name = f"refunded:{at}"
            booking = payments.refunded(refund.id, name, part, payer=payer, payee=payee)
            booked = tx.post(booking, account=payer.account.owner)
            transaction.tell_recipient(tx, booked, booking)
            made.append(summary(booked))
            source = msgspec.structs.replace(source, transaction=booked.id)  # noqa: PLW2901 - it
        sources.append(source)
    return {"transaction": made[0] if made else None, "sources": sources}


def _side(tx: Tx, address: str) -> Side:
    return Side(address, wallet.available(tx.address(address)))


def _need_run(needs: Needs, caller: Caller, params: RunRefund) -> None:
    key = (caller.account, caller.livemode, params.id)
    needs.row(Refund.__noun__.table.key, key, lock=True)
    key = (caller.account, caller.livemode, params.payment)
    needs.row(Payment.__noun__.table.key, key, lock=True)
    for address in params.wallets:
        wallet.need(needs, caller, address)


@task(RUN, params=RunRefund, needs=_need_run)
def run(tx: Tx, params: RunRefund) -> None:
    """Give back what waits for money.

    Raises `insufficient_funds` while there is too little, and `sanctioned_party` while an address
    is blocked, so that it is tried again.
    """
    refund = tx.lock(Refund, params.id)
    if refund.status != "pending":
        return
    for address in params.wallets:
        wallet.refuse_blocked(tx.address(address), param="payment")
    if refund.recipient is None:
        reversal.run(tx, refund)
        return
    short = _short(tx, refund)
    if short is not None:
        raise ApiError("insufficient_funds", f"{short} holds too little for {refund.id}.")
    tx.advance(refund, "succeed", event="refund.updated", **_give(tx, refund))
