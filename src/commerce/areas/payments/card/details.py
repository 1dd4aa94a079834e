"""Details of cards: what is given, in memory only, and what is known of one afterwards."""

from __future__ import annotations

import time
from typing import Annotated, NamedTuple

import msgspec

from commerce.engine.tx import Tx
from commerce.gateways.cards import number, test_card
from commerce.gateways.cards.port import CardFacts
from commerce.gateways.cards.test_card import Specimen
from commerce.kernel.errors import ApiError
from commerce.resource.noun import Part

LAST = 4
YEARS_GOOD = 4
"""For how many years after this one the card of a test method is good."""
DECEMBER = 12
FINGERPRINT_LENGTH = 24


class CardGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A card, in test mode: none of its digits but the last four is kept anywhere."""

    number: Annotated[str, msgspec.Meta(max_length=32)]
    """The number, with or without spaces."""
    exp_month: Annotated[int, msgspec.Meta(ge=1, le=12)]
    """The month to whose end it is good."""
    exp_year: Annotated[int, msgspec.Meta(ge=0, le=2999)]
    """The year to whose month it is good, of two or four digits."""
    cvc: Annotated[str, msgspec.Meta(max_length=8)] | None = None
    """The security code, of three digits or four."""

    def __repr__(self) -> str:
        """Never show a number."""
        return "CardGiven(…)"


class Card(Part, frozen=True, kw_only=True):
    """What is known of a card."""

    brand: str
    """Whose card it is: `visa`, `mastercard`, `amex` and the like, or `unknown`."""
    last4: str
    """The last four digits of its number."""
    exp_month: int
    """The month to whose end it is good."""
    exp_year: int
    """The year of that month."""
    fingerprint: str
    """The same for the same card, and different for any other; it says nothing of the number."""


class Known(NamedTuple):
    """A card as it is charged: what is known of it, and what the processor calls it."""

    card: Card
    source: str


def read(tx: Tx, given: CardGiven, *, param: str) -> Known:
    """A card that was given, checked; its number goes no further than this.

    Raises `raw_card_not_allowed` in live mode, `incorrect_number`, `expired_card`,
    `parameter_invalid`.
    """
    if tx.caller.livemode:
        raise ApiError("raw_card_not_allowed", param=f"{param}.number")
    digits = number.checked_number(given.number, param=f"{param}.number")
    brand = number.brand(digits)
    now = time.gmtime(tx.now)
    today = (now.tm_year, now.tm_mon)
    where = f"{param}.exp_year"
    year = number.checked_year(given.exp_year, given.exp_month, today, param=where)
    if given.cvc is not None:
        number.checked_cvc(given.cvc, brand, param=f"{param}.cvc")
    card = Card(
        brand=brand,
        last4=digits[-LAST:],
        exp_month=given.exp_month,
        exp_year=year,
        fingerprint=_fingerprint(tx, digits),
    )
    return Known(card, test_card.of_number(digits).method)


def of_method(tx: Tx, method: str) -> Known | None:
    """The card that a test method stands for; None where none does, and always in live mode."""
    found = None if tx.caller.livemode else test_card.of_method(method)
    return None if found is None else Known(of_specimen(tx, found), method)


def of_specimen(tx: Tx, specimen: Specimen, *, account: str | None = None) -> Card:
    """A test card as an account sees it, the caller's unless another is given."""
    return Card(
        brand=specimen.brand,
        last4=specimen.number[-LAST:] or "0000",
        exp_month=DECEMBER,
        exp_year=time.gmtime(tx.now).tm_year + YEARS_GOOD,
        fingerprint=_fingerprint(tx, specimen.number or specimen.method, account),
    )


def of_facts(tx: Tx, facts: CardFacts) -> Card:
    """A card as a processor tells of it."""
    told = facts.fingerprint or f"{facts.brand}{facts.last4}"
    return Card(
        brand=facts.brand,
        last4=facts.last4,
        exp_month=facts.exp_month,
        exp_year=facts.exp_year,
        fingerprint=_fingerprint(tx, told),
    )


def _fingerprint(tx: Tx, known: str, account: str | None = None) -> str:
    """A keyed hash: whoever has the database alone cannot try all numbers out."""
    whose = account or tx.caller.account
    return tx.fingerprint(f"card\x00{whose}\x00{known}".encode()).hex()[:FINGERPRINT_LENGTH]
