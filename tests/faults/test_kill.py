"""A process that is killed at any point between the engine's steps takes nothing with it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from commerce.settings import Settings
from tests.faults.fault import LONG, Faults
from tests.faults.load import Load, now
from tests.faults.saboteur import ENGINE_POINTS, LIMITER_POINTS, NEIGHBOURS, WORKER_POINTS
from tests.process import Serve, wait_until

ROUNDS = 10 if LONG else 1
EVERY_POINT = [*ENGINE_POINTS, *LIMITER_POINTS, *WORKER_POINTS]
POINTS = EVERY_POINT if LONG else [each for each in EVERY_POINT if each not in NEIGHBOURS][::3]
"""In `make test` every third that is not next to another one."""


async def test_a_kill_at_any_step_of_engine_limiter_and_jobs_loses_and_doubles_nothing(
    data_dir: Path, serve: Serve, database_url: str, faults: Faults
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url, **faults.environment}
    server = await asyncio.to_thread(serve, data_dir, "--workers", "2", **settings)
    load = await Load.prepared(server.url, Settings(data_dir=data_dir), database_url, now)
    points = [*POINTS] * ROUNDS
    random.Random(3).shuffle(points)  # noqa: S311 - the same order every time

    async with asyncio.timeout(300 * ROUNDS), load.running():
        for point in points:
            await load.progress()
            await faults.strike(point)
        await load.progress()

    await asyncio.to_thread(wait_until, lambda: len(server.workers) >= len(points) + 2)
    assert len(server.workers) == len(points) + 2, "somebody died of something else"
    assert load.lost >= len(points) // 2, "hardly anything was on its way"
    await load.see_all_charged(database_url)
    await load.see(database_url, data_dir, COMMERCE_DATABASE_URL=database_url)
    assert await asyncio.to_thread(server.stop) == 0


@pytest.mark.slow
@pytest.mark.parametrize("point", ["commit.during", "answer.before"] if LONG else ["answer.before"])
async def test_an_answer_that_died_with_the_process_is_given_by_the_next_one(
    data_dir: Path, serve: Serve, database_url: str, faults: Faults, point: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url, **faults.environment}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    load = await Load.prepared(server.url, Settings(data_dir=data_dir), database_url, now)
    faults.arm(point)
    async with asyncio.timeout(120), load.running():
        await asyncio.to_thread(server.wait)
        assert not faults.is_armed(point)
        await asyncio.to_thread(server.start)
        await load.progress()
    first = [load.answers[asked.key] for asked in load.asked]
    assert any(answers[0].replayed for answers in first), "nothing had been committed"
    await load.see(database_url, data_dir, COMMERCE_DATABASE_URL=database_url)
    assert await asyncio.to_thread(server.stop) == 0
