"""Evidence: what a payee says to a dispute, under the names that Stripe gives it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from commerce.kernel.errors import ApiError

WORDS_MAX = 20_000
ALL_WORDS_MAX = 150_000
"""In characters, of all fields together."""

Words = Annotated[str, msgspec.Meta(max_length=WORDS_MAX)]


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shows that a payment was in order: texts, of up to 20,000 characters each."""

    access_activity_log: Words | None = None
    """When and from where the customer used what was bought."""
    billing_address: Words | None = None
    """The billing address that the customer gave."""
    cancellation_policy_disclosure: Words | None = None
    """How the customer was shown the policy on cancellations."""
    cancellation_rebuttal: Words | None = None
    """Why the subscription was not canceled."""
    customer_email_address: Words | None = None
    """The customer's email address."""
    customer_name: Words | None = None
    """The customer's name."""
    customer_purchase_ip: Words | None = None
    """The address on the internet that the customer bought from."""
    duplicate_charge_explanation: Words | None = None
    """Why this is no payment made twice."""
    duplicate_charge_id: Words | None = None
    """The payment that it is said to repeat."""
    product_description: Words | None = None
    """What was bought."""
    refund_policy_disclosure: Words | None = None
    """How the customer was shown the policy on refunds."""
    refund_refusal_explanation: Words | None = None
    """Why there is no right to a refund."""
    service_date: Words | None = None
    """When a service was rendered."""
    shipping_address: Words | None = None
    """Where it was sent to."""
    shipping_carrier: Words | None = None
    """Who carried it."""
    shipping_date: Words | None = None
    """When it was sent."""
    shipping_tracking_number: Words | None = None
    """What the carrier calls it."""
    uncategorized_text: Words | None = None
    """Whatever else there is to say. In test mode `winning_evidence` wins, `losing_evidence` \
loses."""


def together(before: Evidence, given: Evidence) -> Evidence:
    """What was said before, with what is said now in its place; an empty text takes one back.

    Raises `parameter_invalid` for more than 150,000 characters in all.
    """
    said = {
        name: text or None
        for name in Evidence.__struct_fields__
        if (text := getattr(given, name)) is not None
    }
    after = msgspec.structs.replace(before, **said)
    length = sum(len(getattr(after, name) or "") for name in Evidence.__struct_fields__)
    if length > ALL_WORDS_MAX:
        message = f"Evidence has at most {ALL_WORDS_MAX} characters in all; this has {length}."
        raise ApiError("parameter_invalid", message, param="evidence")
    return after
