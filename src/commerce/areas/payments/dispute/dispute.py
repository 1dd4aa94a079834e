"""Disputes as objects: how much a cardholder takes back, and how far the matter has come."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from commerce.areas.payments.dispute.evidence import Evidence
from commerce.areas.payments.payment import Payment
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.resource.noun import Noun, Time, noun
from commerce.resource.ref import Ref, refers

Reason = Literal["fraudulent", "general"]
State = Literal["needs_response", "under_review", "won", "lost"]


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken from one wallet; amounts are decimal strings in the dispute's currency."""

    wallet: str
    """The wallet."""
    amount: str
    """How much of the dispute is its part."""
    unsettled: str
    """How much of that came out of what was `pending` of the payment."""
    available: str
    """How much came out of what was available. What neither had is the network's loss."""
    transaction: Annotated[str | None, refers("stablecoin_transaction")] = None
    """The ledger transaction that took it; null where the wallet had nothing."""


@noun(
    prefix="disp",
    rank=460,
    path="disputes",
    scope="payments:read",
    filters=("payment", "status", "reason", "currency", "amount", "evidence_due_by"),
)
class Dispute(Noun, tag="dispute", frozen=True, kw_only=True):
    """A payment by card that its cardholder takes back.

    The amount is withdrawn at once from whoever was paid, and comes back if the dispute is won.
    Answer with evidence before `evidence_due_by`, or the dispute is lost.
    """

    emits: ClassVar = ("dispute.created", "dispute.updated", "dispute.closed")
    lifecycle: ClassVar = Lifecycle(
        "dispute",
        """
        needs_response  submit  under_review
        needs_response  close   lost
        needs_response  expire  lost
        under_review    win     won
        under_review    lose    lost
        """,
    )

    amount: Money
    """How much is disputed."""
    currency: str
    """The payment's currency."""
    payment: Ref[Payment]
    """The payment."""
    reason: Reason
    """What the cardholder says."""
    status: State
    """Whether it waits for you (`needs_response`) or for the cardholder's bank; how it ended."""
    evidence: Evidence
    """What you have said to it."""
    evidence_due_by: Time
    """Until when you may answer."""
    submitted_at: Time | None = None
    """When your evidence was handed in."""
    closed_at: Time | None = None
    """When it was decided."""
    withdrawals: list[Withdrawal]
    """What was taken from whom."""
    covered: Money
    """What no wallet had, and the network has lost meanwhile."""
