"""Batches: all or nothing, refusals that name the row, sums, events, and what is read later."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from commerce.kernel.address import new
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage

ROUTE = "POST /stablecoin/transfer"
EXTERNAL = new(b"a wallet that nobody here owns, paid in a batch")


@pytest.fixture
async def friend(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def sender(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "1000.00")
    return party


def row(to: Party, amount: str = "1.00", **more: Any) -> dict[str, Any]:
    return {"to": to.wallet, "amount": amount, **more}


async def test_guards_stand_in_order_and_name_the_row(stage: Stage, friend: Party) -> None:
    sender = await stage.open_account(verification="basic")
    blocked = await stage.open_account()
    await stage.fund(sender.wallet, "100.00")
    await stage.block(blocked.wallet)
    good, bad = row(friend), {"to": "nonsense", "amount": "1.00"}
    limited = [row(friend, "4000.00")] * 3
    over = [row(friend, "40.00")] * 2 + [row(friend, "20.00")]
    await climb(
        stage,
        ROUTE,
        sender.key,
        Rung({"transfers": []}, 400, "parameter_invalid", "transfers"),
        Rung({"transfers": [good] * 501}, 400, "parameter_invalid", "transfers"),
        Rung({"transfers": [good, {"amount": "1"}]}, 400, "parameter_missing", "transfers[1].to"),
        Rung(
            {"transfers": [good, {**good, "ammount": "1"}]},
            *(400, "parameter_unknown", "transfers[1].ammount"),
        ),
        Rung(
            {"transfers": [good, {**good, "amount": "0"}]},
            *(400, "amount_invalid", "transfers[1].amount"),
        ),
        Rung(
            {"transfers": [good, {**good, "amount": "1.0000001"}]},
            *(400, "amount_precision", "transfers[1].amount"),
        ),
        Rung(
            {"transfers": [good, bad], "to": friend.wallet, "memo": "x"},
            *(400, "parameter_invalid", "to"),
        ),
        Rung({"to": ..., "amount": "1.00"}, 400, "parameter_invalid", "amount"),
        Rung({"amount": ...}, 400, "parameter_invalid", "memo"),
        Rung({"memo": ..., "metadata": {"a": "b"}}, 400, "parameter_invalid", "metadata"),
        Rung({"metadata": ..., "from": friend.wallet}, 400, "invalid_recipient", "transfers[1].to"),
        Rung({"transfers": [good, row(sender)]}, 403, "address_not_owned", "from"),
        Rung({"from": ..., "currency": "usd"}, 400, "parameter_invalid", "transfers[1].to"),
        Rung({"transfers": [good, row(blocked)]}, 400, "currency_unsupported", "currency"),
        Rung({"currency": ..., "scheduled_at": 1}, 400, "parameter_invalid", "scheduled_at"),
        Rung({"scheduled_at": ...}, 403, "sanctioned_party", "transfers[1].to"),
        Rung(
            {"transfers": [good, row(friend, "5000.01")]},
            *(402, "limit_exceeded", "transfers[1].amount", "5000.00 ssUSD per transfer"),
        ),
        Rung(
            {"transfers": limited},
            *(402, "limit_exceeded", "transfers[2].amount", "10000.00 ssUSD a day"),
        ),
        Rung(
            {"transfers": over},
            *(402, "insufficient_funds", "transfers[2].amount", "the available 100.00"),
        ),
    )


async def test_one_bad_row_of_five_hundred_moves_nothing(
    stage: Stage, sender: Party, friend: Party
) -> None:
    rows = [row(friend, "0.01") for _ in range(499)]
    await refused(
        stage,
        ROUTE,
        sender.key,
        {"transfers": [*rows, row(sender, "0.01")]},
        *(400, "parameter_invalid"),
    )
    done = await stage.done(ROUTE, sender.key, transfers=[*rows, row(friend, "0.01")])
    assert (done["total_amount"], done["fees"]) == ("5.00", {"network_fee": "5.00"})
    assert len({each["transaction"]["tx_hash"] for each in done["transfers"]}) == 500
    assert await stage.available(friend) == "5.00"


async def test_the_answer_is_what_is_read_later(stage: Stage, sender: Party, friend: Party) -> None:
    rows = [
        row(friend, "1.50", memo="a", metadata={"n": "1"}),
        {"to": EXTERNAL, "amount": {"denom": "ssusd", "amount": "250000"}},
        row(friend, "0.25"),
    ]
    reply = await stage.ask(ROUTE, sender.key, {"transfers": rows, "priority": "high"})
    assert reply.status == 201
    made = reply.json
    assert made["id"].startswith("bat_test_")
    assert (made["object"], made["total_amount"]) == ("stablecoin_batch_transfer", "2.00")
    assert (made["balance_after"], made["fees"]) == ("997.97", {"network_fee": "0.03"})
    assert [each["balance_after"] for each in made["transfers"]] == ["998.49", "998.23", "997.97"]
    assert [each["memo"] for each in made["transfers"]] == ["a", None, None]
    assert {each["batch"] for each in made["transfers"]} == {made["id"]}
    assert await stage.get(f"/stablecoin/batch_transfers/{made['id']}", sender.key) == made
    page = await stage.get(f"/stablecoin/transfers?batch={made['id']}", sender.key)
    assert list(reversed(page["data"])) == made["transfers"]
    for transfer in made["transfers"]:
        (event,) = await stage.events(sender, transfer["id"])
        assert (event["type"], event["data"]["object"]) == ("stablecoin.transferred", transfer)


async def test_a_repeated_batch_gets_the_first_answer(
    stage: Stage, sender: Party, friend: Party
) -> None:
    body = {"transfers": [row(friend)] * 3}
    first = await stage.ask(ROUTE, sender.key, body, Idempotency_Key="batch")
    again = await stage.ask(ROUTE, sender.key, body, Idempotency_Key="batch")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert await stage.available(friend) == "3.00"


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_the_rows_nothing_is_lost_or_made(
    stage: Stage, sender: Party, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - the same rows each time
    most = 10 ** random.randint(1, 8)
    amounts = [random.randint(1, most) for _ in range(random.randint(1, 60))]
    parties = [await stage.open_account() for _ in range(3)]
    picked = [random.choice(parties) for _ in amounts]
    rows = [
        {"to": party.wallet, "amount": {"denom": "ssusd", "amount": str(amount)}}
        for party, amount in zip(picked, amounts, strict=True)
    ]
    before = await stage.rows(BALANCE, f"wallet:{sender.wallet}:available")
    reply = await stage.ask(ROUTE, sender.key, {"transfers": rows})
    cost = sum(amounts) + 10_000 * len(amounts)
    after = await stage.rows(BALANCE, f"wallet:{sender.wallet}:available")
    paid = cost if reply.status == 201 else 0
    assert (reply.status == 201) is (cost <= before[0]["balance"])
    assert before[0]["balance"] - after[0]["balance"] == paid
    got = {party.wallet: 0 for party in parties}
    for party, amount in zip(picked, amounts, strict=True):
        got[party.wallet] += amount if paid else 0
    for address, amount in got.items():
        found = await stage.rows(BALANCE, f"wallet:{address}:available")
        assert sum(each["balance"] for each in found) == amount


BALANCE = "SELECT balance FROM ledger_balance WHERE code = $1 AND currency = 'ssusd'"


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
