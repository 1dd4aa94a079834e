"""The port: what a processor of cards is asked, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from commerce.engine.outside.call import Call, Heard

Asked = Literal["charge", "confirm", "capture", "cancel", "refund", "attach"]
Status = Literal["succeeded", "requires_capture", "requires_action", "canceled", "declined"]


class CardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of a card: never its number."""

    brand: str
    last4: str
    exp_month: int
    exp_year: int
    funding: str | None = None
    fingerprint: str | None = None
    """The same for the same card, and for nothing else."""


class Charge(Call, frozen=True, kw_only=True):
    """Take an amount from a card, or set it aside where `capture` is false."""

    amount: int
    """In the smallest unit."""
    currency: str
    source: str
    """The processor's own name for the card: a payment method, a token, a test method."""
    capture: bool = True
    descriptor: str | None = None
    """What a statement calls it."""


class Confirm(Call, frozen=True, kw_only=True):
    """Go on with a charge that waited for its cardholder, who says to have authenticated."""

    reference: str
    source: str
    amount: int
    currency: str
    capture: bool = True


class Capture(Call, frozen=True, kw_only=True):
    """Take what was set aside, or less of it; the rest is released."""

    reference: str
    amount: int
    currency: str


class Cancel(Call, frozen=True, kw_only=True):
    """Release what was set aside."""

    reference: str


class Refund(Call, frozen=True, kw_only=True):
    """Give back some of what was taken."""

    reference: str
    amount: int
    currency: str


class Attach(Call, frozen=True, kw_only=True):
    """Keep a card for later charges."""

    source: str


class Find(Call, frozen=True, kw_only=True):
    """What became of an earlier call under the same key? It is kept in rows: nothing is secret."""

    asked: Asked
    """What the call was."""
    since: int
    """When it was made, or a little before that, Unix seconds."""
    reference: str | None = None
    """What the call was about: an earlier charge, or the source to be kept."""
    amount: int | None = None
    currency: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a processor says became of a call."""

    status: Status
    """`requires_action` waits for the cardholder."""
    reference: str
    """The processor's own id of what was done."""
    amount: int = 0
    """How much was taken, set aside or given back, in the smallest unit."""
    fee: int = 0
    """What the processor keeps of it."""
    card: CardFacts | None = None
    """What the processor knows of the card; None where it knows no more than who asked."""
    code: str | None = None
    """Why it was declined: a code of the errors' table, of type `card_error`."""
    decline_code: str | None = None
    """The same, more exactly."""
    disputed: bool = False
    """The cardholder disputes it at once."""
    at_once: bool = False
    """The money is available at once, without days of waiting."""
    available_on: int | None = None
    """When the money is available, Unix seconds; None where the processor does not say."""
    handle: str | None = None
    """What the cardholder's browser gives to the processor's own library, to authenticate."""
    processor: str = ""
    """Who says it."""


class Why(NamedTuple):
    """Why a call came to nothing."""

    code: str
    """A code of the errors' table, of type `card_error`."""
    details: dict[str, str]
    """What its error says beside that."""


def why(heard: Verdict | Heard) -> Why | None:
    """Why a call came to nothing; None where it did not. What was never done has failed."""
    if isinstance(heard, Heard):
        return Why("processing_error", {})
    if heard.status != "declined":
        return None
    code = heard.code
    if code not in ("card_declined", "expired_card", "incorrect_cvc", "authentication_required"):
        code = "processing_error"
    decline_code = heard.decline_code
    return Why(code, {} if decline_code is None else {"decline_code": decline_code})


class Gateway(Protocol):
    """A processor. Whatever it raises says nothing of what was done.

    It takes a call under a key once: the same call again gets the same verdict. `find` says
    `ABSENT` only where the call, should it arrive yet, will not be done.
    """

    name: str
    """What it is called, in the ledger's accounts too."""

    async def charge(self, call: Charge) -> Verdict:
        """Take, or set aside."""

    async def confirm(self, call: Confirm) -> Verdict:
        """Go on, once the cardholder has authenticated."""

    async def capture(self, call: Capture) -> Verdict:
        """Take what was set aside."""

    async def cancel(self, call: Cancel) -> Verdict:
        """Release what was set aside."""

    async def refund(self, call: Refund) -> Verdict:
        """Give back."""

    async def attach(self, call: Attach) -> Verdict:
        """Keep a card."""

    async def find(self, call: Find) -> Verdict | Heard:
        """Say what became of a call."""

    async def close(self) -> None:
        """Hang up."""


class Nobody:
    """Where no processor is set up: every card is refused, and nothing was ever done."""

    name = "none"

    async def _refuse(self, call: Call) -> Verdict:
        """Say no."""
        return Verdict(status="declined", reference=call.key, code="processing_error")

    charge = confirm = capture = cancel = refund = attach = _refuse

    async def find(self, _: Find) -> Verdict | Heard:
        """Nothing was done."""
        return Heard.ABSENT


_METHODS: dict[type[Call], str] = {
    Charge: "charge",
    Confirm: "confirm",
    Capture: "capture",
    Cancel: "cancel",
    Refund: "refund",
    Attach: "attach",
    Find: "find",
}


def ways(test: Gateway, live: Gateway | None) -> dict[type[Call], Callable[[Any], Awaitable[Any]]]:
    """Whom to ask for each type of call: one in test mode, and another, if any, in live mode."""
    live_one = live or Nobody()

    def way(name: str) -> Callable[[Any], Awaitable[Any]]:
        async def ask(call: Call) -> Any:
            asked = live_one if call.livemode else test
            said = await getattr(asked, name)(call)
            if isinstance(said, Verdict):
                return msgspec.structs.replace(said, processor=asked.name)
            return said

        return ask

    return {type_: way(name) for type_, name in _METHODS.items()}
