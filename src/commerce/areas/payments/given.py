"""What a payment is to be paid with, as requests say it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from commerce.areas.payments.card import details, method
from commerce.areas.payments.card.details import Card, CardGiven
from commerce.areas.payments.payment import PaymentMethod
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD, UNIT, digits
from commerce.kernel.errors import ApiError
from commerce.kernel.ids import is_id
from commerce.kernel.money import Money

Named = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Word = Annotated[str, msgspec.Meta(max_length=64)]
WHERE = "payment_method"


class MethodGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to pay with."""

    type: Word
    """`ssusd` or `card`."""
    payer: Word | None = None
    """Of `ssusd`: `own`, a wallet of yours pays at once, which is the default; or `external`, \
somebody else is asked to, and confirms with a key of theirs and the `client_secret`."""
    wallet_address: str | None = None
    """Of `ssusd`: the wallet that pays, one of your own, your main wallet by default."""
    card: CardGiven | None = None
    """Of `card`, in test mode: the card. In live mode send the processor's own token."""


Given = MethodGiven | Named | None


class Chosen(NamedTuple):
    """A card to be charged: how it is shown, what the processor calls it, and whose it is."""

    shown: PaymentMethod
    source: str
    customer: str | None = None


def by_card(given: Given, currency: str) -> bool:
    """Whether a card pays, and not a wallet.

    Raises `parameter_missing`, `parameter_invalid` for what there is not, and
    `currency_unsupported`. What was sent is not shown again: it may be a number.
    """
    digits(currency)
    if given is None and currency != SSUSD:
        message = f"'{WHERE}' is required: only {SSUSD} is paid from your wallet without one."
        raise ApiError("parameter_missing", message, param=WHERE)
    kind = SSUSD if given is None else "card" if isinstance(given, str) else given.type
    if kind not in (SSUSD, "card"):
        message = (
            f"'{WHERE}.type' must be one of: card, {SSUSD}. Bank transfers and ACH are not taken"
            " by the processors that there are."
        )
        raise ApiError("parameter_invalid", message, param=f"{WHERE}.type")
    if (kind == SSUSD) is not (currency == SSUSD):
        message = (
            f"A card pays in a currency of ISO 4217, such as usd, and not in {SSUSD}."
            if kind == "card"
            else f"A wallet pays in {SSUSD}; other currencies are paid by card."
        )
        raise ApiError("currency_unsupported", message, param="currency")
    return kind == "card"


def wallet(given: Given) -> MethodGiven:
    """The wallet that pays, or is to. Raises `parameter_invalid`."""
    assert not isinstance(given, str)
    chosen = given or MethodGiven(type=SSUSD)
    if chosen.payer not in (None, "own", "external"):
        message = f"'{WHERE}.payer' must be one of: own, external."
        raise ApiError("parameter_invalid", message, param=f"{WHERE}.payer")
    if chosen.card is not None:
        message = f"'{WHERE}.card' is for a '{WHERE}.type' of card."
        raise ApiError("parameter_invalid", message, param=f"{WHERE}.card")
    if chosen.payer == "external" and chosen.wallet_address is not None:
        message = "Whoever confirms the payment chooses the wallet, so none can be named here."
        raise ApiError("parameter_invalid", message, param=f"{WHERE}.wallet_address")
    return msgspec.structs.replace(chosen, payer=chosen.payer or "own")


def need(needs: Needs, caller: Caller, given: Given) -> None:
    """The rows that `card` reads and locks."""
    if isinstance(given, str):
        method.need_chosen(needs, caller, given)
        method.need_saved(needs, caller, given)


def card(tx: Tx, given: Given, customer: str | None) -> Chosen:
    """The card that pays, for a customer if one is named; a token is used up.

    Raises `parameter_missing`, `parameter_invalid`, `resource_missing`, `state_invalid`, and what
    `details.read` and `token.use` raise.
    """
    if isinstance(given, str):
        if is_id(given, "pm"):
            saved = method.saved(tx, given, customer, param=WHERE)
            shown = PaymentMethod(type="card", id=saved.id, card=saved.card)
            return Chosen(shown, saved.source, saved.customer)
        return _chosen(*method.chosen(tx, given, param=WHERE), customer)
    assert given is not None
    for name in ("payer", "wallet_address"):
        if getattr(given, name) is not None:
            message = f"'{WHERE}.{name}' is for a '{WHERE}.type' of {SSUSD}."
            raise ApiError("parameter_invalid", message, param=f"{WHERE}.{name}")
    if given.card is None:
        message = f"The '{WHERE}.card' parameter is required."
        raise ApiError("parameter_missing", message, param=f"{WHERE}.card")
    return _chosen(*details.read(tx, given.card, param=f"{WHERE}.card"), customer)


def _chosen(card: Card | None, source: str, customer: str | None) -> Chosen:
    return Chosen(PaymentMethod(type="card", card=card), source, customer)


def require_minimum(amount: Money, *, param: str = "amount") -> None:
    """Refuse to take less from a card than half a unit, or one where there are no halves.

    Raises `amount_invalid`.
    """
    least = Money(max(UNIT[amount.currency] // 2, 1), amount.currency)
    if amount < least:
        message = f"A card is charged at least {least.text} {amount.currency}."
        raise ApiError("amount_invalid", message, param=param)
