"""The test processor: what it says follows from what it is asked, and it says it again."""

from __future__ import annotations

from typing import Any

import msgspec

from commerce.engine.outside.call import Call, Heard
from commerce.gateways.cards import test_card
from commerce.gateways.cards.notebook import Note, Notebook
from commerce.gateways.cards.port import (
    Asked,
    Attach,
    Cancel,
    Capture,
    Charge,
    Confirm,
    Find,
    Refund,
    Verdict,
)
from commerce.gateways.cards.test_card import Specimen
from commerce.kernel.currency import UNIT
from commerce.kernel.rounding import half_even

FEE_PER_MILLE = 29
FEE_CENTS = 30
"""2.9 % and 0.30 in the currency of the charge."""
_PREFIX: dict[Asked, str] = {
    "charge": "ch",
    "confirm": "ch",
    "capture": "ch",
    "cancel": "ch",
    "refund": "rf",
    "attach": "src",
}


class TooLate(Exception):
    """A call that was asked about before it came: whoever asked was told that it never would."""


class Sandbox:
    """A processor for test mode. It moves nothing, and remembers every call by its key."""

    name = "test"

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    async def charge(self, call: Charge) -> Verdict:
        """What the test card does."""
        card = test_card.of_method(call.source)
        if card is None:
            said = _declined(call, "charge", "card_declined", "test_mode_live_card")
        else:
            said = _charged(call, "charge", card)
        said = await self._said(call, "charge", said)
        if card is not None and card.behaviour == "times_out":
            raise TimeoutError
        return said

    async def confirm(self, call: Confirm) -> Verdict:
        """What the test card does once its holder has shown up."""
        before = await self._before(call, call.reference)
        card = test_card.of_method(call.source)
        if card is None or before is None or before.status != "requires_action":
            said = _declined(call, "confirm", "processing_error")
        else:
            said = _charged(call, "confirm", card)
        return await self._said(call, "confirm", said)

    async def capture(self, call: Capture) -> Verdict:
        """Take what was set aside, no more than that."""
        before = await self._before(call, call.reference)
        if before is None or before.status != "requires_capture" or call.amount > before.amount:
            said = _declined(call, "capture", "processing_error")
        else:
            said = Verdict(
                status="succeeded",
                reference=call.reference,
                amount=call.amount,
                fee=fee(call.amount, call.currency),
                disputed=before.disputed,
                at_once=before.at_once,
            )
        return await self._said(call, "capture", said)

    async def cancel(self, call: Cancel) -> Verdict:
        """Release what was set aside."""
        before = await self._before(call, call.reference)
        if before is None or before.status not in ("requires_capture", "requires_action"):
            said = _declined(call, "cancel", "processing_error")
        else:
            said = Verdict(status="canceled", reference=call.reference)
        return await self._said(call, "cancel", said)

    async def refund(self, call: Refund) -> Verdict:
        """Give back, no more at a time than there was."""
        before = await self._before(call, call.reference)
        if before is None or before.status == "declined" or call.amount > before.amount:
            said = _declined(call, "refund", "processing_error")
        else:
            reference = _reference(call, "refund")
            said = Verdict(status="succeeded", reference=reference, amount=call.amount)
        return await self._said(call, "refund", said)

    async def attach(self, call: Attach) -> Verdict:
        """Keep a card that may be kept."""
        card = test_card.of_method(call.source)
        if card is None:
            said = _declined(call, "attach", "card_declined", "test_mode_live_card")
        elif not card.attaches:
            said = _declined(call, "attach", card.code or "card_declined", card.decline_code)
        else:
            said = Verdict(status="succeeded", reference=call.source)
        return await self._said(call, "attach", said)

    async def find(self, call: Find) -> Verdict | Heard:
        """What was said under a key. A call that has not come by now is not taken any more.

        A refund, of which nothing is secret, is made then, as Stripe's adapter does it.
        """
        if call.asked == "refund":
            names = ("account", "livemode", "key", "reference", "amount", "currency")
            terms: dict[str, Any] = {name: getattr(call, name) for name in names}
            return await self.refund(Refund(**terms))
        note = await self._notebook.write(self._note(call, call.asked, None))
        if note.verdict is None:
            return Heard.ABSENT
        return msgspec.json.decode(note.verdict, type=Verdict)

    async def close(self) -> None:
        """There is no line to hang up."""

    async def _before(self, call: Call, reference: str) -> Verdict | None:
        """What was said of an earlier charge."""
        key = (call.account, call.livemode, reference.partition("_")[2])
        note = await self._notebook.read(key)
        if note is None or note.verdict is None:
            return None
        return msgspec.json.decode(note.verdict, type=Verdict)

    async def _said(self, call: Call, asked: Asked, verdict: Verdict) -> Verdict:
        """Say something, once under a key. Raises `TooLate`."""
        text = msgspec.json.encode(verdict).decode()
        note = await self._notebook.write(self._note(call, asked, text))
        if note.verdict is None:
            raise TooLate
        return msgspec.json.decode(note.verdict, type=Verdict)

    def _note(self, call: Call, asked: Asked, verdict: str | None) -> Note:
        now = self._notebook.now()
        return Note(call.account, call.livemode, call.key, asked, verdict, now)


def fee(amount: int, currency: str) -> int:
    """What this processor keeps of an amount, in the smallest unit."""
    cents = FEE_CENTS * UNIT[currency]
    return half_even(amount * FEE_PER_MILLE * 100 + cents * 1000, 100_000)


def _charged(call: Charge | Confirm, asked: Asked, card: Specimen) -> Verdict:
    if card.behaviour == "declines":
        return _declined(call, asked, card.code or "card_declined", card.decline_code)
    reference = _reference(call, asked)
    if card.behaviour == "authenticates" and asked == "charge":
        return Verdict(status="requires_action", reference=reference, amount=call.amount)
    return Verdict(
        status="succeeded" if call.capture else "requires_capture",
        reference=reference,
        amount=call.amount,
        fee=fee(call.amount, call.currency) if call.capture else 0,
        disputed=card.behaviour == "disputed",
        at_once=card.behaviour == "settles",
    )


def _declined(call: Call, asked: Asked, code: str, decline_code: str | None = None) -> Verdict:
    reference = _reference(call, asked)
    return Verdict(status="declined", reference=reference, code=code, decline_code=decline_code)


def _reference(call: Call, asked: Asked) -> str:
    return f"{_PREFIX[asked]}_{call.key}"
