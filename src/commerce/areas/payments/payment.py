"""Payments as objects: what was asked for, who pays, who is paid, and how far it has come."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from commerce.areas.customers.customer import Customer
from commerce.areas.payments.card.details import Card
from commerce.areas.stablecoin.chain.height import with_heights
from commerce.areas.stablecoin.transaction import TransactionSummary
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.resource.noun import COMPUTED, HEX, HIDDEN, Noun, Part, Time, noun
from commerce.resource.ref import Ref, Wallet, refers

State = Literal[
    "processing",
    "requires_action",
    "requires_capture",
    "succeeded",
    "failed",
    "canceled",
]


class PaymentMethod(Part, frozen=True, kw_only=True):
    """What a payment is paid with."""

    type: Literal["ssusd", "card"]
    """The kind of it."""
    payer: Literal["own", "external"] | None = None
    """`own` where a wallet of the account pays, `external` where somebody else is asked to; null
    for a card."""
    wallet_address: Wallet | None = None
    """The wallet that pays; null for a card, and until somebody has confirmed an external one."""
    id: Annotated[str | None, refers("payment_method")] = None
    """The saved payment method, if it is one."""
    card: Card | None = None
    """What is known of the card; null until the processor has told of its own token."""


class NextAction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a payment waits for."""

    type: Literal["confirm_with_wallet", "use_processor"]
    """`confirm_with_wallet`: the payer is to confirm it with a key of theirs and the
    `client_secret`. `use_processor`: the cardholder is to authenticate, in live mode by the
    processor's own library in the browser, and the payment is to be confirmed then."""
    processor_client_secret: str | None = None
    """What that library is given; absent in test mode."""


class ProcessorResponse(Part, frozen=True, kw_only=True):
    """What the processor says of a payment by card."""

    processor: str
    """Its name: `test` in test mode."""
    reference: str
    """Its own id of the charge."""
    status: str
    """How far the charge has come: `succeeded`, `requires_capture`, `requires_action`, `canceled`
    or `declined`."""


class Unsettled(msgspec.Struct, frozen=True):
    """What is pending of a payment in one wallet, in the smallest unit."""

    wallet: str
    """The wallet."""
    amount: int
    """How much is pending in it."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient's part of a payment; amounts are decimal strings in its currency."""

    recipient: str
    """The wallet that is paid."""
    amount: str
    """Its part of the amount, fees included."""
    type: str | None = None
    """Your word for what it is."""
    amount_captured: str | None = None
    """Its part of what was captured; null before."""
    net: str | None = None
    """What it got: its part, less the same part of the fees."""
    amount_refunded: str = "0.00"
    """Its part of what was given back, the application fee's apart."""
    transaction: Annotated[str | None, refers("stablecoin_transaction")] = None
    """The ledger transaction that paid it; null where it paid itself."""


class PaymentFees(Part, frozen=True, kw_only=True):
    """What came off the amount for its processing."""

    processing_fee: Money
    """The network's fee, or of a card its processor's; it is not returned on a refund."""


@noun(
    prefix="pay",
    rank=400,
    path="payments",
    scope="payments:read",
    filters=(
        *("status", "customer", "order", "invoice", "currency", "amount"),
        "payment_method_type",
    ),
)
class Payment(Noun, tag="payment", frozen=True, kw_only=True):
    """Money from a payer to an account, or on to others.

    The network's fee and the platform's come off the amount: `net` is what is left for whoever is
    paid. Of several recipients each bears a part of the fees like its part of the amount.
    """

    listed_at: ClassVar = "payments/list"
    emits: ClassVar = (
        *("payment.created", "payment.updated", "payment.captured", "payment.refunded"),
        "payment.settled",
    )
    complete: ClassVar = with_heights
    lifecycle: ClassVar = Lifecycle(
        "payment",
        """
        processing        succeed         succeeded
        processing        authorize       requires_capture
        processing        require_action  requires_action
        processing        fail            failed
        processing        release         canceled
        requires_action   confirm         processing
        requires_action   cancel          canceled
        requires_action   ask             processing
        requires_capture  capture         succeeded
        requires_capture  cancel          canceled
        requires_capture  ask             processing
        """,
    )

    amount: Money
    """How much is paid."""
    amount_captured: Money
    """How much of it was taken; 0.00 before that."""
    amount_refunded: Money
    """How much of that was given back, or is to be: pending refunds count too."""
    currency: str
    """The currency of all amounts."""
    status: State
    """How far it has come: `requires_action` waits for the payer, `requires_capture` for you, and
    `processing` for the processor of a card."""
    capture: bool
    """Whether the money is taken at once, as you asked. Otherwise it is set aside first."""
    captured: bool
    """Whether the money was taken."""
    payment_method: PaymentMethod
    """What it is paid with."""
    next_action: NextAction | None = None
    """What it waits for; null where it waits for nobody but you."""
    customer: Ref[Customer] | None = None
    """The customer it is from."""
    order_id: Annotated[str | None, refers("order")] = msgspec.field(default=None, name="order")
    """The order that it pays, which moves on with it."""
    invoice: str | None = None
    """The invoice that it pays."""
    recipient: Wallet | None = None
    """The wallet that is paid; null where the amount is split."""
    splits: list[Split] | None = None
    """Who is paid how much, where it is several."""
    application_fee_amount: Money | None = None
    """The platform's share of the amount; of a smaller capture, of that."""
    application_fee_recipient: Wallet | None = None
    """The platform's wallet, which gets its share."""
    application_fee_refunded: Money | None = None
    """The platform's share of what was given back."""
    fees: PaymentFees | None = None
    """What came off for the processing; null until the money was taken."""
    net: Money | None = None
    """What was captured, less the fee of processing and the platform's; null before."""
    available_on: Time | None = None
    """When money from a card is available to whoever is paid, which it is `pending` before; null
    for ssUSD, and until the money was taken."""
    transaction: TransactionSummary | None = None
    """The ledger transaction that paid the recipient, or the first of several by amount."""
    refunds: Annotated[list[str], refers("refund")] = []
    """The latest refunds, up to a hundred, newest last."""
    dispute: Annotated[str | None, refers("dispute")] = None
    """The dispute, where a cardholder takes it back."""
    description: str | None = None
    """Your words for it, which the payer reads too."""
    statement_descriptor: str | None = None
    """What a statement of the payer is to call it."""
    receipt_email: str | None = None
    """Where a receipt goes to."""
    receipt_url: str | None = None
    """A page that shows the receipt to whoever has its address; null until the money was taken."""
    client_secret: Annotated[str | None, COMPUTED] = None
    """With it the payer reads and confirms this payment: in the answer that made it, and null ever
    after; null for a payment that nobody else is to confirm."""
    failure_code: str | None = None
    """Why it failed: a code of the errors."""
    failure_message: str | None = None
    """Why it failed, in words."""
    decline_code: str | None = None
    """Why the card was declined, more exactly, if its bank has said so."""
    processor_response: ProcessorResponse | None = None
    """What the processor of a card says of it; null until it has said something."""
    unknown_since: Time | None = None
    """Since when the processor has not said what became of it; it is asked until it does."""
    client_secret_hash: Annotated[str | None, HIDDEN, HEX] = None
    source: Annotated[str | None, HIDDEN] = None
    """What the processor calls the card."""
    unsettled: Annotated[list[Unsettled] | None, HIDDEN] = None
    """What is pending of it, of each recipient and last of the platform; null once it is not."""

    @property
    def refundable(self) -> int:
        """How much may still be given back, in the smallest unit."""
        return self.amount_captured.minor - self.amount_refunded.minor


class PublicPayment(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="payment"):
    """A payment as its payer sees it, or whoever has its `client_secret`."""

    id: str
    """The payment's id."""
    livemode: bool
    """False in test mode."""
    created: Time
    """When it was made, Unix seconds."""
    amount: Money
    """How much is paid."""
    amount_captured: Money
    """How much of it was taken."""
    amount_refunded: Money
    """How much of that was given back, or is to be."""
    currency: str
    """The currency of all amounts."""
    status: State
    """How far it has come."""
    captured: bool
    """Whether the money was taken."""
    next_action: NextAction | None
    """What it waits for."""
    failure_code: str | None
    """Why it failed."""
    failure_message: str | None
    """Why it failed, in words."""
    recipient: str | None
    """The wallet that is paid; null where the amount is split."""
    description: str | None
    """The payee's words for it."""
    receipt_url: str | None
    """A page that shows the receipt; null until the money was taken."""


def public(payment: Payment) -> PublicPayment:
    """What a payer may see of a payment."""
    names = PublicPayment.__struct_fields__
    return PublicPayment(**{name: getattr(payment, name) for name in names})
