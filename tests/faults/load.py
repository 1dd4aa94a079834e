"""Clients who send transfers under keys until they are answered, and what must be so afterwards."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from commerce.areas.identity import account
from commerce.areas.stablecoin.movement import NETWORK_FEE
from commerce.installation import make_app
from commerce.kernel.currency import SSUSD, UNIT
from commerce.settings import Settings
from tests.client import Answer, Client
from tests.process import commerce, eventually, wait_until
from tests.races.scene import open_parties, rows, wallets
from tests.stage import Party

TRANSFER = "POST /stablecoin/transfer"
FUNDS = 300_000
TOO_MUCH_CENTS = 40_000_000
"""More than anybody ever has."""
CLIENTS = 8
PARTIES = 4
SECOND_TIME = 0.3
"""How often a request is sent twice at once, by two connections."""
PROGRESS = 20
"""So many answers say that the server works."""


class Caller(Client):
    """A client that takes no other trouble than what the contract describes."""

    load: Load

    async def ask(
        self, route: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> Answer:
        begin = time.monotonic()
        try:
            answer = await super().ask(route, body, **headers)
        finally:
            self.load.waited = max(self.load.waited, time.monotonic() - begin)
        self.load.answered[self.key] += 1
        self.load.statuses[answer.status] += 1
        if answer.status >= 500:
            see_honest(answer)
        return answer


def see_honest(answer: Answer) -> None:
    """An answer that the server is at fault is a 503 which says when to try again."""
    assert (answer.status, answer.code) == (503, "unavailable"), answer
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"].startswith("application/json")
    error = answer.json["error"]
    assert set(error) == {"type", "code", "message", "param", "doc_url", "request_id"}, error
    assert error["type"] == "api_error"
    assert error["request_id"] == answer.headers["request-id"]


class Asked(NamedTuple):
    """One transfer that is asked for, under one key."""

    key: str
    sender: Party
    recipient: Party
    cents: int
    scheduled_at: int | None

    @property
    def body(self) -> dict[str, Any]:
        amount = f"{self.cents // 100}.{self.cents % 100:02}"
        body = {"to": self.recipient.wallet, "amount": amount, "memo": self.key}
        return body if self.scheduled_at is None else {**body, "scheduled_at": self.scheduled_at}

    @property
    def affordable(self) -> bool:
        return self.cents != TOO_MUCH_CENTS


class Load:
    """What was asked for, and every answer to it."""

    def __init__(self, url: str, parties: list[Party], now: Callable[[], float]) -> None:
        self.parties = parties
        self.asked: list[Asked] = []
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self.answered: Counter[str] = Counter()
        """How often each key of an account was answered."""
        self.waited = 0.0
        """The longest that anybody waited for an answer, in seconds."""
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self._url = url
        self._now = now
        self._over = asyncio.Event()

    @classmethod
    async def prepared(
        cls, server_url: str, settings: Settings, database_url: str, now: Callable[[], float]
    ) -> Self:
        """A load of parties who are held to the limits of a plan that has them."""
        parties = await open_parties(settings, database_url, [str(FUNDS)] * PARTIES)
        async with make_app(settings, database_url, "").running() as app:
            for party in parties:
                params = account.UpdateAccount(account=party.id, plan="growth")
                await app.operate(account.update, params, account=party.id, livemode=False)
        return cls(server_url, parties, now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send without a pause; at the end, wait until all that was sent is answered."""
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._run(number))
            try:
                yield
            finally:
                self._over.set()

    @property
    def count(self) -> int:
        return sum(self.answered.values())

    async def progress(self, count: int = PROGRESS) -> None:
        """Wait until so many more requests have been decided."""
        begin = len(self.answers)
        await asyncio.to_thread(wait_until, lambda: len(self.answers) >= begin + count)

    async def ask_once(self, asked: Asked) -> tuple[Answer, float]:
        """One more transfer: how it was first answered and after how many seconds.

        It belongs to the load, so it is asked for again until there is an answer that stands.
        """
        self.asked.append(asked)
        caller = self._caller()
        caller.key = asked.sender.key
        begin = time.monotonic()
        first = await caller.ask(TRANSFER, asked.body, Idempotency_Key=asked.key)
        seconds = time.monotonic() - begin
        await self._settle(caller, asked)
        await caller.close()
        return first, seconds

    async def _run(self, number: int) -> None:
        dice = random.Random(number)  # noqa: S311 - the same load every time
        callers = [self._caller(), self._caller()]
        turn = 0
        while not self._over.is_set():
            turn += 1
            sender, recipient = dice.sample(self.parties, 2)
            due = turn % 7 == 3
            asked = Asked(
                f"fault-{number}-{turn}",
                sender,
                recipient,
                TOO_MUCH_CENTS if turn % 10 == 9 else dice.randrange(1, 50),
                int(self._now()) + dice.randrange(2, 4) if due else None,
            )
            self.asked.append(asked)
            copies = callers if dice.random() < SECOND_TIME else callers[:1]
            await asyncio.gather(*(self._settle(caller, asked) for caller in copies))
        for caller in callers:
            await caller.close()
            self.lost += caller.lost

    def _caller(self) -> Caller:
        caller = Caller(self._url)
        caller.load = self
        return caller

    async def _settle(self, caller: Caller, asked: Asked) -> None:
        caller.key = asked.sender.key
        while True:
            answer = await caller.settle(TRANSFER, asked.body, Idempotency_Key=asked.key)
            if answer.status != 429:
                break
            # A bucket is empty for a moment after the database's clock was set back.
            assert answer.headers["retry-after"] in {"1", "2"}
            await asyncio.sleep(0.1)
        self.answers[asked.key].append(answer)

    # Afterwards

    async def see(self, database_url: str, data_dir: Path, **settings: str) -> None:
        """Every key has one effect and one answer, money is where it must be, the ledger agrees."""
        assert len(self.asked) == len(self.answers) > 0
        await eventually(lambda: _nothing_waits(database_url))
        await self._see_answers()
        await self._see_effects(database_url)
        verified = await asyncio.to_thread(commerce, "verify", "--data-dir", data_dir, **settings)
        assert (verified.status, verified.err) == (0, ""), verified

    async def _see_answers(self) -> None:
        """Asked once more, everybody gets the first answer, whether it got lost or not."""
        queue = iter(self.asked)

        async def ask() -> None:
            caller = self._caller()
            for asked in queue:
                await self._settle(caller, asked)
            await caller.close()

        await asyncio.gather(*(ask() for _ in range(CLIENTS)))
        for asked in self.asked:
            answers = self._standing(asked)
            if not answers:
                continue
            seen = [(answer.status, answer.code, answer.replayed) for answer in answers]
            expected = (201, None) if asked.affordable else (402, "insufficient_funds")
            assert {each[:2] for each in seen} == {expected}, (asked, seen)
            assert len({answer.body for answer in answers}) == 1, answers
            assert sum(not answer.replayed for answer in answers) <= 1, (asked, seen)
            assert answers[-1] is self.answers[asked.key][-1], "what was taken was refused later"
            assert answers[-1].replayed, (asked, seen)

    def _standing(self, asked: Asked) -> list[Answer]:
        """The answers; those do not count that refused what was to be made at a time gone by.

        Nothing is remembered of those: by a clock that was set back there may yet be another.
        """
        answers = self.answers[asked.key]
        if asked.scheduled_at is None:
            return answers
        late = [answer for answer in answers if answer.status == 400]
        assert {answer.code for answer in late} <= {"parameter_invalid"}
        return [answer for answer in answers if answer.status != 400]

    async def _see_effects(self, url: str) -> None:
        taken = [asked for asked in self.asked if self._standing(asked)]
        paid = [asked for asked in taken if asked.affordable]
        query = "SELECT memo, count(*) FROM stablecoin_transfer WHERE status = $1 GROUP BY memo"
        made = dict(await rows(url, query, "confirmed"))
        assert different(made, {asked.key: 1 for asked in paid}) == {}
        remembered = await rows(url, "SELECT idempotency_key FROM answer")
        assert {key for (key,) in remembered} ^ {asked.key for asked in taken} == set()
        unit, left = UNIT[SSUSD], {party.wallet: FUNDS * UNIT[SSUSD] for party in self.parties}
        for asked in paid:
            left[asked.sender.wallet] -= asked.cents * unit // 100 + NETWORK_FEE.minor
            left[asked.recipient.wallet] += asked.cents * unit // 100
        assert different(await wallets(url, left), left) == {}

    async def see_all_charged(self, url: str) -> None:
        """What was answered was charged; a process that was killed may have charged a bit more."""
        used = dict(await rows(url, "SELECT account, used FROM rate_budget"))
        for party in self.parties:
            assert used[party.id] >= self.answered[party.key]


async def _nothing_waits(url: str) -> bool:
    """Whether all that was scheduled has been made, and the jobs for it are gone."""
    query = "SELECT (SELECT count(*) FROM job), count(*) FROM stablecoin_transfer WHERE status = $1"
    return await rows(url, query, "scheduled") == [(0, 0)]


def different(found: Mapping[str, int], expected: Mapping[str, int]) -> dict[str, Any]:
    """What is not as expected: pytest would compare thousands of lines to find it."""
    names = found.keys() | expected.keys()
    pairs = {name: (found.get(name, 0), expected.get(name, 0)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def now() -> float:
    """The machine's time."""
    return time.time()
