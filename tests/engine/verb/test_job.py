"""Jobs in memory: run while there are any, put off when they fail, left to who was faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from commerce.engine.agenda import JOB
from commerce.engine.tx import Tx
from commerce.jobs import worker as working
from commerce.jobs.queue import Task
from commerce.jobs.worker import Worker, _postponement
from commerce.store.memory import Memory
from tests.engine.world import World, command
from tests.process import eventually


class Nothing(msgspec.Struct):
    """What the tests' own task is told."""


def worker_of(world: World, run: Callable[[Tx, Any], object]) -> Worker:
    """A worker that has one task."""
    task = Task("try", run, Nothing, lambda *_: None)
    return Worker(world.engine, {"try": task})


async def deferred(world: World, *subjects: str) -> None:
    """Jobs of that task, due now."""

    def defer(tx: Tx) -> None:
        for subject in subjects:
            tx.defer("try", subject, b"{}", at=tx.now)

    await world.submit(command(defer))


def jobs(memory: Memory) -> dict[str, tuple[int, str | None, int | None]]:
    """How often each job has failed, why, and when it is due."""
    return {row[3]: (row[6], row[7], row[5]) for row in memory.rows(JOB).all()}


async def test_a_full_hand_of_jobs_is_followed_by_another_at_once(
    world: World, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "JOBS_AT_ONCE_MAX", 2)
    monkeypatch.setattr(working, "LOOK_SECONDS", 600.0)
    await deferred(world, *"abcd")
    worker = worker_of(world, lambda tx, _: tx.now)
    running = asyncio.create_task(worker.run())

    async def done() -> bool:
        return jobs(memory) == {}

    await eventually(done)
    worker.stop()
    await running


async def test_a_job_that_fails_for_a_reason_no_verb_gave_is_put_off_and_told_why(
    world: World, memory: Memory
) -> None:
    await deferred(world, "a")

    def fail(_tx: Tx, _: Any) -> object:
        raise LookupError("on purpose")

    worker = worker_of(world, fail)
    assert await worker.turn() == 1
    assert jobs(memory) == {"a": (1, "LookupError", world.now() + 1)}
    world.clock.advance(1)
    assert await worker.turn() == 1
    assert jobs(memory) == {"a": (2, "LookupError", world.now() + 2)}


async def test_a_job_that_another_worker_has_done_or_put_off_is_not_put_off(
    world: World, memory: Memory
) -> None:
    await deferred(world, "a")
    worker = worker_of(world, lambda tx, _: tx.now)
    (job,) = await worker._due(world.now(), 1)
    await world.submit(_postponement(job, "slow"))
    once = {"a": (1, "slow", world.now() + 1)}
    assert jobs(memory) == once
    await world.submit(_postponement(job, "slower"))
    assert jobs(memory) == once
    world.clock.advance(1)
    await worker.turn()
    await world.submit(_postponement(job, "slower"))
    assert jobs(memory) == {}
