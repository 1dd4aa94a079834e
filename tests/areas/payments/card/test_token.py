"""Tokens: made of a card that is kept nowhere, used once, within 15 minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from commerce.areas.payments.card import token
from commerce.engine.tx import Tx
from commerce.gateways.cards import test_card
from commerce.kernel.errors import ApiError
from tests.ladder import Rung, climb
from tests.stage import NOW, Party, Stage

CREATE = "POST /tokens"
NUMBER = "4242424242424242"
CARD = {"number": NUMBER, "exp_month": 12, "exp_year": 2034, "cvc": "123"}


async def made(stage: Stage, party: Party, **card: Any) -> dict[str, Any]:
    return await stage.done(CREATE, party.key, card=CARD | card)


async def use(stage: Stage, party: Party, id_: str) -> str:
    """Use a token; gives the code of the refusal, or what the processor calls the card."""

    def run(tx: Tx, _: None) -> str:
        return token.use(tx, id_, param="payment_method").source

    try:
        return await stage.app.operate(run, None, account=party.id, livemode=party.livemode)
    except ApiError as error:
        return error.code


async def test_a_token_tells_of_the_card_what_may_be_known(stage: Stage) -> None:
    party = await stage.open_account()
    token_ = await made(stage, party)
    assert token_.pop("id").startswith("tok_test_")
    assert len(token_["card"].pop("fingerprint")) == 24
    assert token_ == {
        "object": "token",
        "livemode": False,
        "created": NOW,
        "metadata": {},
        "type": "card",
        "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034},
        "used": False,
        "expires_at": NOW + 900,
    }


async def test_a_token_is_retrieved_by_its_account_alone(stage: Stage) -> None:
    party, stranger = await stage.open_account(), await stage.open_account()
    token_ = await made(stage, party)
    assert await stage.get(f"/tokens/{token_['id']}", party.key) == token_
    reply = await stage.ask(f"GET /tokens/{token_['id']}", stranger.key)
    assert (reply.status, reply.error["code"]) == (404, "resource_missing")


async def test_a_public_key_makes_tokens_and_reads_none(stage: Stage) -> None:
    party = await stage.open_account()
    public = await stage.make_key(party, "public")
    token_ = await stage.done(CREATE, public, card=CARD)
    reply = await stage.ask(f"GET /tokens/{token_['id']}", public)
    assert (reply.status, reply.error["code"]) == (403, "key_type_not_allowed")


async def test_a_card_is_refused_by_its_first_fault(stage: Stage) -> None:
    party = await stage.open_account()
    card: dict[str, Any] = {"number": "4242424242424241", "exp_month": 13, "exp_year": 2020}
    card["cvc"] = "12"
    await climb(
        stage,
        CREATE,
        party.key,
        Rung({}, 400, "parameter_missing", "card"),
        Rung({"card": NUMBER}, 400, "parameter_invalid", "card"),
        Rung({"card": card}, 400, "parameter_invalid", "card.exp_month"),
        Rung({"card": card | {"exp_month": 12}}, 400, "incorrect_number", "card.number"),
        Rung(
            {"card": card | {"exp_month": 12, "number": NUMBER}},
            402,
            "expired_card",
            "card.exp_year",
        ),
        Rung({"card": CARD | {"cvc": "12"}}, 400, "parameter_invalid", "card.cvc"),
        Rung({"card": CARD | {"pin": "1"}}, 400, "parameter_unknown", "card.pin"),
    )


async def test_a_card_is_good_to_the_end_of_its_month(stage: Stage) -> None:
    party, now = await stage.open_account(), datetime.fromtimestamp(NOW, UTC)
    good = await made(stage, party, exp_month=now.month, exp_year=now.year % 100)
    assert good["card"]["exp_year"] == now.year
    before = CARD | {"exp_month": now.month - 1, "exp_year": now.year}
    reply = await stage.ask(CREATE, party.key, {"card": before})
    assert (reply.status, reply.error["code"]) == (402, "expired_card")


async def test_in_live_mode_numbers_are_refused_before_they_are_looked_at(stage: Stage) -> None:
    party = await stage.open_account(livemode=True)
    for number in (NUMBER, "4242424242424241"):
        reply = await stage.ask(CREATE, party.key, {"card": CARD | {"number": number}})
        assert (reply.status, reply.error["code"]) == (403, "raw_card_not_allowed")
        assert reply.error["param"] == "card.number"


async def test_a_token_is_good_for_one_use(stage: Stage) -> None:
    party = await stage.open_account()
    token_ = await made(stage, party)
    assert await use(stage, party, token_["id"]) == "pm_card_visa"
    assert await use(stage, party, token_["id"]) == "token_used"
    assert (await stage.get(f"/tokens/{token_['id']}", party.key))["used"]


async def test_a_token_is_good_for_15_minutes(stage: Stage) -> None:
    party = await stage.open_account()
    tokens = [await made(stage, party) for _ in range(2)]
    stage.clock.advance(899)
    assert await use(stage, party, tokens[0]["id"]) == "pm_card_visa"
    stage.clock.advance(1)
    assert await use(stage, party, tokens[1]["id"]) == "state_invalid"
    stage.clock.advance(-900)


async def test_a_token_is_used_by_its_account_alone(stage: Stage) -> None:
    party, stranger = await stage.open_account(), await stage.open_account()
    token_ = await made(stage, party)
    assert await use(stage, stranger, token_["id"]) == "resource_missing"
    assert await use(stage, party, token_["id"]) == "pm_card_visa"


@pytest.mark.parametrize("card", [each for each in test_card.TEST_CARDS if each.number])
async def test_a_token_of_a_test_card_stands_for_what_comes_of_it(
    stage: Stage, card: test_card.Specimen
) -> None:
    party = await stage.open_account()
    cvc = "1234" if card.brand == "amex" else "123"
    token_ = await made(stage, party, number=card.number, cvc=cvc)
    assert token_["card"]["brand"] == card.brand
    assert token_["card"]["last4"] == card.number[-4:]
    assert await use(stage, party, token_["id"]) == card.method


async def test_a_fingerprint_is_of_the_card_and_the_account(stage: Stage) -> None:
    party, other = await stage.open_account(), await stage.open_account()
    first = await made(stage, party)
    again = await made(stage, party, number="4242 4242 4242 4242", exp_year=2030)
    others = [
        await made(stage, party, number="4000056655665556"),
        await made(stage, other),
    ]
    fingerprints = [each["card"]["fingerprint"] for each in (first, again, *others)]
    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 3


async def test_a_retry_gets_the_first_token_and_another_card_is_another_request(
    stage: Stage,
) -> None:
    party = await stage.open_account()
    first = await stage.ask(CREATE, party.key, {"card": CARD}, Idempotency_Key="k")
    again = await stage.ask(CREATE, party.key, {"card": CARD}, Idempotency_Key="k")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    other = CARD | {"number": "4000000000000002"}
    reply = await stage.ask(CREATE, party.key, {"card": other}, Idempotency_Key="k")
    assert (reply.status, reply.error["code"]) == (422, "idempotency_key_reused")
