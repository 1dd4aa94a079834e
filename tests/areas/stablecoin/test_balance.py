"""Balances and the reading of transactions."""

from __future__ import annotations

import pytest

from commerce.kernel.address import new
from tests.stage import NOW, Party, Stage


@pytest.fixture
async def party(stage: Stage) -> Party:
    return await stage.open_account()


async def test_a_wallet_that_was_never_credited_is_empty(stage: Stage, party: Party) -> None:
    assert await stage.get("/stablecoin/balance", party.key) == {
        "object": "stablecoin_balance",
        "address": party.wallet,
        "livemode": False,
        "currency": "ssusd",
        "balances": {"available": "0.00", "pending": "0.00", "locked": "0.00", "total": "0.00"},
        "as_of": NOW,
        "block_height": None,
        "transaction_count": 0,
        "first_transaction": None,
        "last_transaction": None,
    }


async def test_a_balance_counts_and_names_its_transactions(stage: Stage, party: Party) -> None:
    await stage.fund(party.wallet, "100.00")
    made = []
    for amount in ("1.00", "2.5", "0.000001"):
        body = {"to": new(b"somebody outside of here"), "amount": amount}
        transfer = await stage.done("POST /stablecoin/transfer", party.key, **body)
        made.append(transfer["transaction"]["id"])
    balance = await stage.get("/stablecoin/balance", party.key)
    assert balance["balances"]["available"] == balance["balances"]["total"] == "96.469999"
    assert balance["transaction_count"] == 4
    assert balance["last_transaction"] == made[-1]
    page = await stage.get("/stablecoin/transactions?type=transfer", party.key)
    assert [each["id"] for each in page["data"]] == made[::-1]


async def test_every_way_to_ask_for_a_balance_gives_the_same(stage: Stage, party: Party) -> None:
    await stage.fund(party.wallet, "100.00")
    first = await stage.get("/stablecoin/balance", party.key)
    for path in (
        f"/stablecoin/balance?address={party.wallet}",
        f"/stablecoin/balance/{party.wallet}",
        f"/stablecoin/balance/{party.wallet.upper()}",
    ):
        assert await stage.get(path, party.key) == first


async def test_nobody_reads_the_balance_of_another(stage: Stage, party: Party) -> None:
    other = await stage.open_account()
    live = await stage.in_mode(party.id, livemode=True)
    for address in (other.wallet, live.wallet, new(b"somebody outside of here")):
        for path in (f"/stablecoin/balance/{address}", f"/stablecoin/balance?address={address}"):
            reply = await stage.ask(f"GET {path}", party.key)
            found = (reply.status, reply.error["code"], reply.error["param"])
            assert found == (404, "resource_missing", "address")


async def test_a_wrong_address_is_named(stage: Stage, party: Party) -> None:
    for path in ("/stablecoin/balance/nonsense", "/stablecoin/balance?address=nonsense"):
        reply = await stage.ask(f"GET {path}", party.key)
        found = (reply.status, reply.error["code"], reply.error["param"])
        assert found == (400, "invalid_recipient", "address")
