"""Balances of an account by currency, and their history: every movement, and nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.areas.payments.funds.scene import HELD, PAYOUT, earn, funds, terms
from tests.areas.payments.scene import REFUND, ask_for, confirm, funded, paid_by, pay
from tests.ladder import refused
from tests.stage import NOW, Party, Stage

PARTS = ("available", "pending", "locked")
BANK = {"type": "ach", "account_number": "000123456789", "routing_number": "021000021"}


@pytest.fixture(scope="module")
async def busy(stage: Stage) -> Party:
    """An account to which everything has happened that can happen to a wallet."""
    busy = await stage.open_account(capabilities=["stablecoin_issuance"])
    friend = await funded(stage)
    await stage.fund(busy.wallet, "1000.00")
    for wallet in (busy.wallet, friend.wallet):
        body = {"recipient": wallet, "amount": "100.00", "reference_id": stage.name()}
        await stage.done("POST /stablecoin/issue", busy.key, **body)
    deposits = "POST /stablecoin/reserves/deposits"
    deposit = await stage.done(deposits, busy.key, amount="500.00")
    await stage.done(f"{deposits}/{deposit['id']}/verify", busy.key)
    transfer = "POST /stablecoin/transfer"
    await stage.done(transfer, busy.key, to=friend.wallet, amount="10.00")
    await stage.done(transfer, friend.key, to=busy.wallet, amount="5.00")
    later = {"to": friend.wallet, "amount": "3.00", "scheduled_at": NOW + 60}
    for _ in range(2):
        waiting = await stage.done(transfer, busy.key, **later)
    await stage.done(f"POST /stablecoin/transfers/{waiting['id']}/cancel", busy.key)
    redeem = {"amount": "20.00", "destination": BANK}
    await stage.done("POST /stablecoin/redeem", busy.key, reference_id=stage.name(), **redeem)
    held = await stage.done(
        "POST /stablecoin/redeem",
        busy.key,
        reference_id=stage.name(),
        amount="7.00",
        destination=HELD,
    )
    await stage.done(f"POST /stablecoin/redemptions/{held['id']}/cancel", busy.key)
    await pay(stage, busy, "8.00")
    await pay(stage, busy, "9.00", recipient=friend.wallet)
    kept = await pay(stage, busy, "12.00", recipient=friend.wallet, capture=False)
    await stage.done(f"POST /payments/{kept['id']}/capture", busy.key, amount="11.00")
    paid = await paid_by(stage, busy, friend, "30.00")
    await stage.done(REFUND, busy.key, payment=paid["id"], amount="4.00")
    await confirm(stage, await ask_for(stage, friend, "6.00"), busy)
    for currency, amount in (("usd", "200.00"), ("jpy", "3000"), ("kwd", "1.234")):
        await earn(stage, busy, amount, currency)
    await stage.done(PAYOUT, busy.key, **terms(amount="50.00"))
    failing = await stage.done(PAYOUT, busy.key, **terms(amount="60.00", destination=HELD))
    await stage.done(f"POST /payouts/{failing['id']}/fail", busy.key)
    stock = {"on_hand": 5}
    mug = {"name": "Mug", "unit_price": "1.00", "currency": "usd"}
    await stage.done("POST /products", busy.key, inventory=stock, **mug)
    return busy


async def history(stage: Stage, party: Party, query: str = "") -> list[dict[str, Any]]:
    """The whole history, newest first, read in pages of three."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        path = f"/balance/history?limit=3{cursor}{query}"
        page = await stage.get(path, party.key)
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = f"&starting_after={found[-1]['id']}"


async def test_a_new_account_holds_what_its_first_payment_left(stage: Stage) -> None:
    party = await stage.open_account()
    balance = await stage.get("/balance", party.key)
    nothing, none = ({"amount": "0.00", "currency": currency} for currency in ("ssusd", "usd"))
    assert balance == {
        "object": "balance",
        "livemode": False,
        "address": party.wallet,
        "available": [nothing, {"amount": "96.80", "currency": "usd"}],
        "pending": [nothing, none],
        "locked": [nothing, none],
        "as_of": NOW,
    }
    page = await stage.get("/balance/history", party.key)
    assert (page["has_more"], page["url"]) == (False, "/v1/balance/history")
    settled, paid = page["data"]
    assert {settled["source"], paid["source"]} == {"pay_test_456"}
    assert (settled["type"], paid["type"]) == ("settlement", "payment")
    assert settled["change"] == {"available": "96.80", "pending": "-96.80", "locked": "0.00"}
    assert paid["change"] == {"available": "0.00", "pending": "96.80", "locked": "0.00"}


async def test_a_live_account_begins_with_nothing(stage: Stage) -> None:
    party = await stage.open_account(livemode=True)
    balance = await stage.get("/balance", party.key)
    parts = (balance["available"], balance["pending"], balance["locked"])
    assert parts == ([{"amount": "0.00", "currency": "ssusd"}],) * 3
    assert (await stage.get("/balance/history", party.key))["data"] == []


async def test_a_balance_is_what_the_ledger_says_of_each_currency(
    stage: Stage, busy: Party
) -> None:
    held = await funds(stage, busy)
    assert list(held) == ["ssusd", "jpy", "kwd", "usd"]
    assert held["usd"] == ("150.00", "0.00", "0.00")
    assert held["jpy"] == ("3000", "0", "0")
    assert held["kwd"] == ("1.234", "0.00", "0.00")
    of_ssusd = (await stage.get("/stablecoin/balance", busy.key))["balances"]
    assert held["ssusd"] == tuple(of_ssusd[part] for part in PARTS)
    assert held["ssusd"][2] == "3.01"


async def test_history_is_every_entry_on_the_wallet_and_sums_to_the_balance(
    stage: Stage, busy: Party
) -> None:
    shown = await history(stage, busy)
    ids = [each["id"] for each in shown]
    assert ids == sorted(ids, reverse=True)
    entered = await stage.rows(
        "SELECT DISTINCT transaction FROM ledger_entry WHERE account = $1 AND code LIKE 'wallet:%'",
        busy.id,
    )
    assert set(ids) == {row["transaction"] for row in entered}
    held = await funds(stage, busy)
    for at, part in enumerate(PARTS):
        for currency, amounts in held.items():
            changes = [each["change"][part] for each in shown if each["currency"] == currency]
            assert sum(map(Decimal, changes)) == Decimal(amounts[at]), (part, currency)


async def test_history_names_what_caused_each_movement(stage: Stage, busy: Party) -> None:
    shown = await history(stage, busy, "&expand[]=data.source")
    objects = {each["source"]["object"] for each in shown if isinstance(each["source"], dict)}
    assert objects >= {
        *("payment", "refund", "payout", "stablecoin_issuance"),
        *("stablecoin_redemption", "stablecoin_transfer"),
    }
    assert {each["object"] for each in shown} == {"balance_transaction"}
    assert "postings" not in shown[0]


@pytest.mark.parametrize(
    ("query", "member", "value"),
    [
        ("currency=usd", "currency", "usd"),
        ("currency=ssusd&type=transfer", "type", "transfer"),
        ("type=payout", "type", "payout"),
    ],
)
async def test_history_is_filtered(
    stage: Stage, busy: Party, query: str, member: str, value: str
) -> None:
    everything = await history(stage, busy)
    shown = await history(stage, busy, f"&{query}")
    wanted = dict(each.split("=") for each in query.split("&"))
    expected = [each for each in everything if all(each[name] == wanted[name] for name in wanted)]
    assert shown == expected
    assert {each[member] for each in shown} == {value}


async def test_history_is_filtered_by_time(stage: Stage, busy: Party) -> None:
    assert await history(stage, busy, f"&created[lt]={NOW}") == []
    assert await history(stage, busy, f"&created[gte]={NOW}") == await history(stage, busy)


async def test_stock_is_no_money_and_others_do_not_read_it(stage: Stage, busy: Party) -> None:
    assert await history(stage, busy, "&type=stock") == []
    stock = await stage.get("/stablecoin/transactions?type=stock", busy.key)
    stranger = await stage.open_account()
    ours = (await history(stage, busy))[0]
    for id_, key in ((stock["data"][0]["id"], busy.key), (ours["id"], stranger.key)):
        route = f"GET /balance/history/{id_}"
        reply = await stage.ask(route, key)
        assert (reply.status, reply.error["code"]) == (404, "resource_missing")
        reply = await stage.ask(f"GET /balance/history?starting_after={id_}", key)
        assert (reply.status, reply.error["code"]) == (400, "cursor_invalid")
    assert await stage.get(f"/balance/history/{ours['id']}", busy.key) == ours


async def test_what_two_parties_share_is_in_both_histories_as_each_sees_it(stage: Stage) -> None:
    payer, payee = await funded(stage), await stage.open_account()
    await pay(stage, payer, "10.00", recipient=payee.wallet)
    theirs = (await history(stage, payee))[0]
    ours = (await history(stage, payer))[0]
    assert theirs["id"] == ours["id"]
    assert theirs["change"]["available"] == "9.99"
    assert ours["change"]["available"] == "-10.00"


@pytest.mark.parametrize("path", ["/balance", "/balance/history"])
async def test_a_key_needs_the_scope_to_read(stage: Stage, busy: Party, path: str) -> None:
    key = await stage.make_key(busy, "restricted", ["stablecoin:read"])
    await refused(stage, f"GET {path}", key, {}, 403, "insufficient_permissions", "payments:read")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
