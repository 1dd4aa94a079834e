"""What left a wallet and what came into it can be added up from its list of transactions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.stage import Party, Stage

LIST = "/stablecoin/transactions?limit=100"
BANK = {"type": "ach", "account_number": "123456789012", "routing_number": "021000021"}
FEE = Decimal("0.01")
HOUR = 3600


@pytest.fixture
async def party(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "500.00")
    return party


async def listed(stage: Stage, party: Party, query: str) -> list[dict[str, Any]]:
    """Transactions, oldest first, in the terms of a reader."""
    page = await stage.get(f"{LIST}{query}", party.key)
    names = ("type", "amount", "from", "to")
    return [{name: each[name] for name in names} for each in reversed(page["data"])]


def move(type_: str, amount: str, sender: str | None, recipient: str | None) -> dict[str, Any]:
    return {"type": type_, "amount": amount, "from": sender, "to": recipient}


async def schedule(stage: Stage, party: Party, to: Party) -> str:
    at = stage.clock.now_ms() // 1000 + HOUR
    body = {"to": to.wallet, "amount": "0.33", "scheduled_at": at}
    return str((await stage.done("POST /stablecoin/transfer", party.key, **body))["id"])


async def redeem(stage: Stage, party: Party, **bank: str) -> str:
    body = {"amount": "100.00", "reference_id": stage.name(), "destination": BANK | bank}
    return str((await stage.done("POST /stablecoin/redeem", party.key, **body))["id"])


async def test_a_completed_redemption_leaves_the_wallet_once(stage: Stage, party: Party) -> None:
    id_ = await redeem(stage, party)
    assert await listed(stage, party, f"&source={id_}") == [
        move("redeem", "100.00", party.wallet, None),
        move("settlement", "100.00", None, None),
    ]
    burned = [move("redeem", "100.00", party.wallet, None)]
    for query in ("&direction=out", "&type=redeem", f"&address={party.wallet}&direction=out"):
        assert await listed(stage, party, query) == burned


async def test_a_cancelled_redemption_comes_back(stage: Stage, party: Party) -> None:
    id_ = await redeem(stage, party, account_number="000000000000")
    await stage.done(f"POST /stablecoin/redemptions/{id_}/cancel", party.key)
    assert await listed(stage, party, f"&source={id_}") == [
        move("redeem", "100.00", party.wallet, None),
        move("redeem", "100.00", None, party.wallet),
    ]


async def test_what_is_set_aside_is_no_movement_and_shows_all_that_is_locked(
    stage: Stage, party: Party
) -> None:
    friend = await stage.open_account()
    made, cancelled = [await schedule(stage, party, friend) for _ in range(2)]
    await stage.done(f"POST /stablecoin/transfers/{cancelled}/cancel", party.key)
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    aside = move("reserve", "0.34", None, None)
    paid = move("transfer", "0.33", party.wallet, friend.wallet)
    assert await listed(stage, party, f"&source={made}") == [aside, paid]
    assert await listed(stage, party, f"&source={cancelled}") == [aside, aside]
    for query in ("&type=transfer", "&direction=out", f"&address={party.wallet}&direction=out"):
        assert await listed(stage, party, query) == [paid]
    assert await listed(stage, party, f"&address={party.wallet}") == [
        move("issue", "500.00", None, party.wallet),
        paid,
    ]
    balance = await stage.get("/stablecoin/balance", party.key)
    # Minted, set aside twice, given back once: the transfer was paid from what was set aside.
    assert balance["transaction_count"] == 4


async def test_the_movements_of_an_address_are_its_balance(stage: Stage, party: Party) -> None:
    friend = await stage.open_account()
    body = {"to": friend.wallet, "amount": "12.50"}
    await stage.done("POST /stablecoin/transfer", party.key, **body)
    await redeem(stage, party)
    back = await redeem(stage, party, account_number="000000000000")
    await stage.done(f"POST /stablecoin/redemptions/{back}/cancel", party.key)
    await schedule(stage, party, friend)
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    cancelled = await schedule(stage, party, friend)
    await stage.done(f"POST /stablecoin/transfers/{cancelled}/cancel", party.key)
    left = Decimal(0)
    for direction, sign in (("in", 1), ("out", -1)):
        query = f"&address={party.wallet}&direction={direction}"
        for each in await listed(stage, party, query):
            left += sign * Decimal(each["amount"])
            left -= FEE if each["type"] == "transfer" and direction == "out" else 0
    assert str(left) == await stage.available(party) == "387.15"
    await stage.audit()
