"""The ledger verified by itself: once in a while, by one of many, and said when it is wrong."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from commerce import inspector
from commerce.app import App
from commerce.areas.identity import account
from commerce.areas.stablecoin.chain import violation
from commerce.engine.outbox import EVENT
from commerce.inspector import LOCK, Inspector, inspected
from commerce.installation import ServerError
from commerce.kernel.master_key import MasterKey
from commerce.settings import Settings
from commerce.store.embedded import EmbeddedPostgres
from commerce.store.memory import Memory
from commerce.store.session import StoreUnavailable
from commerce.telemetry import verified
from tests.database import migrated
from tests.process import Serve, eventually
from tests.stage import staged


@pytest.fixture(scope="module")
async def url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    async with migrated(postgres.url) as url:
        yield url


@pytest.fixture
def app(tmp_path: Path) -> App:
    """An app that has nobody to tell anything."""
    return App(Memory(), Settings(data_dir=tmp_path), MasterKey.generate(), base_url="")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


async def test_a_sound_ledger_is_said_to_be_so(url: str, settings: Settings, app: App) -> None:
    with capture_logs() as lines:
        assert await Inspector(settings, url, app).turn()
    assert [line["event"] for line in lines] == ["ledger_verified"]
    last = verified.read(settings.data_dir)
    assert last is not None
    assert (last.findings, last.entries) == (0, 0)
    assert abs(last.finished - time.time()) < 60


async def test_what_is_wrong_is_an_error_a_metric_and_an_event(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    async with staged(postgres.url) as stage:
        operator = await stage.open_account(capabilities=["reserves_operator"])
        others = [
            await stage.in_mode(operator.id, livemode=True),
            await stage.open_account(capabilities=["stablecoin_issuance", "finance_lender"]),
        ]
        await stage.fund(operator.wallet, "100.00")
        tamper = """UPDATE ledger_balance SET balance = balance + 1
            WHERE code LIKE 'wallet:%' AND currency = 'ssusd'"""
        await stage.rows(tamper)
        with capture_logs() as lines:
            assert await Inspector(settings, stage.url, stage.app).turn()
        line = next(line for line in lines if line["event"] == "ledger_violated")
        assert line["log_level"] == "error"
        facts = {fact.name: fact.value for fact in await verified.last(settings.data_dir)}
        assert facts["commerce_verify_last_ok"] == 0
        (event,) = (await stage.get("/events?type=ledger.violated", operator.key))["data"]
        told = event["data"]["object"]
        assert (event["object_id"], event["sequence"]) == (told["id"], 1)
        assert (told["object"], told["livemode"]) == ("ledger_violation", False)
        assert told["violations"] == line["violations"] == 3
        assert told["findings"] == line["first"]
        assert told["findings"][0].startswith("every balance is the sum of its entries: {")
        for other in others:
            assert (await stage.get("/events?type=ledger.violated", other.key))["data"] == []
        _make_due(settings)
        assert await Inspector(settings, stage.url, stage.app).turn()
        assert len((await stage.get("/events?type=ledger.violated", operator.key))["data"]) == 2


async def test_what_is_wrong_in_live_mode_is_told_in_live_mode_and_not_all_of_it(
    postgres: EmbeddedPostgres, settings: Settings
) -> None:
    async with staged(postgres.url) as stage:
        test = await stage.open_account(capabilities=["reserves_operator"])
        live = await stage.in_mode(test.id, livemode=True)
        await stage.rows("""
            INSERT INTO ledger_balance
            SELECT n::text, true, 'c', 'usd', false, true, 7, 0, 0 FROM generate_series(1, 9) n
        """)
        assert await Inspector(settings, stage.url, stage.app).turn()
        (event,) = (await stage.get("/events?type=ledger.violated", live.key))["data"]
        assert event["data"]["object"]["violations"] == 9
        assert len(event["data"]["object"]["findings"]) == violation.SHOWN_MAX
        assert (await stage.get("/events?type=ledger.violated", test.key))["data"] == []


async def test_where_nobody_operates_the_reserves_the_log_says_that_nobody_heard(
    url: str, settings: Settings, app: App
) -> None:
    async with _tampered(url):
        with capture_logs() as lines:
            assert await Inspector(settings, url, app).turn()
    assert [line["event"] for line in lines] == ["ledger_violated", "ledger_violated_unheard"]


async def test_what_could_not_be_told_is_told_when_the_store_is_back(
    url: str, settings: Settings, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "LOOK_SECONDS", 0.01)
    memory = app.store
    assert isinstance(memory, Memory)

    async def away(_: str) -> None:
        raise StoreUnavailable("the store is away")

    async def is_told() -> bool:
        return "ledger.violated" in {row[EVENT.names.index("type")] for row in events.all()}

    async with app.running(serving=False), _tampered(url):
        params = account.CreateAccount(capabilities=["reserves_operator"])
        await app.operate(account.create, params, account="", livemode=False)
        events = memory.rows(EVENT)
        memory.interrupt = away
        inspecting = Inspector(settings, url, app)
        with capture_logs() as lines:
            assert await inspecting.turn()
        assert [line["event"] for line in lines] == ["ledger_violated", "ledger_violated_untold"]
        assert not await is_told()
        memory.interrupt = None
        task = asyncio.create_task(inspecting.run())
        await eventually(is_told)
        task.cancel()


@asynccontextmanager
async def _tampered(url: str) -> AsyncIterator[None]:
    """With a balance in test mode that no entry leads to."""
    sql = await asyncpg.connect(url)
    await sql.execute(
        "INSERT INTO ledger_balance VALUES ('a', false, 'c', 'ssusd', false, true, 7, 0, 0)"
    )
    try:
        yield
    finally:
        await sql.execute("DELETE FROM ledger_balance WHERE account = 'a'")
        await sql.close()


async def test_one_process_verifies_at_a_time(url: str, settings: Settings, app: App) -> None:
    sql = await asyncpg.connect(url)
    await sql.execute("SELECT pg_advisory_lock($1)", LOCK)
    assert not await Inspector(settings, url, app).turn()
    await sql.close()
    assert verified.read(settings.data_dir) is None


def _make_due(settings: Settings) -> None:
    """Have the last verify ended a day earlier."""
    text = (settings.data_dir / verified.FILE).read_text()
    last = verified.read(settings.data_dir)
    assert last is not None
    old = str(last.finished - 24 * 3600)
    (settings.data_dir / verified.FILE).write_text(text.replace(str(last.finished), old))


async def test_what_was_verified_a_while_ago_is_verified_again(
    url: str, settings: Settings, app: App
) -> None:
    inspector = Inspector(settings, url, app)
    verified.note(settings.data_dir, 0, 0)
    assert not await inspector.turn()
    _make_due(settings)
    assert await inspector.turn()


async def test_a_verify_that_says_nothing_is_told_and_tried_again(
    url: str, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "LOOK_SECONDS", 0.01)
    away = Inspector(Settings(data_dir=tmp_path), "postgresql://nobody@127.0.0.1:9/none", app)
    with pytest.raises(ServerError):
        await away.turn()
    with capture_logs() as lines:
        task = asyncio.create_task(away.run())
        await eventually(lambda: _are(2, lines))
        task.cancel()
    assert {line["event"] for line in lines} == {"verify_waits"}
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ServerError, match="verify said nothing"):
        await Inspector(Settings(data_dir=tmp_path), url, app).turn()
    monkeypatch.undo()
    (tmp_path / verified.FILE).write_text("{")
    with capture_logs() as lines:
        async with inspected(Settings(data_dir=tmp_path), url, app):
            await eventually(lambda: _are(1, lines))
    assert {line["event"] for line in lines} == {"ledger_verified"}, "it is as due as can be"


async def _are(count: int, lines: Sequence[object]) -> bool:
    return len(lines) >= count


async def test_a_server_that_is_told_not_to_verify_does_not(
    url: str, app: App, tmp_path: Path
) -> None:
    async with asyncio.timeout(1):
        await Inspector(Settings(data_dir=tmp_path, verify_hours=0), url, app).run()


async def test_a_server_verifies_by_itself(data_dir: Path, serve: Serve) -> None:
    server = serve(data_dir)

    async def told() -> bool:
        return any(line["event"] == "ledger_verified" for line in server.lines)

    await eventually(told)
    assert verified.read(data_dir) is not None
    assert server.stop() == 0


async def test_a_verify_that_fails_for_another_reason_is_told_and_tried_again(
    url: str, tmp_path: Path, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "LOOK_SECONDS", 0.01)
    (tmp_path / verified.FILE).mkdir()
    with capture_logs() as lines:
        task = asyncio.create_task(Inspector(Settings(data_dir=tmp_path), url, app).run())
        await eventually(lambda: _are(2, lines))
        task.cancel()
    assert {line["event"] for line in lines} == {"verify_failed"}
