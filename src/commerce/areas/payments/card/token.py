"""Tokens: a card in a word, made where it is typed in, and good for one use."""

from __future__ import annotations

from typing import Annotated, Literal

from commerce.areas.payments.card import details
from commerce.areas.payments.card.details import Card, CardGiven, Known
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.resource.example import Example
from commerce.resource.noun import HIDDEN, Noun, Time, noun
from commerce.resource.operation import Params, operation, view
from commerce.resource.parameter import Id
from commerce.resource.reading import Reading

GOOD_SECONDS = 15 * 60
"""How long a token may be used."""


@noun(prefix="tok", rank=420)
class Token(Noun, tag="token", frozen=True, kw_only=True):
    """A card, to be charged or kept once, within 15 minutes. The number is nowhere."""

    type: Literal["card"] = "card"
    """What it stands for."""
    card: Card
    """What is known of the card."""
    used: bool = False
    """Whether it was used."""
    expires_at: Time
    """Until when it may be used, Unix seconds."""
    source: Annotated[str, HIDDEN]


TABLE = Token.__noun__.table


class CreateToken(Params, frozen=True, kw_only=True):
    """A card to make a token of."""

    card: CardGiven
    """The card, in test mode; in live mode send the processor's own token instead."""


class OneToken(Params, frozen=True, kw_only=True):
    """Which token."""

    id: Id
    """The token's id."""


async def example(_: Example) -> dict[str, object]:
    """A test card."""
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    return {"card": card}


@operation(
    Token,
    "POST /tokens",
    scope="payments:write",
    params=CreateToken,
    example=example,
    public=True,
)
def create(tx: Tx, params: CreateToken) -> Token:
    """Make a token of a card, from where it is typed in: a public key may.

    It stands for the card once, within 15 minutes. What is kept is the brand, the last four digits,
    the expiry and a keyed fingerprint. In live mode card numbers are refused.
    """
    known = details.read(tx, params.card, param="card")
    return tx.add(
        Token(
            id=tx.new_id("tok"),
            livemode=tx.caller.livemode,
            created=tx.now,
            card=known.card,
            expires_at=tx.now + GOOD_SECONDS,
            source=known.source,
        )
    )


async def one_example(example: Example) -> dict[str, object]:
    """A token that was made for this."""
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    return {"id": (await example.call("POST /tokens", card=card))["id"]}


@view(Token, "GET /tokens/{id}", scope="payments:read", params=OneToken, example=one_example)
async def retrieve(reading: Reading, params: OneToken) -> Token:
    """Retrieve a token."""
    return await reading.get(Token, params.id)


def need(needs: Needs, caller: Caller, id_: str) -> None:
    """The row that `use` locks."""
    needs.row(TABLE.key, (caller.account, caller.livemode, id_), lock=True)


def use(tx: Tx, id_: str, *, param: str) -> Known:
    """Use a token up. Raises `resource_missing`, `token_used`, `state_invalid` once too old."""
    token = tx.lock(Token, id_, param=param)
    if token.used:
        raise ApiError("token_used", f"The token '{token.id}' was used before.", param=param)
    if tx.now >= token.expires_at:
        message = f"The token '{token.id}' has expired, after 15 minutes: make another."
        raise ApiError("state_invalid", message, param=param)
    tx.change(token, used=True)
    return Known(token.card, token.source)
