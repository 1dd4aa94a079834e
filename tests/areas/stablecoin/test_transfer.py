"""Transfers: the guards in their order, the answer, its event, and what the ledger did."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from commerce.kernel.address import SAMPLE, new
from tests.ladder import Rung, climb, refused
from tests.stage import NOW, Party, Stage

ROUTE = "POST /stablecoin/transfer"
EXTERNAL = new(b"a wallet that nobody here owns")


@pytest.fixture
async def friend(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def sender(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "100.00")
    return party


async def test_guards_stand_in_order_and_a_refusal_leaves_nothing_behind(
    stage: Stage, friend: Party
) -> None:
    sender = await stage.open_account(verification="basic")
    blocked = await stage.open_account()
    await stage.fund(sender.wallet, "100.00")
    await stage.block(blocked.wallet)
    await climb(
        stage,
        ROUTE,
        sender.key,
        Rung({"amuont": "6000.00"}, 400, "parameter_unknown", "amuont", "Did you mean 'amount'?"),
        Rung({"amuont": ...}, 400, "parameter_missing", "to", "The 'to' parameter is required."),
        Rung({"to": "nonsense"}, 400, "parameter_missing", "amount"),
        Rung({"amount": "nonsense", "memo": "x" * 257}, 400, "amount_invalid", "amount"),
        Rung({"amount": "0.0000001"}, 400, "amount_precision", "amount"),
        Rung({"amount": "6000.00", "priority": "now"}, 400, "parameter_invalid", "memo", "256"),
        Rung({"memo": ..., "metadata": {"k": 5}}, 400, "parameter_invalid", "priority"),
        Rung({"priority": ..., "from": "nonsense"}, 400, "parameter_invalid", "metadata.k"),
        Rung({"metadata": ..., "currency": "usd"}, 400, "invalid_recipient", "to"),
        Rung({"to": sender.wallet}, 400, "invalid_recipient", "from"),
        Rung({"from": friend.wallet}, 403, "address_not_owned", "from"),
        Rung({"from": sender.wallet}, 400, "parameter_invalid", "to", "cannot send to itself"),
        Rung({"to": blocked.wallet}, 400, "currency_unsupported", "currency"),
        Rung({"currency": "ssusd"}, 403, "sanctioned_party", "to", blocked.wallet),
        Rung({"to": friend.wallet}, 402, "limit_exceeded", "amount", "5000.00 ssUSD per transfer"),
        Rung({"amount": "5000.00"}, 402, "insufficient_funds", "amount", "available 100.00"),
        Rung({"amount": "100.00"}, 402, "insufficient_funds", "amount", "fee of 0.01"),
    )
    done = await stage.done(ROUTE, sender.key, to=friend.wallet, amount="99.99")
    assert done["balance_after"] == "0.00"
    await stage.audit()


async def test_the_answer_says_everything_and_is_what_is_read_later(
    stage: Stage, sender: Party, friend: Party
) -> None:
    body = {
        "from": sender.wallet,
        "to": friend.wallet,
        "amount": "25.5",
        "currency": "ssusd",
        "memo": "Für die Miete 🏠",
        "priority": "high",
        "metadata": {"invoice": "42", "empty": "", "null": None},
    }
    reply = await stage.ask(ROUTE, sender.key, body)
    assert reply.status == 201
    transfer = reply.json
    assert transfer["id"].startswith("tr_test_")
    assert transfer == {
        "id": transfer["id"],
        "object": "stablecoin_transfer",
        "livemode": False,
        "created": NOW,
        "metadata": {"invoice": "42"},
        "amount": "25.50",
        "currency": "ssusd",
        "from": sender.wallet,
        "to": friend.wallet,
        "status": "confirmed",
        "memo": "Für die Miete 🏠",
        "priority": "high",
        "fees": {"network_fee": "0.01"},
        "balance_after": "74.49",
        "transaction": {
            "id": transfer["transaction"]["id"],
            "tx_hash": transfer["transaction"]["tx_hash"],
            "block_height": None,
            "chain": "stateset",
        },
        "scheduled_at": None,
        "batch": None,
        "failure_code": None,
    }
    assert await stage.get(f"/stablecoin/transfers/{transfer['id']}", sender.key) == transfer
    assert (await stage.available(sender), await stage.available(friend)) == ("74.49", "25.50")

    (event,) = await stage.events(sender, transfer["id"])
    assert event == {
        "id": event["id"],
        "object": "event",
        "livemode": False,
        "created": NOW,
        "metadata": {},
        "account": sender.id,
        "type": "stablecoin.transferred",
        "object_id": transfer["id"],
        "sequence": 1,
        "data": {"object": transfer, "previous_attributes": None},
        "request": {"id": reply.headers["request-id"], "idempotency_key": None},
        "api_version": "2026-11-01",
        "pending_webhooks": 0,
    }


async def test_the_ledger_debits_amount_and_fee_and_its_hash_can_be_computed(
    stage: Stage, sender: Party, friend: Party
) -> None:
    transfer = await stage.done(ROUTE, sender.key, to=friend.wallet, amount="10.000001")
    made = transfer["transaction"]
    payer = f"wallet:{sender.wallet}:available"
    payee = f"wallet:{friend.wallet}:available"
    assert await stage.entries(made["id"]) == {
        (sender.id, payer): 10_010_001,
        (friend.id, payee): -10_000_001,
        ("network", "fees:network"): -10_000,
    }
    postings = [
        [sender.id, payer, friend.id, payee, "ssusd", 10_000_001],
        [sender.id, payer, "network", "fees:network", "ssusd", 10_000],
    ]
    canonical: list[Any] = ["commerce.transaction.1", sender.id, made["id"], NOW, "transfer"]
    canonical += [transfer["id"], "transferred", 10_000_001, "ssusd"]
    canonical += [sender.wallet, friend.wallet, None, postings]
    text = json.dumps(canonical, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == made["tx_hash"]
    booked = await stage.get(f"/stablecoin/transactions/{made['id']}", sender.key)
    assert booked == {
        "id": made["id"],
        "object": "stablecoin_transaction",
        "livemode": False,
        "created": NOW,
        "metadata": {},
        "type": "transfer",
        "source": transfer["id"],
        "amount": "10.000001",
        "currency": "ssusd",
        "from": sender.wallet,
        "to": friend.wallet,
        "status": "confirmed",
        "tx_hash": made["tx_hash"],
        "block_height": None,
        "chain": "stateset",
        "memo": None,
    }


async def test_the_minimal_request_fills_in_the_rest(
    stage: Stage, sender: Party, friend: Party
) -> None:
    transfer = await stage.done(ROUTE, sender.key, to=friend.wallet, amount="1")
    assert transfer["from"] == sender.wallet
    given = (transfer["memo"], transfer["priority"], transfer["metadata"], transfer["amount"])
    assert given == (None, "medium", {}, "1.00")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0.1", "0.10"),
        ("0.000001", "0.000001"),
        ("1.10", "1.10"),
        ("3", "3.00"),
        ('"0.100000"', "0.10"),
        ('"007.5"', "7.50"),
        ('{"denom": "ssusd", "amount": "500001"}', "0.500001"),
    ],
)
async def test_amounts_are_read_from_their_text_exactly(
    stage: Stage, sender: Party, friend: Party, amount: str, shown: str
) -> None:
    text = f'{{"to": "{friend.wallet}", "amount": {amount}}}'
    reply = await stage.ask(ROUTE, sender.key, text)
    assert reply.status == 201, reply.body
    assert reply.json["amount"] == shown


@pytest.mark.parametrize(
    ("amount", "code", "param"),
    [
        ("1e2", "amount_invalid", "amount"),
        ("1E-2", "amount_invalid", "amount"),
        ("0", "amount_invalid", "amount"),
        ("-1", "amount_invalid", "amount"),
        ("-0.5", "amount_invalid", "amount"),
        ("0.0", "amount_invalid", "amount"),
        ("1.0000000", "amount_precision", "amount"),
        ("0.1234567", "amount_precision", "amount"),
        ("1000000000001", "amount_invalid", "amount"),
        ("9" * 5000, "amount_invalid", "amount"),
        (f'"{"9" * 5000}"', "amount_invalid", "amount"),
        ('"1e2"', "amount_invalid", "amount"),
        ('"NaN"', "amount_invalid", "amount"),
        ('"Infinity"', "amount_invalid", "amount"),
        ('"1,000.00"', "amount_invalid", "amount"),
        ('"\uff11.00"', "amount_invalid", "amount"),
        ('" 1.00"', "amount_invalid", "amount"),
        ('"+1.00"', "amount_invalid", "amount"),
        ('"1."', "amount_invalid", "amount"),
        ('".5"', "amount_invalid", "amount"),
        ('""', "amount_invalid", "amount"),
        ("true", "amount_invalid", "amount"),
        ("null", "amount_invalid", "amount"),
        ("[]", "amount_invalid", "amount"),
        ('{"denom": "ssusd"}', "parameter_missing", "amount.amount"),
        ('{"amount": "5"}', "parameter_missing", "amount.denom"),
        ('{"denom": "usd", "amount": "5"}', "currency_unsupported", "amount.denom"),
        ('{"denom": "ssusd", "amount": 5}', "amount_invalid", "amount.amount"),
        ('{"denom": "ssusd", "amount": "0.5"}', "amount_invalid", "amount.amount"),
        ('{"denom": "ssusd", "amount": "0"}', "amount_invalid", "amount.amount"),
        ('{"denom": "ssusd", "amount": "5", "x": 1}', "parameter_unknown", "amount.x"),
    ],
)
async def test_amounts_that_could_be_misread_are_refused(
    stage: Stage, sender: Party, amount: str, code: str, param: str
) -> None:
    text = f'{{"to": "{EXTERNAL}", "amount": {amount}}}'
    reply = await stage.ask(ROUTE, sender.key, text)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, param)


async def test_a_number_is_not_taken_for_text(stage: Stage, sender: Party, friend: Party) -> None:
    for number in ("5", "1.5", "1e5"):
        text = f'{{"to": "{friend.wallet}", "amount": "1.00", "memo": {number}}}'
        reply = await stage.ask(ROUTE, sender.key, text)
        assert (reply.status, reply.error["param"]) == (400, "memo")


async def test_an_external_wallet_receives_and_nobody_here_sends_from_it(
    stage: Stage, sender: Party
) -> None:
    transfer = await stage.done(ROUTE, sender.key, to=EXTERNAL, amount="5.00")
    made = await stage.entries(transfer["transaction"]["id"])
    assert made[("network", f"wallet:{EXTERNAL}:available")] == -5_000_000
    body = {"from": EXTERNAL, "to": sender.wallet, "amount": "1.00"}
    await refused(stage, ROUTE, sender.key, body, 403, "address_not_owned")


async def test_an_address_in_capitals_is_the_same_address(
    stage: Stage, sender: Party, friend: Party
) -> None:
    transfer = await stage.done(ROUTE, sender.key, to=friend.wallet.upper(), amount="5.00")
    assert transfer["to"] == friend.wallet
    assert await stage.available(friend) == "5.00"
    body = {"to": friend.wallet.capitalize(), "amount": "1.00"}
    await refused(stage, ROUTE, sender.key, body, 400, "invalid_recipient")


async def test_the_documented_sample_is_an_address_in_test_mode_only(
    stage: Stage, sender: Party
) -> None:
    transfer = await stage.done(ROUTE, sender.key, to=SAMPLE, amount="1.00")
    assert transfer["to"] == SAMPLE
    live = await stage.in_mode(sender.id, livemode=True)
    body = {"to": SAMPLE, "amount": "1.00"}
    await refused(stage, ROUTE, live.key, body, 400, "invalid_recipient")


async def test_a_blocked_address_neither_sends_nor_receives_until_it_is_let_go(
    stage: Stage, sender: Party, friend: Party
) -> None:
    external = new(b"an outside wallet, soon on a list")
    there = {"to": friend.wallet, "amount": "1.00"}
    for address, body in ((sender.wallet, there), (external, {"to": external, "amount": "1.00"})):
        await stage.block(address)
        await refused(stage, ROUTE, sender.key, body, 403, "sanctioned_party", address)
        await stage.block(address, blocked=False)
        await stage.done(ROUTE, sender.key, **body)


async def test_a_block_in_one_mode_is_none_in_the_other(stage: Stage, sender: Party) -> None:
    external = new(b"an outside wallet, blocked in live mode")
    await stage.block(external, livemode=True)
    await stage.done(ROUTE, sender.key, to=external, amount="1.00")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
