"""A scheduled transfer is made once, whenever the server is killed around its time."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from commerce.kernel.address import SAMPLE
from commerce.store.embedded import running_url
from tests.client import Client
from tests.process import Serve, commerce, environment, eventually, wait_until
from tests.races.scene import rows

TRANSFER = "POST /stablecoin/transfer"
TRANSFERS = 40
KILLS = 4


async def schedule(client: Client, wallet: str, due_at: int) -> None:
    body = {"recipient": wallet, "amount": "100.00", "reference_id": "funds"}
    assert (await client.ask("POST /stablecoin/issue", body)).status == 201
    transfers = [{"to": SAMPLE, "amount": "1.00"}] * TRANSFERS
    reply = await client.ask(TRANSFER, {"transfers": transfers, "scheduled_at": due_at})
    assert reply.status == 201, reply.body


async def made(url: str) -> int:
    query = "SELECT count(*) FROM stablecoin_transfer WHERE status = 'confirmed'"
    return int((await rows(url, query))[0][0])


@pytest.mark.slow
async def test_kills_around_the_due_moment_neither_lose_nor_double_a_transfer(
    data_dir: Path, serve: Serve
) -> None:
    server = serve(data_dir, "--workers", "2")
    sandbox = server.sandbox
    due_at = int(time.time()) + 8
    async with Client(server.url, sandbox["secret_key"]) as client:
        await schedule(client, sandbox["wallet"], due_at)
    url = running_url(data_dir)
    assert url is not None
    wait_until(lambda: time.time() > due_at - 0.3)
    for pause in range(KILLS):
        await asyncio.sleep(0.2 * pause)
        server.kill()
        server.start()

    async def all_made() -> bool:
        return await made(url) == TRANSFERS

    await eventually(all_made)
    async with Client(server.url, sandbox["secret_key"]) as client:
        answer = await client.settle("GET /stablecoin/balance")
    assert answer.status == 200, answer.body
    balances = answer.json["balances"]
    assert balances == {"available": "59.60", "pending": "0.00", "locked": "0.00", "total": "59.60"}
    assert commerce("verify", "--data-dir", data_dir).status == 0
    assert server.stop() == 0


async def test_a_worker_alone_makes_what_is_due_and_stops_when_told(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = serve(data_dir, **settings)
    sandbox = server.sandbox
    async with Client(server.url, sandbox["secret_key"]) as client:
        await schedule(client, sandbox["wallet"], int(time.time()) + 8)
    assert server.stop() == 0
    assert await made(database_url) == 0
    command = [sys.executable, "-m", "commerce", "worker", "--data-dir", str(data_dir)]
    worker = await asyncio.create_subprocess_exec(
        *command, env=environment(settings), stdin=PIPE, stdout=PIPE
    )
    try:

        async def all_made() -> bool:
            return await made(database_url) == TRANSFERS

        await eventually(all_made)
        worker.terminate()
        out, _ = await asyncio.wait_for(worker.communicate(), 20)
    finally:
        if worker.returncode is None:
            worker.kill()
    assert (worker.returncode, out) == (0, b"Jobs are being run\n")
