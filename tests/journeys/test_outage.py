"""PostgreSQL goes away under a running server, and comes back: nobody is told anything wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from commerce.settings import Settings
from commerce.store.embedded import EmbeddedPostgres
from tests.client import Client
from tests.process import Serve, eventually, wait_until
from tests.races.scene import execute, open_parties, transfers, verify

TRANSFER = "POST /stablecoin/transfer"
CLIENTS = 6


class Database:
    """A PostgreSQL of its own, which may be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: EmbeddedPostgres | None = None

    def start(self) -> str:
        """Start it and give its URL, which stays the same."""
        self._server = EmbeddedPostgres.start(self._folder, durable=False)
        return self._server.url

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._server is not None:
            self._server.stop()
        self._server = None


@pytest.fixture
def database(data_dir: Path) -> Iterator[Database]:
    """A PostgreSQL that does not run yet, and does no more after the test."""
    database = Database(data_dir.with_name("database"))
    yield database
    database.stop()


async def answers(pages: Client, status: int) -> bool:
    """Whether the server says that it is ready, or that it is not."""
    return (await pages.ask("GET /readyz")).status == status


async def test_while_postgresql_is_away_requests_are_told_to_try_again(
    data_dir: Path, database: Database, serve: Serve
) -> None:
    url = database.start()
    server = serve(data_dir, COMMERCE_DATABASE_URL=url)
    [party, payee] = await open_parties(Settings(data_dir=data_dir), url, ["900.00", None])
    body = {"to": payee.wallet, "amount": "1.00"}
    api, pages = Client(server.url, party.key), Client(server.url, root="")
    assert (await api.settle(TRANSFER, body)).status == 201
    assert (await pages.ask("GET /readyz")).status == 200

    database.stop()

    for route in ("GET /stablecoin/balance", "GET /stablecoin/transfers"):
        answer = await api.ask(route)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    answer = await api.ask(TRANSFER, body)
    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    await eventually(lambda: answers(pages, 503))
    ready = await pages.ask("GET /readyz")
    assert (ready.status, ready.headers["retry-after"]) == (503, "1")
    assert (await pages.ask("GET /healthz")).status == 200

    database.start()

    assert (await api.settle(TRANSFER, body)).json["balance_after"] == "897.98"
    assert (await api.settle("GET /stablecoin/balance")).status == 200
    await eventually(lambda: answers(pages, 200))
    await asyncio.gather(api.close(), pages.close())
    assert server.stop() == 0
    assert {line["status"] for line in server.lines if line["event"] == "request"} == {
        200,
        201,
        503,
    }


async def test_transfers_go_through_once_while_postgresql_stops_starts_and_crashes(
    data_dir: Path, database: Database, serve: Serve
) -> None:
    url = database.start()
    server = serve(data_dir, COMMERCE_DATABASE_URL=url)
    [party, payee] = await open_parties(Settings(data_dir=data_dir), url, ["9000.00", None])
    clients = [Client(server.url, party.key) for _ in range(CLIENTS)]
    done: list[str] = []
    over = asyncio.Event()

    async def run(number: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            key = f"outage-{number}-{turn}"
            body = {"to": payee.wallet, "amount": "0.01", "memo": key}
            answer = await clients[number].settle(TRANSFER, body, Idempotency_Key=key)
            assert answer.status == 201, answer.body
            done.append(key)

    async def more() -> None:
        count = len(done) + 50
        await asyncio.to_thread(wait_until, lambda: len(done) >= count)

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(run(number))
        for _ in range(2):
            await more()
            await asyncio.to_thread(database.stop)
            await asyncio.to_thread(database.start)
        await more()
        await execute(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                      " WHERE application_name = 'commerce'")  # fmt: skip
        await more()
        over.set()

    assert await transfers(url, done) == dict.fromkeys(done, 1)
    assert {client.lost for client in clients} == {0}
    statuses = sum((client.statuses for client in clients[1:]), clients[0].statuses)
    assert set(statuses) == {201, 503}
    await verify(url)
    await asyncio.gather(*(client.close() for client in clients))
    assert server.stop() == 0
