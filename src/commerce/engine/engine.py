"""The engine: requests that arrive together share a batch, and a batch is one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from commerce.engine.answers import (
    ANSWER,
    KEPT_SECONDS,
    RUNNING,
    Answer,
    Remembered,
    StillRunning,
    context,
)
from commerce.engine.command import Command, Work
from commerce.engine.lane import Lane
from commerce.engine.outbox import EVENT, OBJECT_AT
from commerce.engine.outside.call import Outside
from commerce.engine.outside.errand import Errands, unavailable
from commerce.engine.tally import Tally, Try
from commerce.engine.tx import Means
from commerce.kernel.errors import ApiError
from commerce.meter.meters import Meters

if TYPE_CHECKING:
    from commerce.store.session import Store

WAIT_SECONDS = 5.0
"""How long a second request with a key waits for the answer of those who came before it."""
RUNNING_PAUSE_SECONDS = 0.1
"""How often is asked whether a request has come back from outside."""

QUEUE_SECONDS_MAX = 5.0
"""How long a command may wait for its batch to begin: a store that stands still holds up all."""
SWEEP_SECONDS = 0.5

AnswerKey = tuple[str, bool, str]


class Engine:
    """Takes commands, batches them on its lanes, and remembers their answers."""

    def __init__(
        self,
        store: Store,
        means: Means,
        *,
        lanes: int = 1,
        weight_max: int = 512,
        meters: Meters | None = None,
    ) -> None:
        self.store = store
        self.means = means
        self.tally = Tally(meters or Meters())
        self.traced: Callable[[Try], None] | None = None
        """Told of every try at a batch, before anybody is answered; None where nobody traces."""
        self.announce: Callable[[str], None] = lambda _: None
        """Told of what a batch has changed that is cached here, before anybody is answered;
        other processes hear it from the store.
        """
        self.outside = Outside({})
        """Whom to ask between the two commits of a verb that needs somebody outside."""
        self.errands = Errands(self)
        self._weight_max = weight_max
        self._queue: deque[Work] = deque()
        self._arrived = asyncio.Event()
        self._flights: dict[AnswerKey, asyncio.Future[Answer]] = {}
        self._lanes = [Lane(self) for _ in range(lanes)]
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._sweeping: asyncio.TimerHandle | None = None
        self._latest = 0

    def latest(self) -> int:
        """The latest time this process has seen, Unix seconds.

        Answers age by it: one that is given while the clock is wrongly set back would be taken
        for an old one, and its key forgotten, as soon as the clock is right again.
        """
        self._latest = max(self._latest, self.means.now())
        return self._latest

    def start(self) -> None:
        """Start the lanes."""
        self._tasks = [asyncio.create_task(self._drive(lane)) for lane in self._lanes]

    async def close(self) -> None:
        """Finish what was submitted, then stop."""
        await self.errands.close()
        self._closing = True
        self._arrived.set()
        await asyncio.gather(*self._tasks)
        if self._sweeping is not None:
            self._sweeping.cancel()
        for lane in self._lanes:
            await lane.close()

    async def _drive(self, lane: Lane) -> None:
        while True:
            works = self._take()
            if works:
                await lane.serve(works)
                continue
            if self._closing:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def _take(self) -> list[Work]:
        """The next batch: bounded by weight, since one request may be hundreds of rows."""
        works: list[Work] = []
        weight = 0
        while self._queue:
            weight += self._queue[0].command.weight
            if works and weight > self._weight_max:
                break
            works.append(self._queue.popleft())
        self.tally.waiting.set(len(self._queue))
        return works

    async def submit(self, command: Command) -> Answer:
        """Run a command, once: under a key that was seen, the answer is the first one's.

        Raises `ApiError`: what the verb refused (where that is not remembered),
        `idempotency_key_in_use`, `idempotency_key_reused`, `unavailable`.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        work = Work(command, future)
        key = work.answer_key
        if key is None:
            self._enqueue(work)
            return await future
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        while (flight := self._flights.get(key)) is not None:
            await self._wait(flight, until)
            recalled = (await self.recall([work])).get(key)
            if isinstance(recalled, StillRunning):
                return await self._second_commit(work, until)
            if isinstance(recalled, ApiError):
                raise recalled
            if recalled is not None:
                return recalled
        self._flights[key] = future
        try:
            self._enqueue(work)
            return await future
        except StillRunning:
            return await self._second_commit(work, until)
        except ApiError as refused:
            return await self._first_answer(work, refused)
        finally:
            del self._flights[key]

    async def _second_commit(self, work: Work, until: float) -> Answer:
        """The answer to a request that is outside: in this process, another, or a dead one.

        Raises `idempotency_key_in_use` where it takes longer.
        """
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(RUNNING_PAUSE_SECONDS)
            for recalled in (await self.recall([work])).values():
                if isinstance(recalled, Answer):
                    return recalled
        raise StillRunning

    async def _first_answer(self, work: Work, refused: ApiError) -> Answer:
        """What a repeated request was answered when what it names was still there, or in time.

        Only refusals that are not remembered come here: a remembered one is found by its key.
        Raises the refusal where it is the first answer, or the caller may not ask any more.
        """
        if refused.status not in (400, 404):
            raise refused
        for recalled in (await self.recall([work])).values():
            if isinstance(recalled, ApiError):
                raise recalled
            return recalled
        raise refused

    def _enqueue(self, work: Work) -> None:
        if self._closing:
            raise unavailable()
        loop = asyncio.get_running_loop()
        work.since = loop.time()
        self._queue.append(work)
        self.tally.waiting.set(len(self._queue))
        self._arrived.set()
        if self._sweeping is None:
            self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Tell those to try again who have waited too long: nothing was done for them."""
        loop = asyncio.get_running_loop()
        while self._queue and self._queue[0].since < loop.time() - QUEUE_SECONDS_MAX:
            self._queue.popleft().fail(unavailable())
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep) if self._queue else None

    async def _wait(self, flight: asyncio.Future[Answer], until: float) -> None:
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait([flight], timeout=max(0.0, left))
        if not flight.done():
            raise ApiError("idempotency_key_in_use", headers={"Retry-After": "1"})
        await asyncio.sleep(0)

    def in_flight(self, key: AnswerKey) -> bool:
        """Whether this process is running a command under this key."""
        return key in self._flights

    async def held(self, key: AnswerKey) -> bool:
        """Whether another process is writing an answer under this key."""
        return await self.store.held(ANSWER, (*key, b"", 0, None, None, None, None, 0))

    async def recall(self, works: list[Work]) -> dict[AnswerKey, Answer | ApiError]:
        """The remembered answers of commands, by key; `idempotency_key_reused` for another's."""
        asked = {key: work for work in works if (key := work.answer_key) is not None}
        found = await self.find_answers(list(asked))
        answers: dict[AnswerKey, Answer | ApiError] = {}
        bodies = await self._bodies(found)
        for key, remembered in found.items():
            idempotency = asked[key].command.idempotency
            assert idempotency is not None
            if remembered.fingerprint != idempotency.fingerprint:
                answers[key] = ApiError("idempotency_key_reused")
            elif remembered.status == RUNNING:
                answers[key] = StillRunning()
            else:
                body = bodies[key]
                answers[key] = Answer(remembered.status, body, remembered.object_id, replayed=True)
        return answers

    async def find_answers(self, keys: list[AnswerKey]) -> dict[AnswerKey, Remembered]:
        """The remembered answers under these keys; the expired ones are deleted on the way."""
        rows = [Remembered.of(row) for row in await self.store.find(ANSWER.key, keys)]
        oldest = self.means.now() - KEPT_SECONDS
        expired = [_key(row) for row in rows if row.created < oldest]
        if expired:
            await self.store.forget(ANSWER, expired, created_before=oldest)
        return {_key(row): row for row in rows if row.created >= oldest}

    async def _bodies(self, found: dict[AnswerKey, Remembered]) -> dict[AnswerKey, bytes]:
        events = {
            (key[0], key[1], row.event): key for key, row in found.items() if row.event is not None
        }
        bodies: dict[AnswerKey, bytes] = {}
        for row in await self.store.find(EVENT.key, list(events)) if events else []:
            bodies[events[EVENT.key.of(row)]] = row[OBJECT_AT].encode()
        for key, remembered in found.items():
            if remembered.body is not None:
                bodies[key] = remembered.body.encode()
            elif remembered.sealed is not None:
                bodies[key] = self.means.master_key.open(remembered.sealed, context(key))
        return bodies


def _key(row: Remembered) -> AnswerKey:
    return (row.account, row.livemode, row.idempotency_key)
