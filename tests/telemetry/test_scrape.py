"""What is counted of requests, batches, pools, jobs and refusals, read as Prometheus reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from commerce.app import App
from commerce.areas.identity import account
from commerce.areas.identity.account import RateLimit
from commerce.areas.stablecoin.movement import EXECUTE
from commerce.kernel.master_key import MasterKey
from commerce.meter.meters import Meters
from commerce.settings import Settings
from commerce.store.database import Database
from commerce.telemetry import scrape, verified
from commerce.telemetry.request import RequestMeter
from commerce.telemetry.scrape import Fact, Scrape, Source
from tests.http.test_rate_limit import beside
from tests.stage import BASE_URL, Party, Stage
from tests.telemetry.reading import Shown, read

TRANSFER = "POST /stablecoin/transfer"
DAY = 86_400


async def metrics(stage: Stage) -> Shown:
    reply = await stage.send("GET", b"/metrics", [])
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(reply.body)


@pytest.fixture
async def payer(stage: Stage) -> Party:
    party = await stage.open_account(capabilities=["stablecoin_issuance"])
    await stage.fund(party.wallet, "100.00")
    return party


async def test_requests_are_counted_by_operation_and_status_and_never_by_path(
    stage: Stage, payer: Party
) -> None:
    before = await metrics(stage)
    made = await stage.done(TRANSFER, payer.key, to=await other(stage), amount="1.00")
    await stage.get(f"/stablecoin/transfers/{made['id']}", payer.key)
    await stage.ask("GET /stablecoin/transfers/str_missing", payer.key)
    await stage.ask("GET /account", "sk_test_nobody")
    await stage.send("GET", b"/no/such/path-of-a-client", [])
    await stage.send(
        "OPTIONS",
        b"/v1/account",
        [
            (b"origin", b"https://shop.example.com"),
            (b"access-control-request-method", b"GET"),
        ],
    )
    await stage.send("GET", b"/docs/errors", [])
    after = await metrics(stage)

    def more(operation: str, status: str) -> float:
        name = "commerce_http_requests_total"
        labels = {"operation": operation, "status": status}
        return after.value(name, **labels) - before.value(name, **labels)

    assert more(TRANSFER, "201") == 1
    assert more("GET /stablecoin/transfers/{id}", "200") == 1
    assert more("GET /stablecoin/transfers/{id}", "404") == 1
    assert more("GET /account", "401") == 1
    assert more("other", "404") == 1
    assert more("OPTIONS", "200") == 1
    assert more("GET /docs", "200") == 1
    assert more("GET /metrics", "200") == 1
    name = "commerce_http_request_seconds"
    taken = {"operation": TRANSFER, "status_class": "2xx"}
    assert after.value(f"{name}_count", **taken) - before.value(f"{name}_count", **taken) == 1
    assert 0 < after.value(f"{name}_sum", **taken) - before.value(f"{name}_sum", **taken) < 5


async def other(stage: Stage) -> str:
    return (await stage.open_account()).wallet


async def test_no_label_holds_an_account_a_key_an_address_or_a_path(
    stage: Stage, payer: Party
) -> None:
    friend = await stage.open_account()
    await stage.done(TRANSFER, payer.key, to=friend.wallet, amount="1.00")
    await stage.send("GET", b"/no/such/path-of-a-client", [])
    text = (await stage.send("GET", b"/metrics", [])).body.decode()
    for secret in (payer.id, payer.key, payer.wallet, friend.id, friend.wallet, "path-of-a"):
        assert secret not in text


async def test_batches_are_counted_with_their_size_weight_and_phases(
    stage: Stage, payer: Party
) -> None:
    friend = await stage.open_account()
    before = await metrics(stage)
    body = {"to": friend.wallet, "amount": "0.10"}
    await asyncio.gather(*(stage.ask(TRANSFER, payer.key, body) for _ in range(20)))
    after = await metrics(stage)

    def more(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    batches = more("commerce_engine_batches_total")
    assert 1 <= batches <= 20
    assert more("commerce_engine_commands_total") == 20
    assert more("commerce_batch_commands_count") == batches
    assert more("commerce_batch_commands_sum") == 20
    assert more("commerce_batch_weight_sum") == 200
    for phase in ("begin", "load", "run", "write", "commit"):
        assert more("commerce_batch_phase_seconds_count", phase=phase) >= batches
        assert 0 < more("commerce_batch_phase_seconds_sum", phase=phase) < 5
    assert after.value("commerce_engine_waiting_commands") == 0


async def test_replays_and_tries_after_the_first_are_counted(stage: Stage, payer: Party) -> None:
    friend = await stage.open_account()
    body = {"to": friend.wallet, "amount": "0.10"}
    before = await metrics(stage)
    for _ in range(3):
        await stage.ask(TRANSFER, payer.key, body, Idempotency_Key="again")
    after = await metrics(stage)
    name = "commerce_engine_replays_total"
    assert after.value(name) - before.value(name) == 2
    # Two of three batches found the key taken; nothing of them was left to be run again.
    name = "commerce_engine_retries_total"
    assert after.value(name) == before.value(name)


async def test_refusals_are_counted_by_plan_and_reason(stage: Stage) -> None:
    free = await stage.open_account(plan="free")
    own = await stage.open_account()
    params = account.UpdateAccount(
        account=own.id, rate_limit=RateLimit(rate=1000, burst=2000, daily=1)
    )
    await stage.app.operate(account.update, params, account=own.id, livemode=False)
    async with beside(stage, address_rate=1) as other_:
        for party, number in ((free, 24), (own, 3)):
            for _ in range(number):
                await other_.ask("GET /account", party.key)
        other_.peer = "192.0.2.1"
        for _ in range(5):
            await other_.ask("GET /account", "sk_test_nobody")
        other_.peer = None
        found = await metrics(other_)
    name = "commerce_rate_limit_refusals_total"
    assert found.value(name, plan="free", reason="rate_limit_exceeded") in range(1, 5)
    assert found.value(name, plan="custom", reason="daily_limit_exceeded") == 2
    assert found.value(name, plan="none", reason="rate_limit_exceeded") == 3
    assert found.value(name, plan="enterprise", reason="rate_limit_exceeded") == 0
    assert found.sum(name) == found.value(
        "commerce_http_requests_total", operation="GET /account", status="429"
    )


async def test_jobs_are_counted_by_outcome_and_their_lag_is_the_oldest_ones(
    stage: Stage, payer: Party
) -> None:
    friend = await stage.open_account()
    due = stage.clock.now_ms() // 1000 + DAY
    assert (await metrics(stage)).value("commerce_job_lag_seconds") == 0
    body = {"to": friend.wallet, "amount": "1.00", "scheduled_at": due}
    for _ in range(3):
        await stage.done(TRANSFER, payer.key, **body)
    assert (await metrics(stage)).value("commerce_job_lag_seconds") == 0
    stage.clock.advance(DAY + 90)
    assert (await metrics(stage)).value("commerce_job_lag_seconds") == 90
    spoilt = await stage.rows("SELECT subject FROM job LIMIT 1")
    await stage.rows(
        "UPDATE job SET params = replace(params, $1, $2) WHERE subject = $1",
        spoilt[0]["subject"],
        "str_missing",
    )
    await stage.app.worker.turn()
    found = await metrics(stage)
    jobs = "commerce_jobs_total"
    task = EXECUTE
    assert found.value(jobs, task=task, outcome="done") == 2
    assert found.value(jobs, task=task, outcome="failed") == 1
    assert found.value("commerce_job_lag_seconds") == 0


async def test_a_job_that_another_worker_has_done_is_counted_as_missed(
    stage: Stage, payer: Party
) -> None:
    friend = await stage.open_account()
    due = stage.clock.now_ms() // 1000 + DAY
    await stage.rows("DELETE FROM job")
    await stage.done(TRANSFER, payer.key, to=friend.wallet, amount="1.00", scheduled_at=due)
    stage.clock.advance(DAY)
    before = await metrics(stage)
    (job,) = await stage.app.worker._due(stage.clock.now_ms() // 1000, 10)
    assert await stage.app.worker._do(job)
    assert await stage.app.worker._do(job)
    after = await metrics(stage)

    def more(outcome: str) -> float:
        labels = {"task": job.task, "outcome": outcome}
        name = "commerce_jobs_total"
        return after.value(name, **labels) - before.value(name, **labels)

    assert [more(outcome) for outcome in ("done", "missed", "failed")] == [1, 1, 0]


@asynccontextmanager
async def metered(stage: Stage) -> AsyncIterator[tuple[Database, Meters]]:
    meters = Meters()
    database = Database(stage.url, pool_size=2, meters=meters)
    yield database, meters
    await database.close()


async def test_reads_that_wait_for_a_connection_are_counted(stage: Stage, payer: Party) -> None:
    table = stage.app.registry.tables["account"]
    async with metered(stage) as (database, meters):
        scraped = Scrape(meters, [])
        await database.find(table.key, [(payer.id, False, payer.id)])
        found = read(await scraped.text())
        assert found.value("commerce_pool_size") == 2
        assert found.value("commerce_pool_waits_total") == 0
        reads = [
            asyncio.create_task(database.find(table.key, [(payer.id, False, payer.id)]))
            for _ in range(5)
        ]
        await asyncio.sleep(0)
        assert read(await scraped.text()).value("commerce_pool_queries") == 5
        await asyncio.gather(*reads)
        found = read(await scraped.text())
        assert found.value("commerce_pool_waits_total") == 3
        assert found.value("commerce_pool_queries") == 0


async def test_without_a_database_there_are_metrics_and_they_say_so(tmp_path: Path) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    settings = Settings(data_dir=tmp_path)
    app = App(nowhere, settings, MasterKey.parse("07" * 32), base_url=BASE_URL)
    found = read(await app.scrape.text())
    assert found.value("commerce_source_up", source="jobs") == 0
    assert found.value("commerce_source_up", source="verify") == 1
    assert ("commerce_job_lag_seconds", frozenset()) not in found.values
    assert found.value("commerce_process_starts_total") == 1


async def test_a_source_adds_facts_of_its_own_and_one_that_hangs_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scrape, "ASK_SECONDS_MAX", 0.05)

    async def seal() -> list[Fact]:
        return [
            Fact("commerce_seal_lag_seconds", "Lag.", 1.5),
            Fact("commerce_sealed_height", "Height.", 42, {"epoch": "1"}),
        ]

    async def hanging() -> list[Fact]:
        await asyncio.sleep(60)
        return [Fact("commerce_never", "Never.", 1)]

    async def broken() -> list[Fact]:
        raise ValueError("no")

    shown = Scrape(Meters(), [])
    asks = {"seal": seal, "hanging": hanging, "broken": broken}
    shown.sources += [Source(name, ask) for name, ask in asks.items()]
    began = time.monotonic()
    found = read(await shown.text())
    assert time.monotonic() - began < 5
    assert found.value("commerce_seal_lag_seconds") == 1.5
    assert found.value("commerce_sealed_height", epoch="1") == 42
    up = {name: found.value("commerce_source_up", source=name) for name in asks}
    assert up == {"seal": 1, "hanging": 0, "broken": 0}
    assert "commerce_never" not in found.kinds


async def test_the_last_verify_is_shown_and_none_before_the_first(tmp_path: Path) -> None:
    shown = Scrape(Meters(), [])
    shown.sources.append(Source("verify", lambda: verified.last(tmp_path)))
    found = read(await shown.text())
    assert found.kinds["commerce_verify_last_ok"] == "gauge"
    assert not [key for key in found.values if key[0].startswith("commerce_verify")]
    for findings, ok in ((0, 1.0), (3, 0.0)):
        verified.note(tmp_path, findings, 1000)
        found = read(await shown.text())
        assert found.value("commerce_verify_last_ok") == ok
        assert found.value("commerce_verify_last_entries") == 1000
        assert found.value("commerce_verify_last_timestamp_seconds") == pytest.approx(
            time.time(), abs=60
        )
    files = await asyncio.to_thread(lambda: [path.name for path in tmp_path.iterdir()])
    assert files == [verified.FILE]
    (tmp_path / verified.FILE).write_text("{")
    found = read(await shown.text())
    assert found.value("commerce_source_up", source="verify") == 0
    verified.note(tmp_path / "missing", 0, 0)
    assert not (tmp_path / "missing").exists()


def test_a_status_and_an_operation_that_nobody_knew_are_counted_as_others() -> None:
    meters = Meters()
    meter = RequestMeter(meters, ["GET /a"], ["free"])
    meter.answered("GET /a", 418, 1, None, None)
    meter.answered("GET /b", 200, 1, None, None)
    meter.answered("GET /b", 599, 1, None, None)
    found = read(asyncio.run(Scrape(meters, []).text()))
    name = "commerce_http_requests_total"
    assert found.value(name, operation="GET /a", status="other") == 1
    assert found.value(name, operation="other", status="200") == 1
    assert found.value(name, operation="other", status="other") == 1
    name = "commerce_http_request_seconds_count"
    assert found.value(name, operation="GET /a", status_class="4xx") == 1
    assert found.value(name, operation="other", status_class="5xx") == 1


async def test_who_may_read_metrics(stage: Stage) -> None:
    async def asked(at: Stage, peer: str | None, *headers: tuple[bytes, bytes]) -> int:
        at.peer = peer
        reply = await at.send("GET", b"/metrics", list(headers))
        at.peer = None
        if reply.status == 404:
            assert reply.error["code"] == "route_missing"
        return reply.status

    forwarded = (b"x-forwarded-for", b"127.0.0.1")
    assert await asked(stage, "127.0.0.1") == 200
    assert await asked(stage, "::1") == 200
    assert await asked(stage, "10.1.2.3") == 404
    assert await asked(stage, "not-an-address") == 404
    assert await asked(stage, "127.0.0.1", forwarded) == 404, "a proxy that nobody trusts"
    assert (await stage.send("POST", b"/metrics", [])).status == 405
    async with beside(stage, metrics_networks="10.0.0.0/8", trusted_proxies="192.0.2.1") as other_:
        assert await asked(other_, "10.1.2.3") == 200
        assert await asked(other_, "127.0.0.1") == 404
        assert await asked(other_, "192.0.2.1", (b"x-forwarded-for", b"10.1.2.3")) == 200
        assert await asked(other_, "192.0.2.1", (b"x-forwarded-for", b"203.0.113.9")) == 404
