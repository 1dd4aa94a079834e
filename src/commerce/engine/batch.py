"""One batch: load, run, write, commit, and what becomes of it where that cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog

from commerce.engine.answers import ANSWER, Answer, kept
from commerce.engine.outbox import EVENT, redaction
from commerce.engine.overlay import Miss, Needs, Overlay, WorkingSet
from commerce.engine.tally import Phases
from commerce.engine.tx import Means, Tx
from commerce.kernel.errors import ApiError
from commerce.ledger.directory import ADDRESS
from commerce.store.table import Index, Key, Row, Writing

if TYPE_CHECKING:
    from commerce.engine.command import Work
    from commerce.engine.outside.errand import Errand
    from commerce.store.session import Session

MISS_ROUNDS_MAX = 32
"""More rounds of loading than this means a verb that never settles: a programming error."""
STALE_SECONDS = 0.5
"""What was read unlocked is as old as the wait for locks; keys are revoked within a second."""

log = structlog.get_logger("commerce.engine")


class Restart(Exception):
    """The batch must be loaded again from the start, with all that was missing."""


class Ran(NamedTuple):
    """What became of each command, in the order in which they ran."""

    working: WorkingSet
    answers: list[tuple[Work, Answer | Exception]]


class Batch:
    """Commands that share one transaction."""

    def __init__(self, means: Means, works: list[Work], latest: int) -> None:
        self.means = means
        self.latest = latest
        """The latest time there has been, by which answers age."""
        self.works = works
        self.session: Session
        self.extra: dict[Index, dict[Key, bool]] = {}
        """Rows that an earlier attempt found missing."""
        self.rounds = 0
        self.phases = Phases()
        """The stopwatch of this try at it."""

    async def load(self) -> WorkingSet:
        """Load all that the commands say they need."""
        needs = self._needs()
        if needs.unknown:
            # Codes of balances begin with owners, which are read first, once, and never change.
            rows = await self.session.find(ADDRESS.key, sorted(needs.unknown))
            for row in rows:
                self.means.directory.learn(row)
            needs = self._needs() if rows else needs
        for index, keys in self.extra.items():
            for key, lock in keys.items():
                needs.row(index, key, lock=lock)
        working = WorkingSet()
        await self._take(working, needs.wanted)
        return working

    def _needs(self) -> Needs:
        means = self.means
        needs = Needs(means.directory, self.session.lane, means.followers, means.fixtures)
        for work in self.works:
            work.command.needs(needs)
        return needs

    async def _take(self, working: WorkingSet, wanted: dict[Index, dict[Key, bool]]) -> None:
        """Load rows. What was read without a lock is read again after a long wait for others.

        A key that was revoked, or an address that was blocked, before the locks were given must
        not be taken for what it was when the wait began.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await self.session.load(wanted)
        if loop.time() - began > STALE_SECONDS:
            unlocked = {
                index: {key: False for key, lock in keys.items() if not lock}
                for index, keys in wanted.items()
            }
            found += await self.session.load(
                {index: keys for index, keys in unlocked.items() if keys}
            )
        working.take(wanted, found)

    async def run(self, session: Session) -> Ran:
        """Load, and run every verb, loading what turns out to be missing and running again."""
        self.session = session
        self.phases.enter("load")
        working = await self.load()
        self.phases.enter("run")
        ran = Ran(working, [])
        waiting = self.works
        now = self.means.now()
        for _ in range(MISS_ROUNDS_MAX):
            misses: list[Miss] = []
            missed: list[Work] = []
            for work in waiting:
                try:
                    ran.answers.append((work, self._verb(work, working, now)))
                except Miss as miss:
                    misses.append(miss)
                    missed.append(work)
            if not misses:
                return ran
            waiting = missed
            self.rounds += 1
            self.phases.enter("load")
            await self._load_more(working, misses)
            self.phases.enter("run")
        raise RuntimeError("a verb asks for another row however many are loaded")

    async def _load_more(self, working: WorkingSet, misses: list[Miss]) -> None:
        for miss in misses:
            keys = self.extra.setdefault(miss.index, {})
            for key in miss.keys:
                keys[key] = miss.lock or keys.get(key, False)
        # Locks are taken in one global order. One that sorts below a lock already held sends
        # the batch back to where it holds nothing.
        if _below(working, misses):
            raise Restart
        wanted: dict[Index, dict[Key, bool]] = {}
        for miss in misses:
            wanted.setdefault(miss.index, {}).update(dict.fromkeys(miss.keys, miss.lock))
        await self._take(working, wanted)

    def answer(self, ran: Ran, send: Callable[[Work, Errand], None]) -> list[Work]:
        """Tell everyone what was committed, or send for the rest; nothing is left to be run."""
        for row in ran.working.born.get(ADDRESS, {}).values():
            self.means.directory.learn(row)
        for work, answer in ran.answers:
            if isinstance(answer, Exception):
                work.fail(answer)
            elif answer.errand is None:
                work.succeed(answer)
            else:
                send(work, answer.errand)
        return []

    def _verb(self, work: Work, working: WorkingSet, now: int) -> Answer | Exception:
        """Run one verb in an overlay of its own: returning keeps it, raising drops it."""
        overlay = Overlay(working)
        command = work.command
        lane, mark = self.session.lane, self.session.mark
        tx = Tx(overlay, command.caller, now=now, means=self.means, lane=lane, mark=mark)
        try:
            answer = command.run(tx)
        except ApiError as error:
            return self._refuse(work, working, error)
        except Miss:
            raise
        except Exception as error:
            log.exception("verb_failed", request_id=command.caller.request_id)
            return error
        overlay.keep()
        self._remember(work, working, answer)
        return answer

    def _refuse(self, work: Work, working: WorkingSet, error: ApiError) -> Answer | Exception:
        """A refusal decided against state is remembered, although its work is undone."""
        if work.command.idempotency is None or not error.row.remembered:
            return error
        answer = refusal(error, work.command.caller.request_id, self.means.docs_url)
        self._remember(work, working, answer)
        return answer

    def _remember(self, work: Work, working: WorkingSet, answer: Answer) -> None:
        idempotency = work.command.idempotency
        key = work.answer_key
        if idempotency is None or key is None:
            return
        fingerprint, master_key = idempotency.fingerprint, self.means.master_key
        row = kept(key, fingerprint, answer, master_key, created=self.latest)
        working.appended.setdefault(ANSWER, []).append(row)


def refusal(error: ApiError, request_id: str | None, docs_url: str) -> Answer:
    """The answer that an error is."""
    body = msgspec.json.encode(error.body(request_id or "", docs_url))
    return Answer(error.status, body, headers=tuple(error.headers.items()))


def writing(working: WorkingSet) -> Writing:
    """The rows a batch writes, in the order of their keys, in which everybody writes them."""
    inserts = {
        table: [_row(values[key]) for key in sorted(values)]
        for table, values in working.born.items()
    }
    for table, rows in working.appended.items():
        if table is ANSWER:
            rows.sort(key=table.key.of)
        inserts.setdefault(table, []).extend(rows)
    updates = {
        table: [_row(values[key]) for key in sorted(values)]
        for table, values in working.dirty.items()
    }
    if not working.redacted:
        return Writing(inserts, updates, working.announcements)
    rewrite = redaction(working.redacted)
    # No rewrite sees what is inserted with it.
    inserts[EVENT] = rewrite.over(inserts.get(EVENT, ()))
    return Writing(inserts, updates, working.announcements, [rewrite])


def _row(value: Any) -> Row:
    return value if type(value) is tuple else value.kind.row(value)


def _below(working: WorkingSet, misses: list[Miss]) -> bool:
    held = [(index.order, max(keys)) for index, keys in working.locked.items() if keys]
    wanted = [(m.index.order, min(m.keys)) for m in misses if m.lock]
    return bool(held) and bool(wanted) and min(wanted) <= max(held)
