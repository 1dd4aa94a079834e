"""One budget, two server processes, for long: each plan's, and over a restart and a kill."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from commerce.areas.identity import account
from commerce.areas.identity.account import Plan, RateLimit
from commerce.http.limits.account import GRACE_PARTS, LEASED_FROM, PLANS, Limits
from commerce.installation import make_app
from commerce.settings import Settings
from tests.client import Client
from tests.process import Serve, Server, wait_until
from tests.races.conftest import MASTER_KEY, Servers
from tests.races.flood import Flooded, flood
from tests.races.scene import execute, open_parties, rows
from tests.stage import Party

OWN = Limits(500, 1_000, None)
"""The limits of the enterprise account: those of the plan are more than one client can send."""
SECONDS = 10


async def limited(settings: Settings, url: str, plan: Plan, own: Limits | None = None) -> Party:
    """An account on a plan, and its key."""
    [party] = await open_parties(settings, url, [None])
    rate_limit = None if own is None else RateLimit(**own._asdict())
    params = account.UpdateAccount(account=party.id, plan=plan, rate_limit=rate_limit)
    async with make_app(settings, url, "").running() as app:
        await app.operate(account.update, params, account=party.id, livemode=False)
    return party


def see_held(limits: Limits, found: Flooded) -> None:
    """That a bucket and its rate were given, to requests that came to both processes."""
    assert found.total.keys() == {200, 429}
    for statuses in found.statuses:
        assert statuses.total() > 0.45 * found.total.total()
        assert statuses[200] > 0
    given = found.total[200]
    least = limits.burst + limits.rate * (found.sent - found.answered)
    most = limits.burst + limits.rate * (found.ended - found.began)
    if limits.rate < LEASED_FROM:
        assert int(least) <= given <= int(most), (least, given, most)
        return
    graces = 0 if limits.daily is not None else 2
    assert 0.95 * least <= given <= most * (1 + graces / GRACE_PARTS), (least, given, most)


@pytest.mark.slow
@pytest.mark.parametrize("plan", list(PLANS))
async def test_at_twice_its_rate_for_long_a_plan_gets_its_bucket_and_its_rate_of_two_servers(
    two_servers: Servers, plan: Plan
) -> None:
    one, two, url = two_servers
    settings = Settings(data_dir=Path("nowhere"), master_key=MASTER_KEY)
    own = OWN if plan == "enterprise" else None
    limits = own or PLANS[plan]
    party = await limited(settings, url, plan, own)
    found = await flood([one.url, two.url], party.key, 2 * limits.rate, SECONDS)
    see_held(limits, found)


@pytest.mark.slow
@pytest.mark.parametrize("ended", ["stopped", "killed"])
async def test_a_server_that_is_started_again_has_forgotten_nothing(
    data_dir: Path, serve: Serve, database_url: str, ended: str
) -> None:
    """Neither what was taken of the bucket nor what was taken of the day."""
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = await asyncio.to_thread(serve, data_dir, "--workers", "2", **settings)
    limits = Limits(rate=1, burst=60, daily=100)
    party = await limited(Settings(data_dir=data_dir), database_url, "enterprise", limits)
    first = await flood([server.url], party.key, 100, 0.8)
    assert 60 <= first.total[200] <= 60 + int(first.ended - first.began)
    await asyncio.to_thread(start_again, server, ended)
    second = await flood([server.url], party.key, 100, 0.8)
    assert first.total[200] + second.total[200] <= 60 + int(second.ended - first.began)
    # As if time had passed, so that the bucket is full again while the day is not over.
    await execute(database_url, "UPDATE rate_budget SET full_at = full_at - 100 * 10^9::bigint")
    await asyncio.sleep(1)
    third = await flood([server.url], party.key, 100, 0.8)
    assert sum(found.total[200] for found in (first, second, third)) == 100
    async with Client(server.url, party.key) as client:
        assert (await client.ask("GET /account")).code == "daily_limit_exceeded"
    query = "SELECT used FROM rate_budget WHERE account = $1"
    assert await rows(database_url, query, party.id) == [(100,)]


def start_again(server: Server, ended: str) -> None:
    """Start a server again that was stopped, or that died with its processes."""
    if ended == "stopped":
        assert server.stop() == 0
    else:
        workers = server.workers
        server.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    server.start()
