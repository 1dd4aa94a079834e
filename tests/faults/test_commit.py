"""The line to PostgreSQL is lost during COMMIT: PostgreSQL is asked what became of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from commerce.settings import Settings
from tests.client import Client
from tests.faults.fault import LONG
from tests.faults.load import TRANSFER, Load, now, see_honest
from tests.faults.proxy import Cut, Proxy
from tests.process import Serve, eventually
from tests.races.scene import open_parties, transfers, verify

CUTS: list[Cut] = ["before", "during", "after"]
ROUNDS = 100 if LONG else 8


@pytest.fixture
async def proxy(data_dir: Path, database_url: str) -> AsyncIterator[Proxy]:
    """A line to the test's database."""
    target = Path(database_url.partition("?host=")[2])
    async with Proxy.on(data_dir.with_name("proxy"), target) as proxy:
        yield proxy


def name_of(database_url: str) -> str:
    found = re.search(r"/(\w+)\?", database_url)
    assert found is not None
    return found[1]


async def test_a_lost_commit_is_answered_right_at_once(
    data_dir: Path, serve: Serve, database_url: str, proxy: Proxy
) -> None:
    settings = {"COMMERCE_DATABASE_URL": proxy.url(name_of(database_url))}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    [party, payee] = await open_parties(Settings(data_dir=data_dir), database_url, ["900.00", None])
    async with Client(server.url, party.key) as client:
        for number, cut in enumerate(CUTS * 2, 1):
            proxy.cuts = [cut]
            body = {"to": payee.wallet, "amount": "0.99", "memo": f"memo-{number}"}
            headers = {} if number > len(CUTS) else {"Idempotency_Key": cut}
            answer = await client.ask(TRANSFER, body, **headers)
            assert proxy.done == number
            assert (answer.status, answer.replayed) == (201, False)
            assert answer.json["balance_after"] == f"{900 - number}.00"
            assert await transfers(database_url, [f"memo-{number}"]) == {f"memo-{number}": 1}
            if headers:
                again = await client.ask(TRANSFER, body, **headers)
                assert (again.status, again.body, again.replayed) == (201, answer.body, True)
    await verify(database_url)
    assert await asyncio.to_thread(server.stop) == 0
    outcomes = [line["outcome"] for line in server.lines if line["event"] == "commit_recovered"]
    assert len(outcomes) == 6
    assert outcomes[::3] == ["aborted", "aborted"]
    assert outcomes[2::3] == ["committed", "committed"]
    assert set(outcomes[1::3]) <= {"aborted", "committed"}


@pytest.mark.parametrize("cut", ["before", "after"] if LONG else ["after"])
async def test_where_nobody_can_say_what_became_of_a_commit_it_is_said_so_and_a_retry_is_right(
    data_dir: Path, serve: Serve, database_url: str, proxy: Proxy, cut: Cut
) -> None:
    settings = {"COMMERCE_DATABASE_URL": proxy.url(name_of(database_url))}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    [party, payee] = await open_parties(Settings(data_dir=data_dir), database_url, ["900.00", None])
    body = {"to": payee.wallet, "amount": "0.99", "memo": cut}
    async with Client(server.url, party.key) as client:
        assert (await client.settle(TRANSFER, body)).status == 201
        proxy.cuts, proxy.closing = [cut], True
        see_honest(await client.ask(TRANSFER, body, Idempotency_Key=cut))
        assert proxy.done == 1
        proxy.open()

        answer = await client.settle(TRANSFER, body, Idempotency_Key=cut)

        assert (answer.status, answer.json["balance_after"]) == (201, "898.00")
        assert answer.replayed == (cut == "after")
    assert await transfers(database_url, [cut]) == {cut: 2}
    await verify(database_url)
    assert await asyncio.to_thread(server.stop) == 0


async def _more(proxy: Proxy, done: int) -> bool:
    """Whether more lines have been cut than so many."""
    return proxy.done > done


async def test_lines_that_are_lost_while_committing_under_load_double_nothing(
    data_dir: Path, serve: Serve, database_url: str, proxy: Proxy
) -> None:
    settings = {"COMMERCE_DATABASE_URL": proxy.url(name_of(database_url))}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    load = await Load.prepared(server.url, Settings(data_dir=data_dir), database_url, now)
    async with asyncio.timeout(120 + ROUNDS), load.running():
        for cut in CUTS * ROUNDS:
            done = proxy.done
            proxy.cuts.append(cut)
            await eventually(partial(_more, proxy, done))
        await load.progress()
    assert load.lost == 0
    assert load.statuses.keys() <= {201, 400, 402, 409, 503}
    outcomes = {line["outcome"] for line in server.lines if line["event"] == "commit_recovered"}
    assert outcomes == {"aborted", "committed"}
    await load.see(database_url, data_dir, **settings)
    assert await asyncio.to_thread(server.stop) == 0


@pytest.mark.skipif(not LONG, reason="waits for a time limit of 30 s: make faults")
async def test_a_line_that_falls_silent_while_committing_is_given_up_and_the_answer_is_right(
    data_dir: Path, serve: Serve, database_url: str, proxy: Proxy
) -> None:
    settings = {"COMMERCE_DATABASE_URL": proxy.url(name_of(database_url))}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    [party, payee] = await open_parties(Settings(data_dir=data_dir), database_url, ["900.00", None])
    proxy.cuts = ["silent"]
    async with Client(server.url, party.key) as client:
        body = {"to": payee.wallet, "amount": "0.99", "memo": "silent"}
        answer = await client.ask(TRANSFER, body)
        assert (answer.status, answer.json["balance_after"], proxy.done) == (201, "899.00", 1)
    assert await transfers(database_url, ["silent"]) == {"silent": 1}
    assert await asyncio.to_thread(server.stop) == 0
