"""Rate limits over HTTP: two apps on one database, plans, days, modes, addresses, fields."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from commerce import handbook
from commerce.app import App
from commerce.areas.identity import account
from commerce.areas.identity.account import Plan, RateLimit
from commerce.http.limits import account as account_limit
from commerce.http.limits.account import PLANS, Limiter
from commerce.http.request import Request
from commerce.kernel.errors import ApiError
from commerce.settings import Settings
from commerce.store.database import Database
from commerce.telemetry import readiness
from tests.process import eventually
from tests.stage import Party, Reply, Stage, app_over

OWN = "GET /account"
NAMES = (
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit-policy",
    "ratelimit",
)


def limit_fields(reply: Reply) -> dict[str, str]:
    """The fields of an answer that tell of limits."""
    return {name: reply.headers[name] for name in NAMES if name in reply.headers}


@asynccontextmanager
async def beside(stage: Stage, **settings: object) -> AsyncIterator[Stage]:
    """Another app on the stage's database, as another process would have it."""
    ours = Settings.load({}, data_dir=Path("nowhere"), network="both", **settings)
    app = app_over(stage.url, ours, stage.clock)
    async with app.running(), Stage(app, stage.url, stage.clock).connected() as other:
        # When it begins to listen it forgets what it has not heard of until then.
        await eventually(lambda: _listens(app))
        yield other


async def _listens(app: App) -> bool:
    return app.authenticator._heard > 0


@pytest.fixture
async def other(stage: Stage) -> AsyncIterator[Stage]:
    """A second process on the stage's database."""
    async with beside(stage) as other:
        yield other


async def with_limits(stage: Stage, rate: int, burst: int, daily: int | None = None) -> Party:
    """An enterprise account with limits of its own."""
    party = await stage.open_account()
    own = RateLimit(rate=rate, burst=burst, daily=daily)
    await set_up(stage, party, rate_limit=own)
    return party


async def set_up(stage: Stage, party: Party, **given: object) -> None:
    """Change an account as the operator does."""
    params = account.UpdateAccount(account=party.id, **given)  # type: ignore[arg-type]
    await stage.app.operate(account.update, params, account=party.id, livemode=party.livemode)


async def codes(party: Party, number: int, *stages: Stage) -> Counter[str]:
    """What becomes of requests sent at once to several processes in turn."""
    replies = await asyncio.gather(
        *(stages[n % len(stages)].ask(OWN, party.key) for n in range(number))
    )
    return Counter("" if reply.status == 200 else reply.error["code"] for reply in replies)


async def test_the_free_plan_is_exact_across_two_processes(stage: Stage, other: Stage) -> None:
    party = await stage.open_account(plan="free")
    began = time.monotonic()
    found = await codes(party, 1, stage)
    first = time.monotonic()
    while time.monotonic() < first + 0.75:
        last = time.monotonic()
        found += await codes(party, 10, stage, other)
    ended = time.monotonic()
    assert found.keys() == {"", "rate_limit_exceeded"}
    assert 20 + int(10 * (last - first)) <= found[""] <= 20 + int(10 * (ended - began))


@pytest.mark.parametrize("plan", list(PLANS))
async def test_at_twice_its_rate_a_plan_gets_its_bucket_and_its_rate(
    stage: Stage, plan: Plan
) -> None:
    limits, seconds = PLANS[plan], float(os.environ.get("TEST_RATE_SECONDS", "1"))
    party = await stage.open_account(plan=plan)
    stores = [Database(stage.url, pool_size=2) for _ in range(2)]
    limiters = [Limiter(store, stage.app._limits) for store in stores]
    found: Counter[str] = Counter()

    async def send(number: int, turn: int) -> None:
        for _ in range(number):
            asked = Request("req_1", "GET", "/v1/account", b"", {}, none)
            try:
                await limiters[turn % 2].take(asked, party.id, party.livemode)
            except ApiError as refused:
                found[refused.code] += 1
            else:
                found[""] += 1

    async with asyncio.TaskGroup() as group:
        began = time.monotonic()
        for turn in range(20):
            group.create_task(send(limits.burst // 20, turn))
        sent = 0
        while (passed := time.monotonic() - began) < seconds:
            due = int(2 * limits.rate * passed) - sent
            for turn in range(2):
                group.create_task(send(due // 2, turn))
            sent += due // 2 * 2
            until = passed
            await asyncio.sleep(0.02)
    passed = time.monotonic() - began
    for limiter in limiters:
        await limiter.close()
    await asyncio.gather(*(store.close() for store in stores))
    least = limits.burst + limits.rate * until
    expected = limits.burst + limits.rate * passed
    # Each process gives a four hundredth of a fast plan without a daily limit by itself.
    graces = 2 if limits.daily is None and limits.rate >= account_limit.LEASED_FROM else 0
    grace = graces * expected / account_limit.GRACE_PARTS
    asked = limits.burst + sent  # a slow machine asks for no more than it may, and is not refused
    assert found["rate_limit_exceeded"] > 0 or asked <= expected + grace
    assert min(0.95 * least - 1, asked) <= found[""] <= expected + grace


async def none() -> dict[str, object]:
    raise AssertionError("no body is read")


@pytest.mark.parametrize(("rate", "burst"), [(10, 50), (1_000, 2_000)])
async def test_a_day_stops_at_its_number_in_both_processes(
    stage: Stage, other: Stage, rate: int, burst: int
) -> None:
    party = await with_limits(stage, rate, burst, 30)
    found: Counter[str] = Counter()
    for _ in range(10):
        found += await codes(party, 4, stage, other)
    assert found == {"": 30, "daily_limit_exceeded": 10}
    reply = await stage.ask(OWN, party.key)
    midnight = 86_400 - time.time() % 86_400
    assert abs(int(reply.headers["retry-after"]) - midnight) < 5
    assert reply.headers["x-ratelimit-remaining"] == "0"
    assert reply.headers["ratelimit"].startswith('"daily";r=0;t=')


async def test_a_new_day_begins_at_zero(stage: Stage) -> None:
    party = await with_limits(stage, 10, 50, 3)
    assert await codes(party, 5, stage) == {"": 3, "daily_limit_exceeded": 2}
    yesterday = "UPDATE rate_budget SET asked_at = asked_at - $2::bigint WHERE account = $1"
    await stage.rows(yesterday, party.id, 86_400 * 10**9)
    async with beside(stage) as restarted:
        assert await codes(party, 5, restarted) == {"": 3, "daily_limit_exceeded": 2}


async def test_a_restart_forgets_nothing(stage: Stage) -> None:
    party = await with_limits(stage, 1, 5, 8)
    async with beside(stage) as first:
        assert await codes(party, 9, first) == {"": 5, "rate_limit_exceeded": 4}
    async with beside(stage) as second:
        assert (await codes(party, 9, second))[""] <= 1
    # Time passes: the bucket is full again, the day is not over.
    query = "UPDATE rate_budget SET full_at = full_at - $2::bigint WHERE account = $1"
    await stage.rows(query, party.id, 10 * 10**9)
    used = (await stage.rows("SELECT used FROM rate_budget WHERE account = $1", party.id))[0][
        "used"
    ]
    async with beside(stage) as third:
        assert await codes(party, 9, third) == {"": 8 - used, "daily_limit_exceeded": 1 + used}


async def test_each_account_and_each_mode_has_a_bucket_of_its_own(stage: Stage) -> None:
    party, stranger = await with_limits(stage, 1, 5), await with_limits(stage, 1, 5)
    live = await stage.in_mode(party.id, livemode=True)
    await set_up(stage, live, rate_limit=RateLimit(rate=1, burst=5))
    assert (await codes(party, 7, stage))[""] == 5
    assert (await codes(live, 7, stage))[""] == 5
    assert (await codes(stranger, 7, stage))[""] == 5


async def test_all_keys_of_an_account_share_its_bucket(stage: Stage) -> None:
    party = await with_limits(stage, 1, 5)
    second = party._replace(key=await stage.make_key(party, "restricted", ["accounts:read"]))
    assert (await codes(party, 3, stage))[""] == 3
    assert (await codes(second, 4, stage))[""] == 2


async def test_acting_for_another_account_is_charged_to_the_keys_own(stage: Stage) -> None:
    party, acted_on = await with_limits(stage, 1, 5), await with_limits(stage, 1, 5)
    replies = [await stage.ask(OWN, party.key, X_Account_Id=acted_on.id) for _ in range(5)]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == [
        "4",
        "3",
        "2",
        "1",
        "0",
    ]
    reply = await stage.ask(OWN, party.key, X_Account_Id=acted_on.id)
    assert (reply.status, reply.error["code"]) == (429, "rate_limit_exceeded")
    assert (await codes(acted_on, 7, stage))[""] == 5


async def test_keys_of_connected_accounts_share_the_bucket_of_the_first_of_their_line(
    stage: Stage, other: Stage
) -> None:
    first = await with_limits(stage, 1, 6)
    child = await stage.in_mode(
        (await stage.done("POST /accounts", first.key))["id"], livemode=False
    )
    grandchild = await stage.in_mode(
        (await stage.done("POST /accounts", child.key))["id"], livemode=False
    )
    found: Counter[str] = Counter()
    for party in (grandchild, child, first):
        found += await codes(party, 4, stage, other)
    assert 4 <= found[""] <= 6
    assert found[""] + found["rate_limit_exceeded"] == 12
    await set_up(stage, first, rate_limit=RateLimit(rate=1000, burst=1000))
    await eventually(lambda: _is_served(grandchild, stage))


async def _is_served(party: Party, stage: Stage) -> bool:
    return (await codes(party, 20, stage))[""] == 20


async def test_a_change_of_plan_is_heard_by_every_process(stage: Stage, other: Stage) -> None:
    party = await stage.open_account(plan="free")
    assert (await other.ask(OWN, party.key)).headers["x-ratelimit-limit"] == "20"
    await set_up(stage, party, plan="growth")
    assert (await stage.ask(OWN, party.key)).headers["x-ratelimit-limit"] == "2000"
    deadline = time.monotonic() + 5
    while (await other.ask(OWN, party.key)).headers["x-ratelimit-limit"] != "2000":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_every_answer_to_a_known_key_tells_of_its_limits(stage: Stage) -> None:
    party = await stage.open_account()
    reader = await stage.make_key(party, "restricted", ["events:read"])
    body = {"type": "public"}
    answers = {
        "read": await stage.ask(OWN, party.key),
        "made": await stage.ask("POST /api_keys", party.key, body, Idempotency_Key="once"),
        "replayed": await stage.ask("POST /api_keys", party.key, body, Idempotency_Key="once"),
        "bad request": await stage.ask("POST /api_keys", party.key, "{"),
        "missing": await stage.ask("GET /api_keys/key_test_none", party.key),
        "no route": await stage.ask("GET /nothing", party.key),
        "no method": await stage.ask("DELETE /account", party.key),
        "forbidden": await stage.ask(OWN, reader),
        "version": await stage.ask(OWN, party.key, StateSet_Version="1999-01-01"),
    }
    statuses = {name: reply.status for name, reply in answers.items()}
    assert list(statuses.values()) == [200, 201, 201, 400, 404, 404, 405, 403, 400]
    assert answers["replayed"].headers["idempotent-replayed"] == "true"
    for name, reply in answers.items():
        assert list(limit_fields(reply)) == list(NAMES), name
        assert reply.headers["ratelimit-policy"] == '"burst";q=40000;w=2'


async def test_what_is_refused_on_the_way_is_charged_and_still_says_why(stage: Stage) -> None:
    party = await with_limits(stage, 1, 3)
    reader = await stage.make_key(party, "restricted", ["events:read"])
    for route, key, status in (
        ("GET /nothing", party.key, 404),
        ("DELETE /account", party.key, 405),
        (OWN, reader, 403),
    ):
        assert (await stage.ask(route, key)).status == status
    assert (await stage.ask(OWN, party.key)).status == 429
    assert (await stage.ask("GET /nothing", party.key)).status == 404
    assert (await stage.ask(OWN, reader)).status == 403


async def test_a_refusal_says_when_to_come_back_and_does_not_count(stage: Stage) -> None:
    party = await with_limits(stage, 1, 2, 100)
    await codes(party, 2, stage)
    now = time.time()
    reply = await stage.ask(OWN, party.key)
    assert (reply.status, reply.error["type"]) == (429, "rate_limit_error")
    assert reply.error["code"] == "rate_limit_exceeded"
    assert reply.headers["retry-after"] == "1"
    fields = limit_fields(reply)
    assert fields["ratelimit"] in ('"burst";r=0;t=2', '"burst";r=0;t=1')
    assert now + 1 <= int(fields["x-ratelimit-reset"]) <= now + 4
    rows = await stage.rows("SELECT used FROM rate_budget WHERE account = $1", party.id)
    assert rows == [{"used": 2}]


async def test_an_address_without_a_good_key_is_limited_and_good_keys_from_it_are_not(
    stage: Stage,
) -> None:
    party = await stage.open_account()
    stranger = await stage.open_account()
    async with beside(stage, address_rate=1) as strict:
        strict.peer = "192.0.2.7"
        assert (await strict.ask(OWN, party.key)).status == 200
        replies = [await strict.ask(OWN, None), await strict.ask(OWN, f"{party.key}x")]
        assert [reply.status for reply in replies] == [401, 401]
        assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["1", "0"]
        for route, key in (
            (OWN, None),
            (OWN, party.key[:-1]),
            ("GET /nothing", None),
            (OWN, stranger.key),  # Good, but not remembered here: nobody asks the database.
        ):
            reply = await strict.ask(route, key)
            assert (reply.status, reply.error["code"]) == (429, "rate_limit_exceeded")
            assert reply.headers["retry-after"] == "1"
            assert list(limit_fields(reply)) == list(NAMES)
        assert (await strict.ask(OWN, party.key)).status == 200
        strict.peer = "192.0.2.8"
        assert (await strict.ask("GET /nothing", None)).status == 404
        assert (await strict.ask(OWN, stranger.key)).status == 200


@pytest.mark.parametrize("page", [b"/readyz", b"/openapi.json", b"/docs", b"/docs/errors"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_pages_are_charged_to_the_address_and_tell_of_its_limits(
    stage: Stage, page: bytes, method: str
) -> None:
    party = await stage.open_account()
    async with beside(stage, address_rate=1) as strict:
        # A page is made when it is first read, which gives an address time for another token.
        await strict.send(method, page, [])
        strict.peer = "192.0.2.7"
        replies = [await strict.send(method, page, []) for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 429, 429]
        assert all(list(limit_fields(reply)) == list(NAMES) for reply in replies)
        assert replies[-1].headers["retry-after"] == "1"
        assert (await strict.ask(OWN, None)).status == 429
        strict.peer = "192.0.2.8"
        assert (await strict.send(method, page, [])).status == 200
        assert (await strict.ask(OWN, party.key)).status == 200


async def test_who_looks_after_the_server_is_not_limited(stage: Stage) -> None:
    async with beside(stage, address_rate=1) as strict:
        strict.peer = "192.0.2.7"
        replies = [await strict.send("GET", b"/healthz", []) for _ in range(9)]
        assert {reply.status for reply in replies} == {200}
        assert {len(limit_fields(reply)) for reply in replies} == {0}


async def test_the_document_is_encoded_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await stage.send("GET", b"/openapi.json", [])
    monkeypatch.setattr(handbook, "msgspec", None)
    assert (await stage.send("GET", b"/openapi.json", [])).body == first.body


async def test_the_store_is_asked_whether_it_is_ready_by_one_at_a_time_and_seldom(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def ready() -> bool:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return asked == 1

    async with beside(stage) as other:
        monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", 0.2)
        monkeypatch.setattr(other.app.store, "ready", ready)
        replies = await asyncio.gather(*(other.send("GET", b"/readyz", []) for _ in range(50)))
        assert {reply.status for reply in replies} == {200}
        assert asked == 1
        await asyncio.sleep(0.25)
        assert (await other.send("GET", b"/readyz", [])).status == 503
        assert asked == 2


async def test_switched_off_nobody_is_limited_or_told(stage: Stage) -> None:
    party = await with_limits(stage, 1, 2)
    async with beside(stage, rate_limits="off") as unlimited:
        assert await codes(party, 10, unlimited) == {"": 10}
        assert limit_fields(await unlimited.ask(OWN, party.key)) == {}
        assert (await unlimited.ask("GET /nothing", party.key)).status == 404
        assert (await unlimited.ask(OWN, None)).status == 401
        reader = await stage.make_key(party, "restricted", ["events:read"])
        assert (await unlimited.ask(OWN, reader)).status == 403
