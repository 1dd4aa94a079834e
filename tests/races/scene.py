"""Who takes part in a race, made beside the servers, and what is seen when it is over."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from commerce.app import App
from commerce.areas.identity import account, api_key
from commerce.areas.stablecoin import issuance
from commerce.kernel.currency import SSUSD
from commerce.ledger.audit import audit
from commerce.resource.parameter import Dollars
from commerce.server import make_app
from commerce.settings import Settings
from tests.stage import ISSUER, Party


async def open_parties(settings: Settings, url: str, funds: list[str | None]) -> list[Party]:
    """An issuer's account for each amount, with a test key and the amount in its wallet."""
    async with make_app(settings, url, "").running() as app:
        return await asyncio.gather(*(_open(app, amount) for amount in funds))


async def _open(app: App, amount: str | None) -> Party:
    params = account.CreateAccount(plan="enterprise", capabilities=ISSUER)
    made = await app.operate(account.create, params, account="", livemode=False)
    asked = api_key.CreateApiKey(type="secret")
    key = await app.operate(api_key.create, asked, account=made.id, livemode=False)
    if amount is not None:
        minted = issuance.CreateIssuance(
            recipient=made.wallet, amount=Dollars.parse(amount, SSUSD), reference_id="funds"
        )
        await app.operate(issuance.issue, minted, account=made.id, livemode=False)
    return Party(made.id, livemode=False, key=str(key.secret))


async def rows(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of the database."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


async def wallets(url: str) -> dict[str, int]:
    """What is available in every wallet, in millionths."""
    query = "SELECT code, balance FROM ledger_balance WHERE code LIKE 'wallet:%:available'"
    return {code.split(":")[1]: balance for code, balance in await rows(url, query)}


async def verify(url: str) -> None:
    """See that every invariant of the ledger holds."""
    connection = await asyncpg.connect(url)
    try:
        report = await audit(connection)
    finally:
        await connection.close()
    assert report.findings == []
    assert report.entries > 0
