"""Who takes part in a race, made beside the servers, and what is seen when it is over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg

from commerce.app import App
from commerce.areas.identity import account, api_key
from commerce.areas.stablecoin import issuance
from commerce.installation import make_app
from commerce.kernel.currency import SSUSD
from commerce.ledger.audit import audit
from commerce.resource.parameter import Dollars
from commerce.settings import Settings
from tests.client import Client
from tests.process import Server
from tests.stage import ISSUER, Party

Funds = str | None
"""What is minted for a party before the race."""


class Pair:
    """Two servers on one database, and the clients of one race."""

    def __init__(self, one: Server, two: Server, url: str, master_key: str) -> None:
        self.url = url
        self._servers = (one, two)
        self._master_key = master_key
        self._clients: list[Client] = []

    async def open(self, funds: list[Funds]) -> list[Party]:
        """A party for each amount."""
        settings = Settings(data_dir=Path("nowhere"), master_key=self._master_key)
        return await open_parties(settings, self.url, funds)

    def clients(self, party: Party) -> list[Client]:
        """A client of each server."""
        made = [Client(server.url, party.key) for server in self._servers]
        self._clients += made
        return made

    def see_no_trouble(self) -> None:
        """No answer said that the server was at fault, and no connection was lost."""
        seen = sum((client.statuses for client in self._clients), Counter[int]())
        assert {status for status in seen if status >= 500} == set()
        assert {client.lost for client in self._clients} == {0}

    async def close(self) -> None:
        """Hang up."""
        await asyncio.gather(*(client.close() for client in self._clients))


async def open_parties(settings: Settings, url: str, funds: list[Funds]) -> list[Party]:
    """An issuer's account for each amount, with a test key and the amount in its wallet."""
    async with make_app(settings, url, "").running() as app:
        return await asyncio.gather(*(_open(app, amount) for amount in funds))


async def _open(app: App, amount: Funds) -> Party:
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


async def execute(url: str, statement: str, *values: Any) -> None:
    """Run one statement."""
    await rows(url, statement, *values)


async def rows(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of the database."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


async def wallets(url: str, addresses: Iterable[str]) -> dict[str, int]:
    """What is available at these addresses, in millionths, where there ever was anything."""
    query = """SELECT code, balance FROM ledger_balance
        WHERE code = ANY($1) AND currency = 'ssusd'"""
    codes = [f"wallet:{address}:available" for address in addresses]
    return {code.split(":")[1]: balance for code, balance in await rows(url, query, codes)}


async def transfers(url: str, memos: Iterable[str]) -> dict[str, int]:
    """How many transfers there are with each of these memos, where there are any."""
    query = "SELECT memo, count(*) FROM stablecoin_transfer WHERE memo = ANY($1) GROUP BY memo"
    return dict(await rows(url, query, list(memos)))


async def verify(url: str) -> None:
    """See that every invariant of the ledger holds."""
    connection = await asyncpg.connect(url)
    try:
        report = await audit(connection)
    finally:
        await connection.close()
    assert report.findings == []
    assert report.entries > 0
