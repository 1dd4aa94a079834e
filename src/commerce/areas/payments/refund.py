"""Refunds: what is given back of a payment, by whom, at once or when there is money again."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from commerce.areas.payments.payment import Payment, ProcessorResponse
from commerce.areas.stablecoin.chain.height import with_heights
from commerce.areas.stablecoin.transaction import TransactionSummary
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.resource.noun import HIDDEN, Noun, Time, noun
from commerce.resource.ref import Ref, Wallet, refers

Reason = Literal["duplicate", "fraudulent", "requested_by_customer"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One wallet that gives back, and how much."""

    wallet: str
    """The wallet."""
    amount: str
    """How much: a decimal string in the refund's currency."""
    unsettled: str | None = None
    """How much of it came out of what was `pending` of the payment; null for ssUSD, and until the
    money was taken."""
    transaction: Annotated[str | None, refers("stablecoin_transaction")] = None
    """The ledger transaction that gave it back; null while there is none, and for a wallet that
    paid itself."""


@noun(
    prefix="re",
    rank=410,
    path="refunds",
    scope="payments:read",
    filters=("payment", "status", "reason", "currency", "amount"),
)
class Refund(Noun, tag="refund", frozen=True, kw_only=True):
    """Some or all of a payment, given back to the wallet or the card that paid it.

    Where a wallet that is to give has too little, the whole refund is `pending` and is tried again
    and again, at first after seconds, later about once an hour. So is one to a card until its
    processor has said what became of it. It counts as given back meanwhile.
    """

    emits: ClassVar = ("refund.created", "refund.updated")
    complete: ClassVar = with_heights
    lifecycle: ClassVar = Lifecycle(
        "refund",
        """
        pending  succeed  succeeded
        pending  fail     failed
        """,
    )

    payment: Ref[Payment]
    """The payment that is given back."""
    amount: Money
    """How much."""
    currency: str
    """The payment's currency."""
    reason: Reason | None = None
    """Why, if you said so."""
    status: Literal["pending", "succeeded", "failed"]
    """Whether it has been given back, or waits for money or for the processor of a card. What a
    processor refused has `failed`, and is in the wallets again that gave."""
    recipient: Wallet | None = None
    """The wallet that gets it: the one that paid; null for a card."""
    sources: list[Source]
    """The wallets that give, and how much each."""
    transaction: TransactionSummary | None = None
    """The first ledger transaction by which it was given back; null while there is none, and where
    a wallet had paid itself."""
    failure_code: str | None = None
    """Why it failed: a code of the errors."""
    processor_response: ProcessorResponse | None = None
    """What the processor of a card says of it; null until it has said something."""
    unknown_since: Time | None = None
    """Since when the processor has not said what became of it; it is asked until it does."""
    parts: Annotated[list[int] | None, HIDDEN] = None
    """What each recipient, and last the platform, gives, in the smallest unit; for cards alone."""
