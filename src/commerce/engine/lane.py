"""A lane: one line to the store, on which batches run one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from commerce.engine.answers import ANSWER
from commerce.engine.batch import Batch, Ran, Restart, writing
from commerce.engine.outbox import EVENT
from commerce.engine.outside.errand import unavailable
from commerce.engine.tally import Phases, Try
from commerce.kernel.errors import ApiError
from commerce.ledger.entry import TRANSACTION
from commerce.store.session import (
    CommitUnknown,
    Conflict,
    Duplicate,
    LockTimeout,
    Session,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from commerce.engine.command import Work
    from commerce.engine.engine import Engine
    from commerce.store.table import Writing

CONFLICTS_MAX = 3
"""How often a batch that lost a conflict is run again before its requests are told to retry."""
RESTARTS_MAX = 64
OUTCOME_TRIES = 40
OUTCOME_PAUSE_SECONDS = 0.25
OUTCOME_SECONDS_MAX = 10.0
"""How long is asked what became of a COMMIT, however long each answer takes to fail."""
ALONE_SECONDS_MAX = 10.0
"""How old a command may be to be tried alone when its batch could not be kept.

Each may wait for a lock that somebody else holds, so that the last would wait as often as there
are others before it.
"""

log = structlog.get_logger("commerce.engine")


class Lane:
    """Runs batches on a session of its own, opened when needed and again when lost."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Session | None = None

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def serve(self, works: list[Work]) -> None:
        """Answer every command: in one batch, or one by one where the batch cannot be kept."""
        try:
            await self._complete(works)
        except (StoreUnavailable, CommitUnknown) as error:
            log.warning("store_unavailable", reason=str(error), commands=len(works))
            for work in works:
                work.fail(unavailable())
            await self.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, everyone gets an answer
            if len(works) == 1:
                await self._give_up(works[0], error)
                return
            log.warning("batch_split", reason=str(error), commands=len(works))
            self._engine.tally.singles += 1
            for work in works:
                if not work.answer.done():
                    await self._serve_alone(work)

    async def _serve_alone(self, work: Work) -> None:
        if work.since < asyncio.get_running_loop().time() - ALONE_SECONDS_MAX:
            work.fail(unavailable())
        else:
            await self.serve([work])

    async def _give_up(self, work: Work, error: Exception) -> None:
        key = work.answer_key
        if isinstance(error, LockTimeout) and key is not None and await self._is_held(key):
            work.fail(ApiError("idempotency_key_in_use", headers={"Retry-After": "1"}))
            return
        if isinstance(error, Conflict):
            work.fail(unavailable())
            return
        log.error("command_failed", request_id=work.command.caller.request_id, exc_info=error)
        work.fail(error)

    async def _is_held(self, key: tuple[str, bool, str]) -> bool:
        try:
            return await self._engine.held(key)
        except Exception:  # noqa: BLE001 - nobody knows, and the lane goes on
            return False

    async def _complete(self, works: list[Work]) -> None:
        """Run a batch until it is kept; conflicts and restarts run what is left of it again."""
        tally = self._engine.tally
        batch = Batch(self._engine.means, works, self._engine.latest())
        conflicts = restarts = tries = 0
        while batch.works:
            tries += 1
            try:
                with self._timed(batch):
                    batch.works = await self._attempt(batch, await self._begin())
            except Restart as restart:
                restarts += 1
                tally.restarts += 1
                if restarts > RESTARTS_MAX:
                    raise RuntimeError("a batch restarts however much it loads") from restart
            except Conflict as conflict:
                conflicts += 1
                tally.conflicts += 1
                if conflicts > CONFLICTS_MAX or isinstance(conflict, LockTimeout):
                    raise
        tally.finished(works, batch.rounds, tries)

    @contextmanager
    def _timed(self, batch: Batch) -> Iterator[None]:
        """Time one try at a batch, and tell of it before anybody has heard an answer."""
        phases = batch.phases = Phases()
        works, outcome = batch.works, "kept"
        phases.enter("begin")
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            phases.enter(None)
            self._engine.tally.tried(phases)
            if self._engine.traced is not None:
                self._engine.traced(Try(works, phases, outcome))

    async def _begin(self) -> Session:
        """Begin on the lane's session; one that was lost while idle is opened again, once."""
        if self._session is not None:
            try:
                await self._session.begin()
            except StoreUnavailable:
                await self.close()
            else:
                return self._session
        self._session = await self._engine.store.session()
        await self._session.begin()
        return self._session

    async def _attempt(self, batch: Batch, session: Session) -> list[Work]:
        """One try at a batch, on a begun session; gives the commands that must still be run."""
        try:
            ran = await batch.run(session)
            if not ran.working.writes():
                await session.rollback()
                return batch.answer(ran, self._engine.errands.send)
            batch.phases.enter("write")
            written = writing(ran.working)
            xid = await session.write(written)
        except Duplicate as duplicate:
            await session.rollback()
            if duplicate.table != ANSWER.name:
                raise
            rest = await self._replay(batch.works, ran)
            if len(rest) == len(batch.works):
                # Nobody's answer is there: a key stands twice in this batch, since whoever sent
                # it first went away. That would never settle by itself.
                raise
            return rest
        except BaseException:
            await session.rollback()
            raise
        batch.phases.enter("commit")
        try:
            await session.commit()
        except CommitUnknown:
            if not await self._was_kept(xid, written):
                return batch.works
        for announcement in ran.working.announcements:
            self._engine.announce(announcement)
        return batch.answer(ran, self._engine.errands.send)

    async def _was_kept(self, xid: int, written: Writing) -> bool:
        """Ask what became of a lost COMMIT. Raises `CommitUnknown` while nobody can say."""
        await self.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + OUTCOME_SECONDS_MAX
        for _ in range(OUTCOME_TRIES):
            try:
                outcome = await self._engine.store.outcome(xid)
                if outcome == "committed" and not await self._is_there(written):
                    # A server that crashed before a transaction was on its disk has forgotten
                    # it, and gives its id to another one.
                    outcome = "aborted"
            except StoreUnavailable:
                outcome = "running"
            if outcome in ("committed", "aborted"):
                log.warning("commit_recovered", xid=xid, outcome=outcome)
                return outcome == "committed"
            if loop.time() > until:
                break
            await asyncio.sleep(OUTCOME_PAUSE_SECONDS)
        raise CommitUnknown(f"transaction {xid}")

    async def _is_there(self, written: Writing) -> bool:
        """Whether a row is there that nobody else can have written.

        Ids are random; an answer tells which request it was given to. What writes none of these
        has done nothing that anybody could miss.
        """
        for table in (EVENT, TRANSACTION, ANSWER):
            for row in written.inserts.get(table, ())[:1]:
                found = await self._engine.store.find(table.key, [table.key.of(row)])
                return row in found if table is ANSWER else found != []
        return True

    async def _replay(self, works: list[Work], ran: Ran) -> list[Work]:
        """Answer the commands whose keys were taken; give the others, to be run again.

        What a verb refused without remembering (a permission, a revoked key) is no replay.
        """
        remembered = [work for work, answer in ran.answers if not isinstance(answer, Exception)]
        answers = await self._engine.recall(remembered)
        rest: list[Work] = []
        for work in works:
            key = work.answer_key
            answer = None if key is None else answers.get(key)
            if answer is None:
                rest.append(work)
            elif isinstance(answer, ApiError):
                work.fail(answer)
            else:
                self._engine.tally.replays += 1
                work.succeed(answer)
        return rest
