"""Money set aside: captured, or released where a payment is canceled."""

from __future__ import annotations

from commerce.areas.identity.account import main_wallet
from commerce.areas.payments import charge, move
from commerce.areas.payments.card import later
from commerce.areas.payments.charge import OF_MADE
from commerce.areas.payments.given import require_minimum
from commerce.areas.payments.payment import Payment
from commerce.areas.stablecoin import wallet
from commerce.books import chart, payments
from commerce.books.payments import Side
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.outside.pending import Pending
from commerce.resource.parameter import Id, Price, priced


class OnePayment(Params, frozen=True, kw_only=True):
    """Which payment."""

    id: Id
    """The payment's id."""


class CapturePayment(OnePayment, frozen=True, kw_only=True):
    """A payment whose money is set aside, and how much of it to take."""

    amount: Price | None = None
    """How much, all of it by default; the rest is the payer's again."""


def _needs(needs: Needs, caller: Caller, params: OnePayment) -> None:
    key = (caller.account, caller.livemode, params.id)
    needs.row(Payment.__noun__.table.key, key, lock=True)
    # Who pays and who is paid is known once the payment is read: often the account itself.
    own = main_wallet(caller.account, caller.livemode)
    wallet.need(needs, caller, own)
    needs.balance(chart.locked(caller.account, caller.livemode, own))
    needs.balance(chart.fees_processing(caller.livemode))


async def held_example(example: Example) -> dict[str, object]:
    """A payment whose money is set aside."""
    await example.fund("100.00")
    made = await example.call(
        "POST /payments/create", amount="25.00", currency=SSUSD, capture=False
    )
    return {"id": made["id"]}


async def capture_example(example: Example) -> dict[str, object]:
    """Less than was set aside."""
    return {**await held_example(example), "amount": "20.00"}


@operation(
    Payment,
    "POST /payments/{id}/capture",
    scope="payments:write",
    params=CapturePayment,
    needs=_needs,
    example=capture_example,
)
def capture(tx: Tx, params: CapturePayment) -> Payment | Pending:
    """Take money that was set aside, once: what is not taken is the payer's again.

    Splits and the platform's share are of what is taken as they were of all. Of a card the
    processor is asked: one that refuses answers 402, and the money stays set aside.
    """
    payment = tx.lock(Payment, params.id)
    tx.require(payment, "capture")
    amount = payment.amount
    if params.amount is not None:
        amount = priced(params.amount, payment.currency, param="amount")
    if payment.amount < amount:
        message = f"{amount.text} is more than the {payment.amount.text} that was set aside."
        raise ApiError("amount_invalid", message, param="amount")
    if payment.payment_method.type == "card":
        require_minimum(amount)
        charge.refuse_blocked(payment, charge.parties(tx, payment), OF_MADE)
        return later.capture(tx, payment, amount)
    if amount.minor <= charge.costs(payment, amount):
        off = Money(charge.costs(payment, amount), payment.currency)
        message = f"The fees of {off.text} come off what is captured, so it must be more."
        raise ApiError("amount_invalid", message, param="amount")
    address = payment.payment_method.wallet_address
    assert address is not None
    payer = tx.address(address)
    paid = charge.parties(tx, payment)
    wallet.refuse_blocked(payer, param="id")
    charge.refuse_blocked(payment, paid, OF_MADE)
    source = Side(payer.address, wallet.locked(payer))
    fields = charge.settle(tx, payment, amount, source, paid, account=tx.caller.account)
    _release(tx, payment, payment.amount - amount)
    account = tx.caller.account
    event = "payment.captured"
    taken = move.advance(tx, payment, "capture", account=account, event=event, **fields)
    return tx.change(taken, event="payment.succeeded")


@operation(
    Payment,
    "POST /payments/{id}/cancel",
    scope="payments:write",
    params=OnePayment,
    needs=_needs,
    example=held_example,
)
def cancel(tx: Tx, params: OnePayment) -> Payment | Pending:
    """Cancel a payment that nobody has confirmed, or whose money is only set aside.

    What was set aside is the payer's again. Of a card the processor is asked.
    """
    payment = tx.lock(Payment, params.id)
    tx.require(payment, "cancel")
    if payment.payment_method.type == "card":
        return later.cancel(tx, payment)
    if payment.status == "requires_capture":
        _release(tx, payment, payment.amount)
    return move.advance(tx, payment, "cancel", account=tx.caller.account, next_action=None)


def _release(tx: Tx, payment: Payment, amount: Money) -> None:
    """Give back what was set aside and is not taken."""
    address = payment.payment_method.wallet_address
    if amount.minor and address is not None:
        payer = tx.address(address)
        free, locked = wallet.available(payer), wallet.locked(payer)
        booking = payments.released(payment.id, amount.minor, free=free, locked=locked)
        tx.post(booking, account=payer.account)
