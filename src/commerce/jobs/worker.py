"""The worker: finds jobs whose time has come and has the engine run them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from commerce.engine.agenda import JOB, Job
from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.outside.call import Heard
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.meter.meters import Meters
from commerce.store.session import StoreUnavailable
from commerce.store.table import Filter, Page

if TYPE_CHECKING:
    from commerce.engine.engine import Engine
    from commerce.engine.overlay import Needs
    from commerce.jobs.queue import Task

JOBS_AT_ONCE_MAX = 100
"""How many jobs a worker takes at a time; requests that arrive meanwhile share their batches."""
LOOK_SECONDS = 1.0
"""About how often a worker looks. Workers do so at random times, so that seldom two look at once;
where they do, the second finds the jobs done.
"""
RETRY_SECONDS_MAX = 3600
_DOUBLINGS_MAX = 12
UNAVAILABLE = "unavailable"
DONE, MISSED, NOT_YET = 200, 204, 202
"""What a job's command answers: it has done the job, or another worker was faster, or the job is
to be kept, since another worker has put it off, or the clock was set back, or nobody outside has
said yet what became of it.
"""
OUTCOMES = ("done", "missed", "failed", "unavailable")

log = structlog.get_logger("commerce.jobs")


class Worker:
    """Runs due jobs, beside any number of other workers on the same store."""

    def __init__(
        self, engine: Engine, tasks: Mapping[str, Task], meters: Meters | None = None
    ) -> None:
        self._engine = engine
        self.tasks = tasks
        self._stopping = asyncio.Event()
        self._outcomes = (meters or Meters()).counters(
            "commerce_jobs_total",
            "Jobs tried: done, missed (another worker was faster), failed (and put off), or"
            " unavailable (the store was away).",
            task=sorted(tasks),
            outcome=OUTCOMES,
        )
        self._swept = False

    async def run(self) -> None:
        """Run jobs as they become due, until told to stop; a store that is away is waited for."""
        while not self._stopping.is_set():
            found = 0
            try:
                if not self._swept:
                    await self.sweep()
                found = await self.turn()
            except StoreUnavailable as error:
                self._swept = False
                log.warning("jobs_wait", reason=str(error))
            except Exception:
                log.exception("jobs_failed")
            if found < JOBS_AT_ONCE_MAX:
                await self._rest()

    def stop(self) -> None:
        """Finish what runs, and look no more."""
        self._stopping.set()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            seconds = LOOK_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - nobody's secret
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def lag(self) -> int:
        """For how many seconds the job has been due that is due the longest; 0 for none."""
        now = self._engine.means.now()
        return max((now - (job.due_at or now) for job in await self._due(now, 1)), default=0)

    async def _due(self, now: int, at_most: int) -> list[Job]:
        filters = [Filter("due_at", "<=", now), Filter("task", "in", sorted(self.tasks))]
        page = Page(JOB, filters, ("due_at",), at_most, ascending=True)
        return [Job.of(row) for row in await self._engine.store.page(page)]

    async def turn(self) -> int:
        """Run the jobs that are due now, the longest due first; gives how many were tried."""
        now = self._engine.means.now()
        jobs = await self._due(now, JOBS_AT_ONCE_MAX)
        done = await asyncio.gather(*(self._do(job) for job in jobs))
        await self._forget([job for job, so in zip(jobs, done, strict=True) if so])
        return len(jobs)

    async def sweep(self) -> None:
        """Delete the jobs that were done by workers who died, or lost the store, before they did.

        Nobody finds them by their time any more.
        """
        page = Page(JOB, [Filter("due_at", "null", None)], ("created",), JOBS_AT_ONCE_MAX)
        while rows := await self._engine.store.page(page):
            await self._forget([Job.of(row) for row in rows])
        self._swept = True

    async def _forget(self, jobs: list[Job]) -> None:
        if jobs:
            # By a clock that was set back meanwhile they may have been made later than now.
            latest = max(job.created for job in jobs)
            keys = [job.key for job in jobs]
            await self._engine.store.forget(JOB, keys, created_before=latest + 1)

    async def _do(self, job: Job) -> bool:
        """Run one job; whether it is over. One that fails is put off, longer each time."""
        task = self.tasks[job.task]
        try:
            params = msgspec.json.decode(job.params, type=task.params)
            heard = () if task.ask is None else (await task.ask(params),)
            answer = await self._engine.submit(_command(job, task, params, *heard))
        except ApiError as error:
            problem = error.code
        except Exception as error:  # noqa: BLE001 - the engine has logged it
            problem = type(error).__name__
        else:
            self._outcomes[job.task, "done" if answer.status == DONE else "missed"].add()
            if answer.status == NOT_YET:
                return False
            log.info("job_done", task=job.task, subject=job.subject)
            return True
        self._outcomes[job.task, "failed" if problem != UNAVAILABLE else "unavailable"].add()
        if problem != UNAVAILABLE:
            log.warning("job_failed", task=job.task, subject=job.subject, problem=problem)
            with suppress(ApiError):
                await self._engine.submit(_postponement(job, problem))
        return False


def _command(job: Job, task: Task, params: Any, *heard: Any) -> Command:
    caller = task.caller(Caller(job.account, job.livemode), params)

    def run(tx: Tx) -> Answer:
        found = tx.job(job.key)
        if found is None or found.due_at is None:
            return Answer(MISSED, b"")
        if found.due_at > tx.now:
            return Answer(NOT_YET, b"")
        task.run(tx, params, *heard)
        if Heard.SILENCE in heard:
            tx.change_job(found, due_at=tx.now + _pause(found), problem=Heard.SILENCE.value)
            return Answer(NOT_YET, b"")
        tx.change_job(found, due_at=None)
        return Answer(DONE, b"")

    def needs(needs: Needs) -> None:
        needs.row(JOB.key, job.key, lock=True)
        task.needs(needs, caller, params)

    return Command(caller, run, needs, weight=10)


def _pause(job: Job) -> int:
    """For how many seconds a job is put off that has failed so often, and once more now."""
    return int(min(2 ** min(job.attempts, _DOUBLINGS_MAX), RETRY_SECONDS_MAX))


def _postponement(job: Job, problem: str) -> Command:
    def run(tx: Tx) -> Answer:
        found = tx.job(job.key)
        # Another worker may have been faster.
        if found is not None and found.due_at is not None and found.due_at <= tx.now:
            tx.change_job(found, due_at=tx.now + _pause(found), problem=problem)
        return Answer(200, b"")

    def needs(needs: Needs) -> None:
        needs.row(JOB.key, job.key, lock=True)

    return Command(Caller(job.account, job.livemode), run, needs)
