"""Making payments: money asked for, and taken where it is the account's own to give."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from commerce.areas.customers import customer as customers
from commerce.areas.customers.customer import Customer, Email
from commerce.areas.identity import account as accounts
from commerce.areas.identity.account import main_wallet
from commerce.areas.payments import charge, given, move, secret
from commerce.areas.payments.card import charging
from commerce.areas.payments.charge import Names, Parties
from commerce.areas.payments.given import Given, MethodGiven
from commerce.areas.payments.payment import NextAction, Payment, PaymentMethod
from commerce.areas.stablecoin import wallet
from commerce.books.payments import PROCESSING_FEE
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.ids import is_id
from commerce.kernel.money import Money
from commerce.ledger.directory import Address
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.outside.pending import Pending
from commerce.resource.parameter import Id, Metadata, Price, kept, priced
from commerce.resource.ref import Ref

ROWS_A_PAYMENT = 12
"""About as many rows a payment writes: itself, its transaction, three entries, two events."""
ROWS_A_SPLIT = 5
SPLITS_MAX = 50

Party = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Description = Annotated[str, msgspec.Meta(max_length=500)]
Label = Annotated[str, msgspec.Meta(max_length=64)]


class SplitGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recipient's part."""

    recipient: Party
    """The wallet to be paid, or the id of an account."""
    amount: Price
    """Its part of the amount, fees included."""
    type: Label | None = None
    """Your word for what it is, up to 64 characters."""


class CreatePayment(Params, frozen=True, kw_only=True):
    """A payment to make."""

    amount: Price
    """How much, more than the fees that come off it; by card at least 0.50."""
    currency: str
    """`ssusd`, or of a card a lower-case code of ISO 4217."""
    payment_method: Given = None
    """What to pay with: your main wallet by default, for `ssusd`; a card, a token of one, a saved
    method, a test method such as `pm_card_visa`, or, in live mode, the processor's own token."""
    recipient: Party | None = None
    """Who is to be paid: the address of a wallet or the id of an account, yourself by default."""
    splits: (
        Annotated[list[SplitGiven], msgspec.Meta(min_length=1, max_length=SPLITS_MAX)] | None
    ) = None
    """Several who are to be paid, up to 50, instead of one; their amounts sum to the amount."""
    customer: Ref[Customer] | None = None
    """The customer it is from: of a saved method, whose that is."""
    order: Id | None = None
    """The order that it pays: that moves on with it, in the same transaction."""
    invoice: Id | None = None
    """The invoice that it pays."""
    capture: bool = True
    """False sets the money aside, for you to capture or to release."""
    application_fee_amount: Price | None = None
    """Your share as the platform, when you act for a connected account by `X-Account-Id`."""
    description: Description | None = None
    """Your words for it, up to 500 characters; the payer reads them too."""
    statement_descriptor: Annotated[str, msgspec.Meta(max_length=22)] | None = None
    """What a statement of the payer is to call it, up to 22 characters."""
    receipt_email: Email | None = None
    """Where a receipt is to go to."""
    metadata: Metadata = {}
    """Pairs of your own."""


def _needs(needs: Needs, caller: Caller, params: CreatePayment) -> None:
    accounts.need_own(needs, caller)
    customers.need(needs, caller, params.customer)
    move.need(needs, caller, order=params.order, invoice=params.invoice)
    charge.need(needs, caller)
    method = params.payment_method
    given.need(needs, caller, method)
    chosen = method.wallet_address if isinstance(method, MethodGiven) else None
    wallet.need_own(needs, caller, chosen)
    if not params.capture:
        wallet.need_own_locked(needs, caller, chosen)
    if params.splits is None:
        wallet.need(needs, caller, _address(params.recipient or caller.account, caller))
    for split in params.splits or ():
        wallet.need(needs, caller, _address(split.recipient, caller))
    if params.application_fee_amount is not None and caller.key_account is not None:
        charge.need_payee(needs, caller, caller.key_account)


def _address(text: str, caller: Caller) -> str:
    """The address that a recipient names: its own, or the main wallet of an account."""
    return main_wallet(text, caller.livemode) if is_id(text, "acct") else text


def _weight(params: CreatePayment) -> int:
    return ROWS_A_PAYMENT + ROWS_A_SPLIT * len(params.splits or ())


async def example(example: Example) -> dict[str, object]:
    """Some ssUSD to another account."""
    await example.fund("100.00")
    return {
        "amount": "25.00",
        "currency": SSUSD,
        "recipient": example.other_wallet,
        "description": "Invoice 42",
    }


@operation(
    Payment,
    "POST /payments/create",
    alias="POST /payments",
    scope="payments:write",
    params=CreatePayment,
    needs=_needs,
    weight=_weight,
    secret=True,
    example=example,
)
def create(tx: Tx, params: CreatePayment) -> Payment | Pending:
    """Pay from a wallet of yours, ask somebody else to pay, or charge a card.

    In ssUSD the network's fee is 0.01 a payment, as much as a transfer costs. It comes off the
    amount when the money is taken, and is not returned on a refund. An external payment waits
    (`requires_action`) for whoever you hand its `client_secret`, which the answer holds this once.
    Limits count as for transfers, when the money is taken or set aside.

    A card is charged by a processor, whose fee comes off: 2.9 % and 0.30 in test mode. The money
    is `pending` in the recipients' wallets until `available_on`. One that is declined is kept as
    `failed`, and answers 402. One whose cardholder has to authenticate is `requires_action`. Where
    the processor does not answer in time it stays `processing`. No limits count: money comes in.
    """
    account = accounts.own(tx)
    card = given.by_card(params.payment_method, params.currency)
    amount = priced(params.amount, params.currency, param="amount")
    if card:
        return _by_card(tx, params, amount)
    method = given.wallet(params.payment_method)
    if params.customer is not None:
        customers.require(tx, params.customer)
    asked = _asked(tx, params, amount)
    payer = None
    if method.payer == "own":
        where = "payment_method.wallet_address"
        payer = wallet.own(tx, account, method.wallet_address, param=where)
    _require_more_than_fees(amount, asked.fee)
    shown = PaymentMethod(type="ssusd", payer="external" if payer is None else "own")
    payment = _payment(tx, params, amount, shown, asked)
    move.begin(tx, payment)
    if payer is not None:
        charge.take(tx, account, payment, payer, asked.paid, Names())
        tx.add(payment)
        return charge.charged(tx, payment, payer, asked.paid, account=account.id)
    charge.refuse_blocked(payment, asked.paid, Names())
    key = secret.make(tx, payment.id)
    payment = msgspec.structs.replace(payment, client_secret_hash=secret.hash_of(key))
    tx.add(payment)
    waits = NextAction(type="confirm_with_wallet")
    waiting = move.advance(tx, payment, "require_action", account=account.id, next_action=waits)
    return msgspec.structs.replace(waiting, client_secret=key)


def _by_card(tx: Tx, params: CreatePayment, amount: Money) -> Pending:
    """Charge a card. Its receipts are no spending, so no limit of the account's counts."""
    given.require_minimum(amount)
    chosen = given.card(tx, params.payment_method, params.customer)
    if params.customer is not None:
        customers.require(tx, params.customer)
    asked = _asked(tx, params, amount)
    _require_accounts(asked.paid, several=params.splits is not None)
    if asked.fee is not None and amount <= asked.fee:
        message = "The platform's share must be less than the amount."
        raise ApiError("amount_invalid", message, param="application_fee_amount")
    payment = msgspec.structs.replace(
        _payment(tx, params, amount, chosen.shown, asked),
        customer=chosen.customer,
        source=chosen.source,
    )
    move.begin(tx, payment)
    charge.refuse_blocked(payment, asked.paid, Names())
    return charging.charge(tx, payment)


def _require_accounts(paid: Parties, *, several: bool) -> None:
    """Refuse to owe money from a card to a wallet that is nobody's here.

    Raises `invalid_recipient`.
    """
    for at, recipient in enumerate(paid.recipients):
        if recipient.account is None:
            message = f"'{recipient.address}' is a wallet of no account here: it gets ssUSD alone."
            param = Names().of(at, several=several)
            raise ApiError("invalid_recipient", message, param=param)


class Asked(NamedTuple):
    """Who is to be paid, and how much of the amount each."""

    paid: Parties
    amounts: list[Money]
    fee: Money | None


def _asked(tx: Tx, params: CreatePayment, amount: Money) -> Asked:
    """Who is to be paid. Raises `parameter_invalid`, `invalid_recipient`, `amount_mismatch`."""
    if params.splits is not None and params.recipient is not None:
        message = "Send 'recipient' or 'splits', not both."
        raise ApiError("parameter_invalid", message, param="recipient")
    platform, fee = _platform(tx, params)
    if params.splits is None:
        named = params.recipient or tx.caller.account
        return Asked(Parties([_recipient(tx, named, "recipient")], platform), [amount], fee)
    recipients, amounts = [], []
    for at, split in enumerate(params.splits):
        name = f"splits[{at}]"
        recipients.append(_recipient(tx, split.recipient, f"{name}.recipient"))
        amounts.append(priced(split.amount, params.currency, param=f"{name}.amount"))
    total = sum(each.minor for each in amounts)
    if total != amount.minor:
        text = Money(total, amount.currency).text
        message = f"The splits sum to {text}, which is not the amount, {amount.text}."
        raise ApiError("amount_mismatch", message, param="splits")
    return Asked(Parties(recipients, platform), amounts, fee)


def _recipient(tx: Tx, text: str, param: str) -> Address:
    """Who is to be paid: a wallet, anybody's, or an account's main one."""
    if not is_id(text, "acct"):
        return wallet.any_of(tx, text, param=param)
    address = tx.address(main_wallet(text, tx.caller.livemode))
    if address.account != text:
        raise ApiError("invalid_recipient", f"There is no account '{text}'.", param=param)
    return address


def _platform(tx: Tx, params: CreatePayment) -> tuple[Address | None, Money | None]:
    """The platform's wallet and its share. Raises `parameter_invalid` for whoever is none."""
    if params.application_fee_amount is None:
        return None, None
    param = "application_fee_amount"
    platform = tx.caller.key_account
    if platform is None:
        message = f"'{param}' is for a platform that acts for a connected account."
        raise ApiError("parameter_invalid", message, param=param)
    fee = priced(params.application_fee_amount, params.currency, param=param)
    return tx.address(main_wallet(platform, tx.caller.livemode)), fee


def _require_more_than_fees(amount: Money, fee: Money | None) -> None:
    """Refuse an amount of which the fees leave nothing. Raises `amount_invalid`."""
    off = PROCESSING_FEE if fee is None else PROCESSING_FEE + fee
    if amount <= off:
        message = f"The fees of {off.text} ssUSD come off the amount, so it must be more."
        param = "amount" if fee is None or amount <= PROCESSING_FEE else "application_fee_amount"
        raise ApiError("amount_invalid", message, param=param)


def _payment(
    tx: Tx, params: CreatePayment, amount: Money, method: PaymentMethod, asked: Asked
) -> Payment:
    """The payment before anything has happened to it."""
    nothing = Money(0, amount.currency)
    recipients, platform = asked.paid
    splits = None
    if params.splits is not None:
        splits = [
            charge.split_of(recipient, part, given.type)
            for recipient, part, given in zip(recipients, asked.amounts, params.splits, strict=True)
        ]
    return Payment(
        id=tx.new_id("pay"),
        livemode=tx.caller.livemode,
        created=tx.now,
        metadata=kept(params.metadata),
        amount=amount,
        amount_captured=nothing,
        amount_refunded=nothing,
        currency=amount.currency,
        status="processing",
        capture=params.capture,
        captured=False,
        payment_method=method,
        customer=params.customer,
        order_id=params.order,
        invoice=params.invoice,
        recipient=recipients[0].address if splits is None else None,
        splits=splits,
        application_fee_amount=asked.fee,
        application_fee_recipient=None if platform is None else platform.address,
        application_fee_refunded=None if platform is None else nothing,
        description=params.description,
        statement_descriptor=params.statement_descriptor,
        receipt_email=params.receipt_email or None,
    )
