"""Several API processes behind one port: they share the work, and are looked after."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from commerce.settings import Settings
from tests.client import Client
from tests.process import Serve, command_line, wait_until
from tests.races.scene import open_parties, transfers, verify, wallets

TRANSFER = "POST /stablecoin/transfer"
TURNS = 60


async def test_a_killed_api_process_is_replaced_and_no_transfer_is_lost_or_doubled(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = await asyncio.to_thread(serve, data_dir, "--workers", "2", **settings)
    parties = await open_parties(Settings(data_dir=data_dir), database_url, ["1000.00"] * 4)
    half_way = asyncio.Event()

    async def run(number: int) -> None:
        client = Client(server.url, parties[number % 4].key)
        for turn in range(TURNS):
            if turn == TURNS // 2:
                half_way.set()
            key = f"turn-{number}-{turn}"
            body = {"to": parties[(number + 1) % 4].wallet, "amount": "0.99", "memo": key}
            answer = await client.settle(TRANSFER, body, Idempotency_Key=key)
            assert answer.status == 201
            # A new connection is the next free process's.
            await client.close()

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(run(number))
        await half_way.wait()
        os.kill(server.workers[0], signal.SIGKILL)

    await asyncio.to_thread(wait_until, lambda: len(server.workers) == 3)
    keys = [f"turn-{number}-{turn}" for number in range(8) for turn in range(TURNS)]
    assert await transfers(database_url, keys) == dict.fromkeys(keys, 1)
    addresses = [party.wallet for party in parties]
    left = 1_000_000_000 - 2 * TURNS * 10_000
    assert await wallets(database_url, addresses) == dict.fromkeys(addresses, left)
    await verify(database_url)
    assert await asyncio.to_thread(server.stop) == 0
    assert [command_line(pid) for pid in server.workers] == ["", "", ""]
    survivor = server.workers[1]
    [did] = [
        line["commands"]
        for line in server.lines
        if line["event"] == "stopped" and line["pid"] == survivor
    ]
    assert 0 < did < len(keys), "one process did all the work"


async def test_api_processes_end_with_their_parent_and_leave_its_port(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = await asyncio.to_thread(serve, data_dir, "--workers", "2", **settings)
    url = server.url
    client = Client(url, server.sandbox["secret_key"])
    assert (await client.settle("GET /account")).status == 200
    await client.close()

    server.kill()

    await asyncio.to_thread(wait_until, lambda: not any(map(command_line, server.workers)))
    await asyncio.to_thread(server.start)
    assert server.url == url
    assert (await client.settle("GET /account")).status == 200
    await client.close()
    assert await asyncio.to_thread(server.stop) == 0
    assert not any(map(command_line, server.workers))


async def test_no_password_stands_on_a_command_line(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    url = database_url.replace("commerce@", "commerce:hunter2@")
    settings = {"COMMERCE_DATABASE_URL": url}
    server = await asyncio.to_thread(serve, data_dir, "--workers", "2", **settings)
    client = Client(server.url, server.sandbox["secret_key"])
    assert (await client.settle("GET /account")).status == 200
    await client.close()
    commands = [command_line(pid) for pid in [server.pid, *server.workers]]
    assert all(commands)
    assert not any("hunter2" in command for command in commands)
    assert "hunter2" not in server.log + server.out
