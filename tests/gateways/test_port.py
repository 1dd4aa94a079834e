"""Whoever is asked about cards: somebody for each mode, or nobody."""

from __future__ import annotations

from typing import Any

from commerce.areas.payments.card.details import CardGiven
from commerce.engine.outside.call import Heard
from commerce.gateways.cards.port import Charge, Find, Nobody, Verdict
from commerce.gateways.cards.stripe_gateway import StripeGateway
from commerce.installation import _live_cards
from commerce.settings import Settings

WHOSE: dict[str, Any] = {"account": "acct_1", "livemode": True, "key": "pay_1"}


async def test_where_nobody_takes_cards_each_is_refused_and_none_was_ever_charged() -> None:
    nobody = Nobody()
    said = await nobody.charge(Charge(amount=1, currency="usd", source="pm_x", **WHOSE))
    assert isinstance(said, Verdict)
    assert (said.status, said.code) == ("declined", "processing_error")
    assert await nobody.find(Find(asked="charge", since=0, **WHOSE)) is Heard.ABSENT


async def test_live_cards_are_taken_by_stripe_where_its_key_is_set() -> None:
    assert _live_cards(Settings()) is None
    gateway = _live_cards(Settings(stripe_key="sk_live_x"))
    assert isinstance(gateway, StripeGateway)
    await gateway.close()


def test_a_card_shows_nothing_of_its_number_where_it_is_printed() -> None:
    given = CardGiven(number="4242424242424242", exp_month=12, exp_year=2034, cvc="123")
    assert "42" not in repr(given)
    assert "123" not in repr(given)
