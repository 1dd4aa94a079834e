"""Transactions as their parties read them: who paid and who was paid, and by which filters."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.kernel.address import new
from commerce.ledger.directory import Address
from tests.stage import Party, Stage

ROUTE = "POST /stablecoin/transfer"
LIST = "/stablecoin/transactions"


@pytest.fixture
async def friend(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def sender(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    return party


async def ids(stage: Stage, party: Party, query: str = "") -> list[str]:
    page = await stage.get(f"{LIST}?limit=100{query}", party.key)
    return [each["id"] for each in page["data"]]


async def pay(stage: Stage, sender: Party, to: str, **more: Any) -> str:
    made = await stage.done(ROUTE, sender.key, to=to, amount="1.00", **more)
    return str(made["transaction"]["id"])


async def test_the_recipient_reads_what_paid_it_and_is_told(
    stage: Stage, sender: Party, friend: Party
) -> None:
    transaction = await pay(stage, sender, friend.wallet, memo="Invoice 42")
    seen = await stage.get(f"{LIST}/{transaction}", friend.key)
    assert seen == await stage.get(f"{LIST}/{transaction}", sender.key)
    assert seen["memo"] == "Invoice 42"
    (event,) = await stage.events(friend, transaction)
    assert (event["type"], event["sequence"]) == ("stablecoin.received", 1)
    assert event["data"]["object"] == seen
    assert event["request"] == {"id": None, "idempotency_key": None}
    assert await stage.events(sender, transaction) == []
    stranger = await stage.open_account()
    assert (await stage.ask(f"GET {LIST}/{transaction}", stranger.key)).status == 404
    balance = await stage.get("/stablecoin/balance", friend.key)
    assert balance["first_transaction"] == balance["last_transaction"] == transaction
    funded = (await stage.get("/stablecoin/balance", sender.key))["first_transaction"]
    assert (await stage.get(f"{LIST}/{funded}", sender.key))["type"] == "issue"


async def test_between_wallets_of_one_account_both_events_are_its_own(
    stage: Stage, sender: Party
) -> None:
    second = new(b"another wallet of the sender")

    def open_wallet(tx: Any, address: str) -> None:
        tx.list_address(Address(False, address, sender.id, blocked=False))

    await stage.app.operate(open_wallet, second, account=sender.id, livemode=False)
    made = await stage.done(ROUTE, sender.key, to=second, amount="1.00")
    transaction = made["transaction"]["id"]
    told = [await stage.events(sender, each) for each in (made["id"], transaction)]
    assert [[each["type"] for each in events] for events in told] == [
        ["stablecoin.transferred"],
        ["stablecoin.received"],
    ]
    for direction in ("in", "out"):
        assert transaction in await ids(stage, sender, f"&direction={direction}")
    assert (await ids(stage, sender)).count(transaction) == 1
    back = {"from": second, "to": sender.wallet, "amount": "0.50"}
    assert (await stage.done(ROUTE, sender.key, **back))["balance_after"] == "0.49"


async def test_an_external_wallet_is_told_nothing(stage: Stage, sender: Party) -> None:
    query = "SELECT count(*) AS told FROM event WHERE type = 'stablecoin.received'"
    before = await stage.rows(query)
    await pay(stage, sender, new(b"an outsider who is paid"))
    assert await stage.rows(query) == before


async def test_direction_and_address_are_as_each_party_sees_them(
    stage: Stage, sender: Party, friend: Party
) -> None:
    (issued,) = await ids(stage, sender)
    there = [await pay(stage, sender, friend.wallet) for _ in range(3)]
    back = await pay(stage, friend, sender.wallet, priority="low")
    newest = [back, *reversed(there)]
    assert await ids(stage, sender) == [*newest, issued]
    assert await ids(stage, friend) == newest
    assert await ids(stage, sender, "&direction=in") == [back, issued]
    assert await ids(stage, sender, "&direction=out") == newest[1:]
    assert await ids(stage, friend, "&direction=in") == newest[1:]
    assert await ids(stage, friend, "&direction=out") == [back]
    assert await ids(stage, sender, f"&address={friend.wallet}") == newest
    assert await ids(stage, sender, f"&address={friend.wallet}&direction=in") == newest[1:]
    assert await ids(stage, sender, f"&address={sender.wallet}&direction=in") == [back, issued]
    assert await ids(stage, sender, "&type=issue") == [issued]
    assert await ids(stage, sender, "&status=confirmed&type[]=issue&type[]=transfer") == [
        *(*newest, issued),
    ]


async def test_pages_of_both_kinds_make_up_the_list(
    stage: Stage, sender: Party, friend: Party
) -> None:
    for number in range(4):
        await pay(stage, sender, friend.wallet)
        if number % 2:
            await stage.done(ROUTE, friend.key, to=sender.wallet, amount="0.10")
    every = await ids(stage, sender)
    seen: list[str] = []
    more, cursor = True, ""
    while more:
        page = await stage.get(f"{LIST}?limit=2{cursor}", sender.key)
        seen, more = [*seen, *(each["id"] for each in page["data"])], page["has_more"]
        cursor = f"&starting_after={seen[-1]}"
    assert seen == every
    page = await stage.get(f"{LIST}?limit=2&ending_before={every[-1]}", sender.key)
    assert [each["id"] for each in page["data"]] == every[-3:-1]


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("direction=up", "parameter_invalid", "direction"),
        ("address=nonsense", "invalid_recipient", "address"),
        ("adress=x", "parameter_unknown", "adress"),
        ("starting_after=txn_1", "cursor_invalid", "starting_after"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    stage: Stage, sender: Party, query: str, code: str, param: str
) -> None:
    reply = await stage.ask(f"GET {LIST}?{query}", sender.key)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, param)


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
