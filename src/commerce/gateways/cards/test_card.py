"""Test cards: numbers that are nobody's, and what comes of them in test mode."""

from __future__ import annotations

import csv
from importlib import resources
from typing import Final, Literal, NamedTuple, cast

Behaviour = Literal["succeeds", "declines", "authenticates", "disputed", "settles", "times_out"]
STRANGER: Final = "pm_card_notASpecimen"
"""The method that stands for every number which is not in the table."""


class Specimen(NamedTuple):
    """One row of the table."""

    method: str
    """The name that stands for it in requests, without its number."""
    number: str
    """Empty where the method alone does it."""
    brand: str
    funding: str
    behaviour: Behaviour
    """What comes of a charge."""
    attaches: bool
    """Whether it can be kept for later charges."""
    code: str | None
    """Why it is declined."""
    decline_code: str | None
    """The same, more exactly."""


def _read() -> list[Specimen]:
    text = (resources.files("commerce") / "data" / "test_cards.csv").read_text("ascii")
    return [
        Specimen(
            method=row["method"],
            number=row["number"],
            brand=row["brand"],
            funding=row["funding"],
            behaviour=cast("Behaviour", row["behaviour"]),
            attaches=row["attaches"] == "yes",
            code=row["code"] or None,
            decline_code=row["decline_code"] or None,
        )
        for row in csv.DictReader(text.splitlines())
    ]


TEST_CARDS: Final = tuple(_read())
_REFUSED = Specimen(
    method=STRANGER,
    number="",
    brand="unknown",
    funding="unknown",
    behaviour="declines",
    attaches=False,
    code="card_declined",
    decline_code="test_mode_live_card",
)
_BY_METHOD = {card.method: card for card in (*TEST_CARDS, _REFUSED)}
_BY_NUMBER = {card.number: card for card in TEST_CARDS if card.number}


def of_method(method: str) -> Specimen | None:
    """The test card of a method's name; None where there is none of that name."""
    return _BY_METHOD.get(method)


def of_number(number: str) -> Specimen:
    """What comes of a number in test mode: one that may be somebody's is declined."""
    return _BY_NUMBER.get(number, _REFUSED)
