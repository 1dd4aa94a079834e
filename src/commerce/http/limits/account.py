"""Rate limits: plans as token buckets leased from the store, and the header fields that tell.

Each process leases tokens: below `LEASED_FROM` requests a second only as many as wait for one, so
that slow plans are exact; above it up to a hundredth of the bucket for at most a second, so that
fast ones seldom ask. Whoever asks at once, of whatever account, shares one statement. A lease that
was not used up is lost, but does not count for the day. A process that is killed loses its leases.

Where a fast plan has no daily limit, each process lets a four hundredth of it through without
asking: an account that sends a few requests a second costs the store nothing. So with two
processes the limit is kept to within half a percent, and a restart may forget a quarter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from commerce.http.request import Request
from commerce.kernel.errors import ApiError
from commerce.store.rate import DAY, NANOSECONDS, Ask, Grant
from commerce.store.session import IN_VAIN_SECONDS, Store

LEASED_FROM = 100
"""Requests a second from which on tokens are leased ahead."""
LEASE_PARTS = 100
"""A lease is at most this part of the bucket."""
LEASE_NANOSECONDS = NANOSECONDS
"""How long a lease lasts, and how long a refusal is remembered, at most."""
REMEMBERED_MAX = 100_000
"""Accounts that are remembered in each process."""
ASKS_AT_ONCE_MAX = 2_000
GRACE_PARTS = 400
"""This part of a fast plan's bucket and rate each process gives without asking, where the plan has
no daily limit."""

Fields = tuple[tuple[bytes, bytes], ...]
Name = tuple[str, bool]
"""An account and a mode."""


class Limits(NamedTuple):
    """What an account may ask for in one mode."""

    rate: int
    """Requests a second."""
    burst: int
    """Requests at once, after a pause."""
    daily: int | None
    """Requests in a UTC day."""


PLANS = {
    "free": Limits(10, 20, 1_000),
    "starter": Limits(100, 200, 100_000),
    "growth": Limits(1_000, 2_000, 10_000_000),
    "enterprise": Limits(20_000, 40_000, None),
}

OWN_LIMITS = "custom"
"""What limits are called that are no plan's."""


class Policy:
    """Limits, ready for use."""

    __slots__ = ("_constant", "burst", "daily", "grace", "lease", "nanoseconds", "plan")

    def __init__(self, limits: Limits) -> None:
        self.plan = next((name for name, of in PLANS.items() if of == limits), OWN_LIMITS)
        self.burst = limits.burst
        self.daily = limits.daily
        self.nanoseconds = -(-NANOSECONDS // limits.rate)
        """The time in which one token comes back, rounded up: never more than the rate."""
        self.lease = limits.burst // LEASE_PARTS if limits.rate >= LEASED_FROM else 0
        self.grace = limits.burst // GRACE_PARTS if self.lease and limits.daily is None else 0
        window = -(-limits.burst // limits.rate)
        policy = f'"burst";q={limits.burst};w={window}'
        if limits.daily is not None:
            policy += f', "daily";q={limits.daily};w=86400'
        self._constant = (
            (b"x-ratelimit-limit", b"%d" % limits.burst),
            (b"ratelimit-policy", policy.encode()),
        )

    def fields(self, owed: int, now: int, left: int | None) -> Fields:
        """The header fields of an answer: of the day, where less is left of it than in the bucket.

        `owed` is the time until the bucket is full and `now` Unix time, in nanoseconds; `left`
        are the tokens left of the day.
        """
        remaining = max(0, self.burst + -owed // self.nanoseconds)
        name = b"burst"
        if left is not None and (left < remaining or left == 0):
            name, remaining, owed = b"daily", left, DAY - now % DAY
        return (
            *self._constant,
            (b"x-ratelimit-remaining", b"%d" % remaining),
            (b"x-ratelimit-reset", b"%d" % -(-(now + owed) // NANOSECONDS)),
            (b"ratelimit", b'"%b";r=%d;t=%d' % (name, remaining, -(-owed // NANOSECONDS))),
        )


@lru_cache(1024)
def _policy(limits: Limits) -> Policy:
    return Policy(limits)


class Refused(NamedTuple):
    """That there is no token."""

    code: str
    wait: int
    """Nanoseconds until there may be one."""

    def error(self) -> ApiError:
        """The refusal as it is answered."""
        seconds = max(1, -(-self.wait // NANOSECONDS))
        return ApiError(self.code, headers={"Retry-After": str(seconds)})


Outcome = tuple[Refused | None, Fields]


class Bucket:
    """What this process knows and has leased of one account's budget in one mode.

    Its times are this process's monotonic nanoseconds; `_ahead` leads to the database's clock.
    """

    def __init__(self, name: Name) -> None:
        self.name = name
        self.policy = _policy(PLANS["free"])
        self.heard = -1
        """The announcements since which the policy is known to hold."""
        self.waiting: list[asyncio.Future[Outcome]] = []
        self._tokens = 0
        self._until = 0
        """Until when the tokens may be taken."""
        self._gracious_at = 0
        """When all of the grace is there again."""
        self._dry_code = ""
        self._dry_until = 0
        """Until when there is no need to ask for another token."""
        self._token_at = 0
        """When there may be one, by the database's clock."""
        self._full_at = 0
        self._ahead = time.time_ns() - time.monotonic_ns()
        self._day = 0
        self._day_left: int | None = None

    def adopt(self, policy: Policy, heard: int) -> None:
        """Go by these limits from now on."""
        self.heard = heard
        if policy is not self.policy:
            self.policy = policy
            self._dry_until = 0

    def try_take(self, now: int) -> Outcome | None:
        """A token of the lease, or of the grace, or none; None: the store must say."""
        if self._tokens and now < self._until:
            return self._take(now)
        return self._refuse(now) if now < self._dry_until else self._grace(now)

    def _take(self, now: int) -> Outcome:
        self._tokens -= 1
        if self._day_left is not None:
            self._day_left -= 1
        return None, self._fields(now)

    def _grace(self, now: int) -> Outcome | None:
        policy = self.policy
        at = max(self._gracious_at, now) + policy.nanoseconds * GRACE_PARTS
        if at > now + policy.grace * policy.nanoseconds * GRACE_PARTS:
            return None
        self._gracious_at, self._tokens = at, 0
        self._full_at = max(self._full_at, now + self._ahead) + policy.nanoseconds
        return None, self._fields(now)

    def _refuse(self, now: int) -> Outcome:
        return Refused(self._dry_code, self._token_at - now - self._ahead), self._fields(now)

    def _fields(self, now: int) -> Fields:
        there = now + self._ahead
        owed = self._full_at - self._tokens * self.policy.nanoseconds - there
        return self.policy.fields(max(0, owed), there, self._day_left)

    def wait(self) -> asyncio.Future[Outcome]:
        """Wait for what the store says."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        return future

    def settle(self, now: int) -> bool:
        """Answer those who can be answered from here; whether the store must be asked."""
        for at, future in enumerate(self.waiting):
            outcome = None if future.done() else self.try_take(now)
            if outcome is not None:
                future.set_result(outcome)
            elif not future.done():
                self.waiting = self.waiting[at:]
                return True
        self.waiting = []
        return self.is_lapsed(now)

    def ask(self, now: int) -> Ask:
        """What to ask the store for: tokens for those who wait, and a lease.

        What is left of the last lease is lost; where there is a daily limit it is given back, not
        to count for the day. A lease never outlives its day, and must not count for another.
        """
        policy, returned = self.policy, 0
        if policy.daily is not None and (now + self._ahead) // DAY == self._day:
            returned = self._tokens
        self._tokens = 0
        wanted = max(len(self.waiting), policy.lease) if self.waiting else 0
        return Ask(*self.name, wanted, returned, policy.nanoseconds, policy.burst, policy.daily)

    def deal(
        self, ask: Ask, grant: Grant, sent: int, waiting: list[asyncio.Future[Outcome]]
    ) -> None:
        """Give those who waited what there was for them, and keep the rest as the lease."""
        now = time.monotonic_ns()
        self._learn(ask, grant, sent, now)
        for future in waiting:
            if not future.done():
                future.set_result(self._take(now) if self._tokens else self._refuse(now))

    def _learn(self, ask: Ask, grant: Grant, sent: int, now: int) -> None:
        midnight = DAY - grant.now % DAY
        self._ahead = grant.now - now
        self._day = grant.now // DAY
        self._full_at = grant.full_at
        self._tokens = grant.granted
        self._until = sent + min(LEASE_NANOSECONDS, midnight) if self.policy.lease else 0
        self._day_left = None
        if ask.daily is not None:
            self._day_left = max(0, ask.daily - grant.used) + grant.granted
        if grant.granted == ask.wanted:
            return
        # What is not there now comes with the next token, or the next day.
        wait = max(0, ask.nanoseconds * (1 - ask.burst) + grant.full_at - grant.now)
        self._dry_code = "rate_limit_exceeded"
        if ask.daily is not None and grant.used >= ask.daily:
            self._dry_code, wait = "daily_limit_exceeded", midnight
        self._token_at = grant.now + wait
        self._dry_until = sent + min(LEASE_NANOSECONDS, wait)

    def is_lapsed(self, now: int) -> bool:
        """Whether tokens were kept that nobody may take any more."""
        return self._tokens > 0 and now >= self._until

    @property
    def owes(self) -> bool:
        """Whether there is something that may have to be given back."""
        return self.policy.daily is not None and self._tokens > 0


class Limiter:
    """Holds accounts to their limits, with the other processes on this store."""

    def __init__(self, store: Store, limits: Callable[[str, bool], Awaitable[Limits]]) -> None:
        self._store = store
        self._limits = limits
        self._buckets: dict[Name, Bucket] = {}
        self._heard = 0
        """How often everything may have changed."""
        self._news = 0
        """How often anything has changed."""
        self._asking: dict[Name, Bucket] = {}
        self._owing: dict[Name, Bucket] = {}
        self._task: asyncio.Task[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def take(self, request: Request, account: str, livemode: bool) -> None:
        """Charge a request to an account in a mode, and give its answer the fields that tell.

        Raises `rate_limit_exceeded`, `daily_limit_exceeded`, and `StoreUnavailable`.
        """
        bucket = self._buckets.get((account, livemode))
        if bucket is None or bucket.heard != self._heard:
            bucket = await self._informed((account, livemode))
        now = time.monotonic_ns()
        outcome = bucket.try_take(now)
        if outcome is None:
            self._asking[bucket.name] = bucket
            self._start()
            outcome = await bucket.wait()
        refused, request.limits = outcome
        if refused is not None:
            request.plan = bucket.policy.plan
            raise refused.error()

    async def _informed(self, name: Name) -> Bucket:
        heard, news = self._heard, self._news
        limits = await self._limits(*name)
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= REMEMBERED_MAX:
                self._forget()
            bucket = self._buckets[name] = Bucket(name)
        # What was announced while the look-up ran may have been about this account.
        bucket.adopt(_policy(limits), heard if news == self._news else -1)
        return bucket

    def _forget(self) -> None:
        """Let go of the half that came first, and with it of its leases, which lapse anyway."""
        for name in list(islice(self._buckets, len(self._buckets) // 2)):
            if name not in self._asking and name not in self._owing:
                del self._buckets[name]

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Ask for all that want something, again and again until nobody does."""
        try:
            while self._asking:
                # Requests that came in together have all got here after one turn of the loop.
                await asyncio.sleep(0)
                names = list(islice(self._asking, ASKS_AT_ONCE_MAX))
                buckets = [self._asking.pop(name) for name in names]
                now = time.monotonic_ns()
                await self._ask([bucket for bucket in buckets if bucket.settle(now)])
        finally:
            self._task = None

    async def _ask(self, buckets: list[Bucket]) -> None:
        if not buckets:
            return
        sent = time.monotonic_ns()
        asks = []
        for bucket in buckets:
            asks.append((bucket, bucket.ask(sent), bucket.waiting))
            bucket.waiting = []
        try:
            grants = await self._store.take([ask for _, ask, _ in asks])
        except Exception as error:  # noqa: BLE001 - it is everyone's error who waits
            for _, _, waiting in asks:
                _fail(waiting, error)
            if time.monotonic_ns() > sent + IN_VAIN_SECONDS * NANOSECONDS:
                for bucket in self._asking.values():
                    _fail(bucket.waiting, error)
            return
        for bucket, ask, waiting in asks:
            bucket.deal(ask, grants[bucket.name], sent, waiting)
            if bucket.owes:
                self._owing[bucket.name] = bucket
        self._schedule()

    def _schedule(self) -> None:
        if self._owing and self._sweeping is None:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(LEASE_NANOSECONDS / NANOSECONDS, self._sweep)

    def _sweep(self) -> None:
        """Give back what lapsed: it counts for the day as long as it is not."""
        self._sweeping = None
        now = time.monotonic_ns()
        self._owing = {name: bucket for name, bucket in self._owing.items() if bucket.owes}
        lapsed = {name: each for name, each in self._owing.items() if each.is_lapsed(now)}
        self._asking |= lapsed
        if self._asking:
            self._start()
        self._schedule()

    def told(self, announcement: str | None) -> None:
        """Look up again whose plan an announcement says has changed; None: anybody's may have."""
        if announcement is None:
            self._heard += 1
            self._news += 1
            return
        table, _, id_ = announcement.partition(":")
        if table == "account":
            self._news += 1
            for livemode in (False, True):
                bucket = self._buckets.get((id_, livemode))
                if bucket is not None:
                    bucket.heard = -1

    async def close(self) -> None:
        """Give all leases back, so that they do not count for the day."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._task is not None:
            await asyncio.wait([self._task])
        await self._ask([bucket for bucket in self._owing.values() if bucket.owes])


def _fail(waiting: list[asyncio.Future[Outcome]], error: Exception) -> None:
    for future in waiting:
        if not future.done():
            future.set_exception(error)
            future.exception()
