"""Two servers on one database: an account gets its bucket and its rate from both together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from commerce.areas.identity import account, api_key
from commerce.areas.identity.account import Plan, RateLimit
from commerce.installation import make_app
from commerce.settings import Settings
from tests.client import Client
from tests.races.conftest import MASTER_KEY
from tests.races.scene import Pair
from tests.stage import Party

OWN = "GET /account"


class Span(NamedTuple):
    """Between which times tokens came back: a bucket is full until it is first taken from."""

    least: float
    most: float


async def opened(pair: Pair, plan: Plan, own: RateLimit | None = None) -> Party:
    """An account on a plan, made beside the servers."""
    settings = Settings(data_dir=Path("nowhere"), master_key=MASTER_KEY)
    async with make_app(settings, pair.url, "").running(serving=False) as app:
        params = account.CreateAccount(plan=plan)
        made = await app.operate(account.create, params, account="", livemode=False)
        if own is not None:
            update = account.UpdateAccount(account=made.id, rate_limit=own)
            await app.operate(account.update, update, account=made.id, livemode=False)
        asked = api_key.CreateApiKey(type="secret")
        key = await app.operate(api_key.create, asked, account=made.id, livemode=False)
    return Party(made.id, livemode=False, key=str(key.secret))


async def sent(clients: list[Client], rate: int, seconds: float) -> tuple[Counter[int], Span]:
    """Send requests at a rate; gives what was answered, and how long it took."""
    statuses: Counter[int] = Counter()
    began = time.monotonic()
    asked, answered = [], []

    async def run(client: Client, number: int) -> None:
        for turn in range(int(rate * seconds / len(clients))):
            due = began + (turn * len(clients) + number) / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asked.append(time.monotonic())
            statuses[(await client.ask(OWN)).status] += 1
            answered.append(time.monotonic())

    await asyncio.gather(*(run(client, number) for number, client in enumerate(clients)))
    return statuses, Span(max(asked) - min(answered), max(answered) - began)


@pytest.mark.parametrize(
    ("plan", "own", "rate", "burst"),
    [
        ("free", None, 10, 20),
        ("starter", None, 100, 200),
        ("enterprise", RateLimit(rate=200, burst=100), 200, 100),
    ],
)
async def test_at_twice_its_rate_an_account_gets_its_bucket_and_its_rate_from_both(
    pair: Pair, plan: Plan, own: RateLimit | None, rate: int, burst: int
) -> None:
    party = await opened(pair, plan, own)
    clients = [client for _ in range(8) for client in pair.clients(party)]
    statuses, span = await sent(clients, 2 * rate, burst / rate + 1.0)
    least, most = burst + rate * span.least, burst + rate * span.most
    assert statuses.keys() == {200, 429}
    assert statuses[429] > 0
    slack = 0 if rate < 100 else 0.05 * least
    # Each server may be one request ahead of a fast plan without a daily limit.
    ahead = 2 if plan == "enterprise" else 0
    assert least - slack - 1 <= statuses[200] <= most + ahead
    pair.see_no_trouble()


async def test_a_day_ends_at_its_number_for_both(pair: Pair) -> None:
    party = await opened(pair, "enterprise", RateLimit(rate=1_000, burst=5_000, daily=101))
    clients = [client for _ in range(4) for client in pair.clients(party)]
    statuses, _ = await sent(clients, 1_000, 0.2)
    assert statuses == {200: 101, 429: 99}
    answer = await clients[0].ask(OWN)
    assert (answer.code, answer.headers["ratelimit"][:12]) == (
        "daily_limit_exceeded",
        '"daily";r=0;',
    )
