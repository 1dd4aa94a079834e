"""The test processor: every test card does what it is for, once under a key, whatever dies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from stdnum import luhn

from commerce.engine.outside.call import Heard, Outside
from commerce.gateways.cards import number, test_card
from commerce.gateways.cards.notebook import StoredNotebook
from commerce.gateways.cards.port import (
    Attach,
    Cancel,
    Capture,
    Charge,
    Confirm,
    Find,
    Refund,
    Verdict,
    ways,
)
from commerce.gateways.cards.sandbox import Sandbox, TooLate, fee
from commerce.kernel.errors import ERRORS
from commerce.store.database import Database
from tests.engine.world import World, name

SUCCEED = {
    "4242424242424242": "visa",
    "4000056655665556": "visa",
    "5555555555554444": "mastercard",
    "2223003122003222": "mastercard",
    "378282246310005": "amex",
    "6011111111111117": "discover",
    "3056930009020004": "diners",
    "3566002020360505": "jcb",
    "6200000000000005": "unionpay",
}
DECLINE = {
    "4000000000000002": ("card_declined", "generic_decline"),
    "4000000000009995": ("card_declined", "insufficient_funds"),
    "4000000000009987": ("card_declined", "lost_card"),
    "4000000000009979": ("card_declined", "stolen_card"),
    "4000000000000069": ("expired_card", None),
    "4000000000000127": ("incorrect_cvc", None),
    "4000000000000119": ("processing_error", None),
    "4000000000000341": ("card_declined", "generic_decline"),
}
OTHERS = {
    "4000002500003155": "authenticates",
    "4000002760003184": "authenticates",
    "4000000000000259": "disputed",
    "4000000000000077": "settles",
}


@pytest.fixture(scope="module")
async def world(migrated_url: str) -> AsyncIterator[World]:
    async with World(Database(migrated_url, pool_size=2)).running() as world:
        yield world
        await world.store.close()


@pytest.fixture
def sandbox(world: World) -> Sandbox:
    return Sandbox(StoredNotebook(world.engine))


def whose(key: str | None = None) -> dict[str, Any]:
    return {"account": "acct_1", "livemode": False, "key": key or name()}


def charge(source: str, key: str | None = None, **given: Any) -> Charge:
    terms: dict[str, Any] = {
        "amount": 1000,
        "currency": "usd",
        "source": source,
        **whose(key),
        **given,
    }
    return Charge(**terms)


def method(digits: str) -> str:
    return test_card.of_number(digits).method


def test_the_table_holds_the_cards_of_the_contract_and_no_others() -> None:
    table = {card.number for card in test_card.TEST_CARDS if card.number}
    assert table == {*SUCCEED, *DECLINE, *OTHERS}
    assert all(luhn.is_valid(each) for each in table)
    assert not luhn.is_valid("4242424242424241")
    assert [card.method for card in test_card.TEST_CARDS if not card.number] == ["pm_card_timeout"]


def test_every_row_has_a_name_of_its_own_and_codes_that_there_are() -> None:
    cards = test_card.TEST_CARDS
    assert len({card.method for card in cards}) == len(cards)
    for card in cards:
        assert test_card.of_method(card.method) == card
        assert (card.code is not None) == (card.behaviour == "declines")
        assert card.code is None or ERRORS[card.code].type == "card_error"
        assert not card.number or number.brand(card.number) == card.brand


@pytest.mark.parametrize("digits", SUCCEED)
async def test_a_card_that_succeeds_is_charged_less_the_fee(sandbox: Sandbox, digits: str) -> None:
    call = charge(method(digits))
    said = await sandbox.charge(call)
    expected = Verdict(status="succeeded", reference=f"ch_{call.key}", amount=1000, fee=59)
    assert said == expected
    assert test_card.of_number(digits).brand == SUCCEED[digits]


@pytest.mark.parametrize("digits", DECLINE)
async def test_a_card_that_declines_says_why(sandbox: Sandbox, digits: str) -> None:
    said = await sandbox.charge(charge(method(digits)))
    assert (said.status, said.amount) == ("declined", 0)
    assert (said.code, said.decline_code) == DECLINE[digits]


async def test_only_one_card_that_declines_can_be_kept(sandbox: Sandbox) -> None:
    for digits, (code, _) in DECLINE.items():
        said = await sandbox.attach(Attach(**whose(), source=method(digits)))
        kept = digits == "4000000000000341"
        assert (said.status, said.code) == (("succeeded", None) if kept else ("declined", code))
    said = await sandbox.attach(Attach(**whose(), source="pm_card_visa"))
    assert (said.status, said.reference) == ("succeeded", "pm_card_visa")


async def test_a_number_that_may_be_somebodys_is_declined(sandbox: Sandbox) -> None:
    for source in (method("4111111111111111"), "pm_card_nobody_knows"):
        said = await sandbox.charge(charge(source))
        assert (said.code, said.decline_code) == ("card_declined", "test_mode_live_card")
        assert (await sandbox.attach(Attach(**whose(), source=source))).status == "declined"


@pytest.mark.parametrize("digits", [each for each in OTHERS if OTHERS[each] == "authenticates"])
async def test_a_card_that_asks_for_its_holder_waits_until_they_have_shown_up(
    sandbox: Sandbox, digits: str
) -> None:
    asked = charge(method(digits))
    assert (await sandbox.charge(asked)).status == "requires_action"
    terms: dict[str, Any] = {"source": method(digits), "amount": 1000, "currency": "usd"}
    confirm = Confirm(reference=f"ch_{asked.key}", **terms, **whose())
    shown = await sandbox.confirm(confirm)
    assert (shown.status, shown.amount, shown.fee) == ("succeeded", 1000, 59)
    aside = Confirm(reference=f"ch_{asked.key}", capture=False, **terms, **whose())
    assert (await sandbox.confirm(aside)).status == "requires_capture"
    nothing = Confirm(reference="ch_nobody", **terms, **whose())
    assert (await sandbox.confirm(nothing)).code == "processing_error"
    released = await sandbox.cancel(Cancel(**whose(), reference=f"ch_{asked.key}"))
    assert released.status == "canceled"


async def test_a_charge_may_be_disputed_or_be_there_at_once(sandbox: Sandbox) -> None:
    seen = [await sandbox.charge(charge(method(digits))) for digits in list(OTHERS)[2:]]
    assert [(each.status, each.disputed, each.at_once) for each in seen] == [
        ("succeeded", True, False),
        ("succeeded", False, True),
    ]


async def test_what_is_set_aside_is_taken_or_released_and_no_more_than_that(
    sandbox: Sandbox,
) -> None:
    asked = charge("pm_card_visa", capture=False)
    set_aside = await sandbox.charge(asked)
    assert (set_aside.status, set_aside.fee) == ("requires_capture", 0)
    terms: dict[str, Any] = {"reference": set_aside.reference, "currency": "usd"}
    taken = await sandbox.capture(Capture(**whose(), amount=400, **terms))
    assert (taken.status, taken.amount, taken.fee) == ("succeeded", 400, 42)
    over = await sandbox.capture(Capture(**whose(), amount=1001, **terms))
    assert (over.status, over.code) == ("declined", "processing_error")
    released = await sandbox.cancel(Cancel(**whose(), reference=set_aside.reference))
    assert released.status == "canceled"


async def test_what_was_never_charged_is_neither_taken_nor_released_nor_given_back(
    sandbox: Sandbox,
) -> None:
    for reference in (
        "ch_nobody",
        (await sandbox.charge(charge("pm_card_chargeDeclined"))).reference,
    ):
        terms: dict[str, Any] = {"reference": reference, "amount": 1, "currency": "usd"}
        seen = [
            await sandbox.capture(Capture(**whose(), **terms)),
            await sandbox.cancel(Cancel(**whose(), reference=reference)),
            await sandbox.refund(Refund(**whose(), **terms)),
        ]
        assert {each.status for each in seen} == {"declined"}


async def test_a_refund_is_of_no_more_than_was_charged(sandbox: Sandbox) -> None:
    taken = await sandbox.charge(charge("pm_card_visa"))
    terms: dict[str, Any] = {"reference": taken.reference, "currency": "usd"}
    back = await sandbox.refund(Refund(**whose("re_1"), amount=1000, **terms))
    assert (back.status, back.reference, back.amount) == ("succeeded", "rf_re_1", 1000)
    over = await sandbox.refund(Refund(**whose(), amount=1001, **terms))
    assert over.status == "declined"


# Once, whatever dies


async def test_a_key_is_taken_once_and_says_the_same_again_whatever_it_is_asked(
    world: World, sandbox: Sandbox, migrated_url: str
) -> None:
    first = await sandbox.charge(charge("pm_card_visa", "pay_once"))
    again = await sandbox.charge(charge("pm_card_chargeDeclined", "pay_once", amount=5))
    async with World(Database(migrated_url, pool_size=1), world.clock).running() as later:
        restarted = Sandbox(StoredNotebook(later.engine))
        find = Find(**whose("pay_once"), asked="charge", since=world.now())
        found = await restarted.find(find)
        await later.store.close()
    assert first == again == found


async def test_a_call_that_has_not_come_when_it_is_asked_about_is_not_taken_later(
    world: World, sandbox: Sandbox
) -> None:
    find = Find(**whose("pay_late"), asked="charge", since=world.now())
    assert await sandbox.find(find) is Heard.ABSENT
    with pytest.raises(TooLate):
        await sandbox.charge(charge("pm_card_visa", "pay_late"))
    assert await sandbox.find(find) is Heard.ABSENT


async def test_a_card_that_times_out_was_charged_and_says_so_when_asked(
    world: World, sandbox: Sandbox
) -> None:
    outside = Outside(ways(sandbox, None))
    assert await outside.ask(charge("pm_card_timeout", "pay_slow")) is Heard.SILENCE
    found = await outside.ask(Find(**whose("pay_slow"), asked="charge", since=world.now()))
    assert (found.status, found.amount) == ("succeeded", 1000)


async def test_no_number_stands_in_the_notebook(sandbox: Sandbox, migrated_url: str) -> None:
    for digits in (*SUCCEED, *DECLINE, *OTHERS):
        await sandbox.charge(charge(method(digits)))
    connection = await asyncpg.connect(migrated_url)
    notes = await connection.fetch("SELECT t::text FROM test_call t")
    await connection.close()
    text = "".join(row[0] for row in notes)
    assert not [digits for digits in (*SUCCEED, *DECLINE, *OTHERS) if digits in text]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (1000, "usd", 59),  # 29 and 30 cents
        (50, "usd", 31),  # 31.45
        (100, "jpy", 3),  # 2.9 and 0.3 yen
        (1000, "kwd", 329),  # 29 and 300 fils
        (500, "usd", 44),  # 44.5, and half goes to the even one
        (15 * 100, "usd", 74),  # 73.5
    ],
)
def test_the_fee_is_2_9_percent_and_0_30_in_the_currency_of_the_charge(
    amount: int, currency: str, expected: int
) -> None:
    assert fee(amount, currency) == expected
