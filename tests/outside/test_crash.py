"""Processes that die between the two commits, on a real PostgreSQL: nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from commerce.store.database import Database
from commerce.store.embedded import EmbeddedPostgres
from tests.database import migrated
from tests.engine.world import World
from tests.faults.fault import LONG, ROOT, Faults
from tests.faults.saboteur import OUTSIDE_POINTS
from tests.outside.parcel import MIGRATION, Branch, outside
from tests.outside.scene import Scene, read

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

FIRST, SECOND = 0, 1
POINTS = [
    *[(point, FIRST) for point in ("write.after", "commit.before", "commit.during")],
    *[(point, FIRST) for point in ("commit.after", "answer.before", *OUTSIDE_POINTS)],
    *[(point, SECOND) for point in ("load.before", "load.after", "verb.before", "verb.after")],
    *[(point, SECOND) for point in ("write.before", "write.after", "commit.before")],
    *[(point, SECOND) for point in ("commit.during", "commit.after", "answer.before")],
    ("answer.between", FIRST),
    ("forget.before", FIRST),
    ("forget.during", FIRST),
]
"""Where a process dies, and after how many times that it has come past there."""
EVERY_CASE = [(*point, kind) for point in POINTS for kind in ("somebody", "nobody")]
CASES = EVERY_CASE if LONG else EVERY_CASE[::3]
"""In `make test` every third."""


@pytest.fixture(scope="module")
async def url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    async with migrated(postgres.url) as url:
        connection = await asyncpg.connect(url)
        await connection.execute(MIGRATION)
        await connection.close()
        yield url


@pytest.fixture
async def sql(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def scene(url: str) -> AsyncIterator[Scene]:
    """The process that goes on."""
    async with World(Database(url, pool_size=2)).running() as world:
        yield Scene(world, outside(Branch(url)))
        await world.store.close()


async def act(url: str, key: str, recipient: str, faults: Faults) -> int:
    """Have another process send a parcel; gives how it ended."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.outside.actor", url, key, recipient],
        cwd=ROOT,
        env=os.environ | faults.environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    return await asyncio.wait_for(process.wait(), 60)


@pytest.mark.parametrize(("point", "passes", "kind"), CASES)
async def test_a_process_that_dies_anywhere_does_nothing_twice(  # noqa: PLR0913, PLR0917 - a case
    url: str, scene: Scene, sql: Connection, tmp_path: Path, point: str, passes: int, kind: str
) -> None:
    faults, key = Faults(tmp_path), f"{point}-{passes}-{kind}"
    recipient = f"{kind}-{key}"
    faults.arm(point, passes)
    assert await act(url, key, recipient, faults) == -signal.SIGKILL
    assert not faults.is_armed(point)

    begun = await sql.fetchrow("SELECT id FROM parcel WHERE recipient = $1", recipient)
    await scene.recover(61)
    answer = await scene.send(key, recipient)

    (parcel,) = await sql.fetch("SELECT * FROM parcel WHERE recipient = $1", recipient)
    assert begun is None or begun["id"] == parcel["id"]
    assert answer.replayed is (begun is not None)
    taken = await sql.fetchval("SELECT times FROM courier WHERE key = $1", parcel["id"])
    assert taken in {None, 1}, "the courier was sent twice"
    code = None if kind == "somebody" else "card_declined"
    code = code if taken else "processing_error"
    assert (parcel["status"], parcel["failure_code"]) == ("failed" if code else "sent", code)
    assert (answer.status, read(answer).get("code")) == (402 if code else 201, code)
    assert parcel["unknown_since"] is None
    assert (await scene.send(key, recipient)).body == answer.body
    assert await sql.fetchval("SELECT count(*) FROM job WHERE due_at IS NOT NULL") == 0


async def test_a_process_that_lives_is_answered_and_no_fault_is_left_over(
    url: str, scene: Scene, sql: Connection, tmp_path: Path
) -> None:
    assert await act(url, "alive", "alive", Faults(tmp_path)) == 0
    assert await scene.recover(61) == 0
    assert read(await scene.send("alive", "alive"))["tracking"] == "track-alive"
    assert await sql.fetchval("SELECT sum(times) FROM courier WHERE said = 'track-alive'") == 1


async def test_one_key_in_two_processes_at_once_is_one_parcel_and_one_answer(
    url: str, scene: Scene, sql: Connection
) -> None:
    async with World(Database(url, pool_size=2), scene.world.clock).running() as world:
        other = Scene(world, outside(Branch(url)))
        for number in range(5):
            key = f"both-{number}"
            sending = [each.send(key, key) for each in (scene, other, scene, other)]
            answers = await asyncio.gather(*sending)
            assert len({answer.body for answer in answers}) == 1
            assert [answer.replayed for answer in answers].count(False) == 1
            query = "SELECT times FROM courier WHERE said = $1"
            assert await sql.fetchval(query, f"track-{key}") == 1
        await world.store.close()
