"""Payment methods: cards that are kept for a customer, once the processor has said so."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.gateways.cards import test_card
from commerce.gateways.cards.notebook import StoredNotebook
from commerce.gateways.cards.port import Attach, CardFacts, Verdict, ways
from commerce.gateways.cards.sandbox import Sandbox
from tests.stage import NOW, Party, Reply, Stage

CARD = {"number": "5555555555554444", "exp_month": 1, "exp_year": 2030, "cvc": "123"}


async def customer(stage: Stage, party: Party) -> str:
    return str((await stage.done("POST /customers", party.key, name="Jenny"))["id"])


async def keep(stage: Stage, party: Party, whose: str, given: Any, **headers: str) -> Reply:
    route = f"POST /customers/{whose}/payment_methods"
    return await stage.ask(route, party.key, {"payment_method": given}, **headers)


async def recover(stage: Stage, seconds: int = 60) -> int:
    stage.clock.advance(seconds)
    done = await stage.app.worker.turn()
    stage.clock.advance(-seconds)
    return done


async def test_a_test_method_is_kept(stage: Stage) -> None:
    party = await stage.open_account()
    whose = await customer(stage, party)
    reply = await keep(stage, party, whose, "pm_card_visa")
    assert reply.status == 201
    method = reply.json
    assert method.pop("id").startswith("pm_test_")
    assert method["card"].pop("fingerprint")
    assert method == {
        "object": "payment_method",
        "livemode": False,
        "created": NOW,
        "metadata": {},
        "type": "card",
        "customer": whose,
        "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030},
        "status": "attached",
        "failure_code": None,
        "unknown_since": None,
    }
    events = await stage.events(party, reply.json["id"])
    assert [each["type"] for each in events] == [
        "payment_method.created",
        "payment_method.attached",
    ]


async def test_a_card_and_a_token_of_it_are_the_same_card(stage: Stage) -> None:
    party = await stage.open_account()
    whose = await customer(stage, party)
    token = await stage.done("POST /tokens", party.key, card=CARD)
    by_card = await keep(stage, party, whose, {"type": "card", "card": CARD})
    by_token = await keep(stage, party, whose, token["id"])
    assert (by_card.status, by_token.status) == (201, 201)
    assert by_card.json["card"] == by_token.json["card"] == token["card"]
    again = await keep(stage, party, whose, token["id"])
    assert (again.status, again.error["code"], again.error["param"]) == (
        *(400, "token_used"),
        "payment_method",
    )


@pytest.mark.parametrize("card", test_card.TEST_CARDS)
async def test_each_test_card_is_kept_or_refused_as_the_table_says(
    stage: Stage, card: test_card.Specimen
) -> None:
    party = await stage.open_account()
    whose = await customer(stage, party)
    reply = await keep(stage, party, whose, card.method)
    if card.attaches:
        assert (reply.status, reply.json["status"]) == (201, "attached")
        return
    error = reply.error
    assert (reply.status, error["type"], error["code"]) == (402, "card_error", card.code)
    assert error.get("decline_code") == card.decline_code
    found = await stage.get(f"/payment_methods/{error['payment_method']}", party.key)
    assert (found["status"], found["failure_code"]) == ("failed", card.code)


async def test_a_refusal_is_remembered_and_nothing_is_kept_twice(stage: Stage) -> None:
    party = await stage.open_account()
    whose = await customer(stage, party)
    for given, status in (("pm_card_visa", 201), ("pm_card_chargeDeclined", 402)):
        first = await keep(stage, party, whose, given, Idempotency_Key=given)
        again = await keep(stage, party, whose, given, Idempotency_Key=given)
        assert (first.status, again.status, again.body) == (status, status, first.body)
        assert again.headers["idempotent-replayed"] == "true"
        state = await stage.get(f"/idempotency_keys/{given}", party.key)
        assert (state["status"], state["response_status"]) == ("completed", status)
    page = await stage.get(f"/customers/{whose}/payment_methods", party.key)
    assert len(page["data"]) == 2
    await stage.app.worker.turn()
    assert await stage.rows("SELECT * FROM job WHERE account = $1", party.id) == []


async def test_what_is_not_known_when_a_process_dies_is_asked_later(stage: Stage) -> None:
    party = await stage.open_account()
    whose = await customer(stage, party)
    outside = stage.app.engine.outside
    ways, outside._ways = outside._ways, {**outside._ways}
    for type_ in [each for each in ways if each.__name__ == "Attach"]:
        outside._ways[type_] = _fail
    reply = await keep(stage, party, whose, "pm_card_visa", Idempotency_Key="k")
    outside._ways = ways
    assert (reply.status, reply.json["status"]) == (201, "processing")
    assert reply.json["unknown_since"] == NOW
    id_ = reply.json["id"]
    refused = await stage.ask(f"DELETE /customers/{whose}/payment_methods/{id_}", party.key)
    assert (refused.status, refused.error["code"]) == (400, "state_invalid")
    assert await recover(stage) == 1
    found = await stage.get(f"/payment_methods/{id_}", party.key)
    assert (found["status"], found["failure_code"]) == ("failed", "processing_error")
    assert found["unknown_since"] is None
    assert (await keep(stage, party, whose, "pm_card_visa", Idempotency_Key="k")).body == reply.body


async def _fail(_: object) -> None:
    raise ConnectionResetError


async def test_whose_it_is_can_be_expanded_in_an_answer_of_the_second_commit(stage: Stage) -> None:
    party = await stage.open_account()
    whose = await customer(stage, party)
    route = f"POST /customers/{whose}/payment_methods?expand[]=customer"
    body = {"payment_method": "pm_card_visa"}
    first = await stage.ask(route, party.key, body, Idempotency_Key="k")
    assert first.json["customer"]["name"] == "Jenny"
    assert (await stage.ask(route, party.key, body, Idempotency_Key="k")).body == first.body


async def test_methods_are_listed_by_customer_newest_first(stage: Stage) -> None:
    party = await stage.open_account()
    whose, other = await customer(stage, party), await customer(stage, party)
    made = []
    for number in range(3):
        stage.clock.advance(1)
        made.append((await keep(stage, party, (whose, whose, other)[number], "pm_card_visa")).json)
    stage.clock.advance(-3)
    page = await stage.get(f"/customers/{whose}/payment_methods", party.key)
    assert page == {
        "object": "list",
        "url": f"/v1/customers/{whose}/payment_methods",
        "has_more": False,
        "data": [made[1], made[0]],
    }
    url = f"/customers/{whose}/payment_methods?limit=1"
    first = await stage.get(url, party.key)
    assert (first["has_more"], first["data"]) == (True, [made[1]])
    second = await stage.get(f"{url}&starting_after={made[1]['id']}", party.key)
    assert (second["has_more"], second["data"]) == (False, [made[0]])
    everybodys = await stage.get(f"/payment_methods?customer={other}", party.key)
    assert everybodys["data"] == [made[2]]
    stranger = await stage.open_account()
    reply = await stage.ask(f"GET /customers/{whose}/payment_methods", stranger.key)
    assert (reply.status, reply.error["code"]) == (404, "resource_missing")


async def test_a_deleted_method_is_gone_from_lists_and_says_that_it_was_deleted(
    stage: Stage,
) -> None:
    party = await stage.open_account()
    whose, other = await customer(stage, party), await customer(stage, party)
    id_ = (await keep(stage, party, whose, "pm_card_visa")).json["id"]
    wrong = await stage.ask(f"DELETE /customers/{other}/payment_methods/{id_}", party.key)
    assert (wrong.status, wrong.error["code"]) == (404, "resource_missing")
    gone = {"id": id_, "object": "payment_method", "deleted": True}
    assert (
        await stage.ask(f"DELETE /customers/{whose}/payment_methods/{id_}", party.key)
    ).json == gone
    again = await stage.ask(f"DELETE /customers/{whose}/payment_methods/{id_}", party.key)
    assert (again.status, again.error["code"]) == (404, "resource_missing")
    assert await stage.get(f"/payment_methods/{id_}", party.key) == gone
    assert (await stage.get(f"/customers/{whose}/payment_methods", party.key))["data"] == []


async def test_what_is_no_method_is_refused_and_not_shown_again(stage: Stage) -> None:
    party = await stage.open_account()
    whose = await customer(stage, party)
    for given in ("4242424242424242", "pm_card_of_nobody", "maestro"):
        reply = await keep(stage, party, whose, given)
        assert (reply.status, reply.error["code"]) == (400, "parameter_invalid")
        assert given not in reply.body.decode()
    assert (await keep(stage, party, "cust_nobody", "pm_card_visa")).status == 404
    await stage.ask(f"DELETE /customers/{whose}", party.key)
    assert (await keep(stage, party, whose, "pm_card_visa")).status == 404


async def test_in_live_mode_nobody_takes_cards_where_no_processor_is_set_up(stage: Stage) -> None:
    party = await stage.open_account(livemode=True)
    whose = await customer(stage, party)
    raw = await keep(stage, party, whose, {"type": "card", "card": CARD})
    assert (raw.status, raw.error["code"]) == (403, "raw_card_not_allowed")
    test = await keep(stage, party, whose, "4242424242424242")
    assert (test.status, test.error["code"]) == (400, "parameter_invalid")
    outside = stage.app.engine.outside
    test_one = Sandbox(StoredNotebook(stage.app.engine))
    ways_, outside._ways = outside._ways, ways(test_one, None)
    theirs = await keep(stage, party, whose, "pm_1PabcDEF")
    outside._ways = ways_
    assert (theirs.status, theirs.error["code"]) == (402, "processing_error")


async def test_in_live_mode_a_card_is_what_the_processor_tells_of_its_own_token(
    stage: Stage,
) -> None:
    party = await stage.open_account(livemode=True)
    whose = await customer(stage, party)
    facts = CardFacts(brand="visa", last4="4242", exp_month=5, exp_year=2031, fingerprint="theirs")
    verdict = Verdict(status="succeeded", reference="pm_kept", card=facts)
    outside = stage.app.engine.outside
    ways_, outside._ways = outside._ways, {Attach: lambda _: _say(verdict)}
    method = (await keep(stage, party, whose, "tok_1PabcDEF")).json
    outside._ways = ways_
    assert method["card"].pop("fingerprint") not in {"theirs", None}
    assert method["card"] == {"brand": "visa", "last4": "4242", "exp_month": 5, "exp_year": 2031}
    (row,) = await stage.rows("SELECT source FROM payment_method WHERE id = $1", method["id"])
    assert row["source"] == "pm_kept"


async def _say(verdict: Verdict) -> Verdict:
    return verdict
