"""What tests of payments by card set up: charges, what is heard of them, and what is pending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from commerce.engine.outside.call import Call
from tests.stage import Party, Reply, Stage

CREATE = "POST /payments/create"
VISA = "pm_card_visa"
SHOWS_UP = "pm_card_authenticationRequired"
DECLINED = "pm_card_chargeDeclined"
TIMES_OUT = "pm_card_timeout"
DAY = 86_400


async def ask(
    stage: Stage, party: Party, method: Any = VISA, amount: str = "100.00", **more: Any
) -> Reply:
    """Ask for a payment by card, whatever comes of it; `idempotency_key` is a header."""
    headers = {"Idempotency_Key": more.pop("idempotency_key")} if "idempotency_key" in more else {}
    body = {"amount": amount, "currency": "usd", "payment_method": method, **more}
    return await stage.ask(CREATE, party.key, body, **headers)


async def charge(
    stage: Stage, party: Party, method: Any = VISA, amount: str = "100.00", **more: Any
) -> dict[str, Any]:
    """A payment by card, which must be made."""
    reply = await ask(stage, party, method, amount, **more)
    assert reply.status == 201, reply.body
    made: dict[str, Any] = reply.json
    return made


async def seen(stage: Stage, party: Party, id_: str) -> dict[str, Any]:
    """A payment as it is now."""
    found: dict[str, Any] = await stage.get(f"/payments/{id_}", party.key)
    return found


async def recover(stage: Stage, seconds: int = 60) -> int:
    """Let the worker look at what is due by then; the clock stands where it stood after it."""
    stage.clock.advance(seconds)
    done = await stage.app.worker.turn()
    stage.clock.advance(-seconds)
    return done


async def balances(stage: Stage, address: str, currency: str = "usd") -> dict[str, int]:
    """What a wallet got of a currency, in the smallest unit, beyond what it began with."""
    query = """SELECT split_part(e.code, ':', 3) AS part, -sum(e.amount)::bigint AS balance
        FROM ledger_entry e
        JOIN ledger_transaction t ON t.livemode = e.livemode AND t.id = e.transaction
        WHERE e.code LIKE $1 AND e.currency = $2 AND t.source <> 'pay_test_456' GROUP BY 1"""
    rows = await stage.rows(query, f"wallet:{address}:%", currency)
    return {row["part"]: row["balance"] for row in rows}


async def notes(stage: Stage, party: Party) -> list[str]:
    """What the test processor was asked of an account's, beyond what it began with."""
    query = "SELECT asked FROM test_call WHERE account = $1 AND id <> 'pay_test_456'"
    return sorted(row["asked"] for row in await stage.rows(query, party.id))


async def network(stage: Stage, currency: str) -> dict[str, int]:
    """What the network's own accounts hold of a currency."""
    query = """SELECT split_part(code, '#', 1) AS code, sum(balance)::bigint AS balance
        FROM ledger_balance WHERE account = 'network' AND currency = $1 GROUP BY 1"""
    return {row["code"]: row["balance"] for row in await stage.rows(query, currency)}


@contextmanager
def heard(stage: Stage, way: Callable[[Any], Awaitable[Any]], *calls: type[Call]) -> Iterator[None]:
    """Have somebody else answer some calls; all of them, if none is named."""
    outside = stage.app.engine.outside
    before = outside._ways
    replaced = dict.fromkeys(calls or before, way)
    outside._ways = {**before, **replaced}
    try:
        yield
    finally:
        outside._ways = before


async def silence(_: Call) -> None:
    """Nobody answers."""
    raise ConnectionResetError
