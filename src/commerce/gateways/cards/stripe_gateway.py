"""Stripe, by its own library: what our calls are there, and what its answers say here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Self

import msgspec
import stripe
import structlog

from commerce.engine.outside.call import Heard
from commerce.gateways.cards.port import (
    Attach,
    Cancel,
    Capture,
    CardFacts,
    Charge,
    Confirm,
    Find,
    Refund,
    Status,
    Verdict,
)

if TYPE_CHECKING:
    from commerce.engine.outside.call import Call

TIMEOUT_SECONDS = 20
"""For one request of a call; the call as a whole is bounded by whoever makes it."""
OUR_KEY, FENCE = "commerce_key", "commerce_fence"
"""Metadata by which an object is known as ours, and as one that only takes a key's place."""
EARLIER_SECONDS = 300
"""How far Stripe's clock may be behind ours."""
PAGE = 100
_BETWEEN = "/"
"""Between Stripe's customer and its payment method, where a card is kept."""
_WHOLE = ["payment_method", "latest_charge.balance_transaction"]
_HUNDREDFOLD = frozenset({"isk", "ugx"})
"""Currencies without a minor unit, of which Stripe counts hundredths all the same."""
_STATUS: dict[str, Status] = {
    "succeeded": "succeeded",
    "requires_capture": "requires_capture",
    "requires_action": "requires_action",
    "canceled": "canceled",
    "requires_payment_method": "declined",
}
_CODES = frozenset({"card_declined", "expired_card", "incorrect_cvc", "processing_error"})

log = structlog.get_logger("commerce.stripe")


class Unsettled(Exception):
    """Stripe is at it: nobody can say yet what becomes of it."""


class StripeGateway:
    """Takes cards by Stripe. What its library raises and is not caught here is no answer."""

    name = "stripe"

    def __init__(self, client: stripe.StripeClient, http_client: stripe.HTTPXClient) -> None:
        self._http_client = http_client
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._methods = client.v1.payment_methods
        self._customers = client.v1.customers

    @classmethod
    def to(cls, api_key: str, *, url: str | None = None) -> Self:
        """With a secret key of a Stripe account; `url` is where the API is, if it is elsewhere."""
        http_client = stripe.HTTPXClient(timeout=TIMEOUT_SECONDS, allow_sync_methods=False)
        elsewhere: Any = {} if url is None else {"base_addresses": {"api": url}}
        client = stripe.StripeClient(
            api_key, http_client=http_client, max_network_retries=1, **elsewhere
        )
        return cls(client, http_client)

    async def close(self) -> None:
        """Hang up."""
        await self._http_client.close_async()  # type: ignore[no-untyped-call]

    async def charge(self, call: Charge) -> Verdict:
        """Confirm a payment intent, to be captured at once or later."""
        customer, _, method = call.source.rpartition(_BETWEEN)
        params: dict[str, Any] = {
            "amount": _theirs(call.amount, call.currency),
            "currency": call.currency,
            "payment_method": method,
            "capture_method": "automatic" if call.capture else "manual",
            "confirm": True,
            "metadata": {OUR_KEY: call.key},
            "expand": _WHOLE,
        }
        if customer:
            params["customer"] = customer
        if call.descriptor is not None:
            params["statement_descriptor_suffix"] = call.descriptor
        try:
            intent = await self._intents.create_async(params, _once(call))  # type: ignore[arg-type]
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return _refusal(call, error)
        return _of_intent(intent, call.currency)

    async def confirm(self, call: Confirm) -> Verdict:
        """See how far a payment intent has come.

        Once the cardholder has authenticated, by Stripe's own library, it goes on by itself.
        """
        intent = await self._intents.retrieve_async(call.reference, {"expand": _WHOLE})
        return _of_intent(intent, call.currency)

    async def capture(self, call: Capture) -> Verdict:
        """Capture a payment intent."""
        amount = _theirs(call.amount, call.currency)
        try:
            intent = await self._intents.capture_async(
                call.reference, {"amount_to_capture": amount, "expand": _WHOLE}, _once(call)
            )
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return _refusal(call, error)
        verdict = _of_intent(intent, call.currency)
        return msgspec.structs.replace(verdict, amount=call.amount)

    async def cancel(self, call: Cancel) -> Verdict:
        """Cancel a payment intent."""
        try:
            intent = await self._intents.cancel_async(call.reference, None, _once(call))
        except stripe.InvalidRequestError as error:
            return _refusal(call, error)
        return Verdict(status=_STATUS[intent.status], reference=intent.id)

    async def refund(self, call: Refund) -> Verdict:
        """Refund some of a payment intent."""
        try:
            refund = await self._refunds.create_async(
                {
                    "payment_intent": call.reference,
                    "amount": _theirs(call.amount, call.currency),
                    "metadata": {OUR_KEY: call.key},
                },
                _once(call),
            )
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return _refusal(call, error)
        return _of_refund(call, refund)

    async def attach(self, call: Attach) -> Verdict:
        """Attach a payment method to a customer of its own, unless it is attached to one."""
        method = call.source.rpartition(_BETWEEN)[2]
        try:
            found = await self._methods.retrieve_async(method)
            customer = found.customer
            if customer is None:
                made = await self._customers.create_async(
                    {"metadata": {OUR_KEY: call.key}}, {"idempotency_key": f"{call.key}/customer"}
                )
                found = await self._methods.attach_async(
                    found.id, {"customer": made.id}, _once(call)
                )
                customer = made.id
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return _refusal(call, error)
        reference = f"{customer}{_BETWEEN}{found.id}"
        return Verdict(status="succeeded", reference=reference, card=_card(found))

    async def find(self, call: Find) -> Verdict | Heard:
        """Look a call up by our key; what is not secret is asked again under the same key.

        That is done once by Stripe, whether it has come before or not. A charge is not made again:
        where there is none, its key is used up, so that it is not taken should it come yet.
        """
        whose = {"account": call.account, "livemode": call.livemode, "key": call.key}
        reference, amount, currency = call.reference or "", call.amount or 0, call.currency or ""
        if call.asked == "charge":
            return await self._find_charge(call, amount, currency)
        if call.asked == "attach":
            return await self.attach(Attach(source=reference, **whose))  # type: ignore[arg-type]
        if call.asked == "refund":
            made = await self._find_refund(call)
            terms: dict[str, Any] = {"reference": reference, "amount": amount, **whose}
            return made or await self.refund(Refund(currency=currency, **terms))
        intent = await self._intents.retrieve_async(reference, {"expand": _WHOLE})
        if intent.status in ("succeeded", "canceled") or call.asked == "confirm":
            return _of_intent(intent, intent.currency)
        terms = {"reference": reference, **whose}
        if call.asked == "cancel":
            return await self.cancel(Cancel(**terms))
        return await self.capture(Capture(amount=amount, currency=currency, **terms))

    async def _find_charge(self, call: Find, amount: int, currency: str) -> Verdict | Heard:
        async for intent in self._since(call.since - EARLIER_SECONDS):
            ours = _marks(intent)
            if ours.get(OUR_KEY) != call.key:
                continue
            if FENCE in ours:
                return Heard.ABSENT
            whole = await self._intents.retrieve_async(intent.id, {"expand": _WHOLE})
            return _of_intent(whole, whole.currency)
        fence = await self._intents.create_async(
            {
                "amount": _theirs(amount, currency),
                "currency": currency,
                "metadata": {OUR_KEY: call.key, FENCE: "1"},
            },
            _once(call),
        )
        await self._intents.cancel_async(fence.id)
        return Heard.ABSENT

    async def _since(self, moment: int) -> AsyncIterator[stripe.PaymentIntent]:
        """Payment intents that were made since then, newest first."""
        page = await self._intents.list_async({"limit": PAGE})
        async for intent in page.auto_paging_iter():
            if intent.created < moment:
                return
            yield intent

    async def _find_refund(self, call: Find) -> Verdict | None:
        page = await self._refunds.list_async({"payment_intent": call.reference or ""})
        async for refund in page.auto_paging_iter():
            if _marks(refund).get(OUR_KEY) == call.key:
                return _of_refund(call, refund)
        return None


def _marks(thing: stripe.PaymentIntent | stripe.Refund) -> dict[str, str]:
    """What was written on something."""
    metadata: Any = thing.metadata
    marks: dict[str, str] = {} if metadata is None else metadata.to_dict()
    return marks


def _once(call: Call) -> stripe.RequestOptions:
    return {"idempotency_key": call.key}


def _theirs(amount: int, currency: str) -> int:
    return amount * 100 if currency in _HUNDREDFOLD else amount


def _ours(amount: int, currency: str) -> int:
    return amount // 100 if currency in _HUNDREDFOLD else amount


def _of_intent(intent: stripe.PaymentIntent, currency: str) -> Verdict:
    """What an intent says. Raises `Unsettled`."""
    status = _STATUS.get(intent.status)
    if status is None:
        raise Unsettled(intent.status)
    problem = intent.last_payment_error if status == "declined" else None
    code, decline_code = _why(problem) if status == "declined" else (None, None)
    charge: Any = intent.latest_charge
    settled = getattr(charge, "balance_transaction", None)
    amount = intent.amount
    if status == "succeeded":
        # Less than was set aside may have been captured.
        amount = getattr(intent, "amount_received", amount)
    return Verdict(
        status=status,
        reference=intent.id,
        amount=0 if status in ("declined", "canceled") else _ours(amount, currency),
        fee=_ours(getattr(settled, "fee", 0) or 0, currency),
        card=_card(intent.payment_method),
        code=code,
        decline_code=decline_code,
        available_on=getattr(settled, "available_on", None),
        handle=intent.client_secret if status == "requires_action" else None,
    )


def _of_refund(call: Call, refund: stripe.Refund) -> Verdict:
    """What a refund says. Raises `Unsettled`."""
    if refund.status in ("failed", "canceled"):
        return Verdict(status="declined", reference=refund.id, code="processing_error")
    if refund.status not in ("succeeded", "pending"):
        raise Unsettled(call.key)
    amount = _ours(refund.amount, refund.currency)
    return Verdict(status="succeeded", reference=refund.id, amount=amount)


def _refusal(call: Call, error: stripe.CardError | stripe.InvalidRequestError) -> Verdict:
    """What was refused: a card, or a request that Stripe did not understand, and did nothing of."""
    if isinstance(error, stripe.InvalidRequestError):
        log.warning("stripe_refused", key=call.key, code=error.code, param=error.param)
        return Verdict(status="declined", reference=call.key, code="processing_error")
    code, decline_code = _why(error.error)
    intent = getattr(error.error, "payment_intent", None)
    reference = call.key if intent is None else intent.id
    return Verdict(status="declined", reference=reference, code=code, decline_code=decline_code)


def _why(problem: Any) -> tuple[str, str | None]:
    """Stripe's reason as a code of ours, and more exactly."""
    code = getattr(problem, "code", None)
    decline_code = getattr(problem, "decline_code", None)
    if code == "payment_intent_authentication_failure":
        return "authentication_required", None
    return (code, decline_code) if code in _CODES else ("card_declined", decline_code or code)


def _card(method: Any) -> CardFacts | None:
    card = getattr(method, "card", None)
    if card is None:
        return None
    return CardFacts(
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        funding=card.funding,
        fingerprint=card.fingerprint,
    )
