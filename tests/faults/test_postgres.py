"""PostgreSQL stands still, or is killed: it is waited for, and the embedded one started again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from commerce.settings import Settings
from commerce.store.embedded import running_url
from tests.client import Answer, Client
from tests.faults.fault import LONG
from tests.faults.load import Asked, Load, now, see_honest
from tests.process import Serve, Server, wait_until

STILL_SECONDS = 10
KILLS = 10 if LONG else 1
PATIENCE_SECONDS = STILL_SECONDS + 3
"""Nobody is left without an answer for longer: those whose batch ran are answered after it."""
TOLD_SECONDS = 7.5
"""Who comes while it stands still is told so in 5 s, or when those are next looked for who wait."""
WAVES = (0.0, 0.2, 0.4)
"""When writers come after the stop: there are two lanes, so those of the last find none free."""
LATER = (1.2, 1.6, 2.0, 2.4, 2.8)
"""When writers come whose keys the server has forgotten, since it may have missed news of them."""


def family(pid: int) -> list[int]:
    """A postmaster and its children."""
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == pid:
            children.append(int(path.parent.name))
    return [pid, *children]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A PostgreSQL that stands still: nobody is answered, and nobody hung up on."""
    pids = family(pid)
    try:
        for each in pids:
            os.kill(each, signal.SIGSTOP)
        yield
    finally:
        for each in pids:
            os.kill(each, signal.SIGCONT)


def replaced(server: Server, pid: int) -> bool:
    """Whether another PostgreSQL runs."""
    found = server.postgres
    return found is not None and found.pid != pid


async def embedded_load(data_dir: Path, serve: Serve, *options: str) -> tuple[Server, Load, str]:
    server = await asyncio.to_thread(serve, data_dir, *options)
    url = running_url(data_dir)
    assert url is not None
    return server, await Load.prepared(server.url, Settings(data_dir=data_dir), url, now), url


async def write_at(load: Load, seconds: float) -> list[tuple[Answer, float]]:
    """After so long, one transfer of each party: the first answers to them."""
    await asyncio.sleep(seconds)
    pairs = zip(load.parties, load.parties[1:] + load.parties[:1], strict=True)
    asked = [
        Asked(f"still-{seconds}-{number}", sender, recipient, 1, None)
        for number, (sender, recipient) in enumerate(pairs)
    ]
    return await asyncio.gather(*map(load.ask_once, asked))


async def see_told(server: Server, load: Load) -> None:
    """While nothing can be read either, whoever asks is told so in time."""
    await asyncio.sleep(1)
    pages, api = Client(server.url, root=""), Client(server.url, load.parties[0].key)
    begin = time.monotonic()
    ready = await pages.ask("GET /readyz")
    assert (ready.status, ready.headers["retry-after"]) == (503, "1")
    assert time.monotonic() - begin < 3
    assert (await pages.ask("GET /healthz")).status == 200
    begin = time.monotonic()
    see_honest(await api.ask("GET /stablecoin/balance"))
    assert time.monotonic() - begin < TOLD_SECONDS
    await asyncio.gather(api.close(), pages.close())


async def test_while_postgresql_stands_still_everybody_is_told_so_and_nothing_is_lost(
    data_dir: Path, serve: Serve
) -> None:
    server, load, url = await embedded_load(data_dir, serve)
    postgres = server.postgres
    assert postgres is not None
    async with asyncio.timeout(120), load.running():
        await load.progress()
        with stopped(postgres.pid):
            over = time.monotonic() + STILL_SECONDS
            writers = [asyncio.create_task(write_at(load, at)) for at in WAVES + LATER]
            await see_told(server, load)
            left = over - time.monotonic()
            assert left > 0, "it stood still for longer, since somebody was kept waiting"
            await asyncio.sleep(left)
        waves = await asyncio.gather(*writers)
        await load.progress()
    for wave in waves[len(WAVES) - 1 :]:
        assert {answer.status for answer, _ in wave} == {503}
        assert max(seconds for _, seconds in wave) < TOLD_SECONDS
    assert load.lost == 0
    assert load.waited < PATIENCE_SECONDS, "somebody was kept waiting"
    assert server.postgres == postgres
    await load.see(url, data_dir)
    assert await asyncio.to_thread(server.stop) == 0


async def test_a_postgresql_that_is_killed_under_load_is_started_again(
    data_dir: Path, serve: Serve
) -> None:
    server, load, url = await embedded_load(data_dir, serve, "--workers", "2")
    seen = []
    async with asyncio.timeout(120 * KILLS), load.running():
        for _ in range(KILLS):
            await load.progress()
            postgres = server.postgres
            assert postgres is not None
            os.kill(postgres.pid, signal.SIGKILL)
            seen.append(postgres.pid)
            await asyncio.to_thread(wait_until, partial(replaced, server, postgres.pid))
        await load.progress()
    assert load.lost == 0
    assert load.statuses[503] > 0
    assert len(server.workers) == 2, "PostgreSQL took an API process with it"
    await load.see(url, data_dir)
    assert await asyncio.to_thread(server.stop) == 0
    assert server.postgres is None
    began = [line["pid"] for line in server.lines if line["event"] == "postgres_started"]
    assert len(began) == KILLS
    assert began[:-1] == seen[1:]
