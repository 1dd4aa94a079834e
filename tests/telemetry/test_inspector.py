"""The ledger verified by itself: once in a while, by one of many, and said when it is wrong."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from commerce import inspector
from commerce.inspector import LOCK, Inspector, inspected
from commerce.installation import ServerError
from commerce.settings import Settings
from commerce.store.embedded import EmbeddedPostgres
from commerce.telemetry import verified
from tests.database import migrated
from tests.process import Serve, eventually


@pytest.fixture(scope="module")
async def url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    async with migrated(postgres.url) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


async def test_a_sound_ledger_is_said_to_be_so(url: str, settings: Settings) -> None:
    with capture_logs() as lines:
        assert await Inspector(settings, url).turn()
    assert [line["event"] for line in lines] == ["ledger_verified"]
    last = verified.read(settings.data_dir)
    assert last is not None
    assert (last.findings, last.entries) == (0, 0)
    assert abs(last.finished - time.time()) < 60


async def test_what_is_wrong_is_an_error_and_a_metric(url: str, settings: Settings) -> None:
    sql = await asyncpg.connect(url)
    await sql.execute(
        "INSERT INTO ledger_balance VALUES ('a', false, 'c', 'ssusd', false, true, 7, 0, 0)"
    )
    with capture_logs() as lines:
        assert await Inspector(settings, url).turn()
    await sql.execute("DELETE FROM ledger_balance WHERE account = 'a'")
    await sql.close()
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("ledger_violated", "error")
    assert line["violations"] == len(line["first"]) > 0
    facts = {fact.name: fact.value for fact in await verified.last(settings.data_dir)}
    assert facts["commerce_verify_last_ok"] == 0


async def test_one_process_verifies_at_a_time(url: str, settings: Settings) -> None:
    sql = await asyncpg.connect(url)
    await sql.execute("SELECT pg_advisory_lock($1)", LOCK)
    assert not await Inspector(settings, url).turn()
    await sql.close()
    assert verified.read(settings.data_dir) is None


async def test_what_was_verified_a_while_ago_is_verified_again(
    url: str, settings: Settings
) -> None:
    inspector = Inspector(settings, url)
    verified.note(settings.data_dir, 0, 0)
    assert not await inspector.turn()
    text = (settings.data_dir / verified.FILE).read_text()
    last = verified.read(settings.data_dir)
    assert last is not None
    old = str(last.finished - 24 * 3600)
    (settings.data_dir / verified.FILE).write_text(text.replace(str(last.finished), old))
    assert await inspector.turn()


async def test_a_verify_that_says_nothing_is_told_and_tried_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "LOOK_SECONDS", 0.01)
    away = Inspector(Settings(data_dir=tmp_path), "postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(ServerError):
        await away.turn()
    with capture_logs() as lines:
        task = asyncio.create_task(away.run())
        await eventually(lambda: _are(2, lines))
        task.cancel()
    assert {line["event"] for line in lines} == {"verify_waits"}
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ServerError, match="verify said nothing"):
        await Inspector(Settings(data_dir=tmp_path), url).turn()
    monkeypatch.undo()
    (tmp_path / verified.FILE).write_text("{")
    with capture_logs() as lines:
        async with inspected(Settings(data_dir=tmp_path), url):
            await eventually(lambda: _are(1, lines))
    assert {line["event"] for line in lines} == {"ledger_verified"}, "it is as due as can be"


async def _are(count: int, lines: Sequence[object]) -> bool:
    return len(lines) >= count


async def test_a_server_that_is_told_not_to_verify_does_not(url: str, tmp_path: Path) -> None:
    async with asyncio.timeout(1):
        await Inspector(Settings(data_dir=tmp_path, verify_hours=0), url).run()


async def test_a_server_verifies_by_itself(data_dir: Path, serve: Serve) -> None:
    server = serve(data_dir)

    async def told() -> bool:
        return any(line["event"] == "ledger_verified" for line in server.lines)

    await eventually(told)
    assert verified.read(data_dir) is not None
    assert server.stop() == 0


async def test_a_verify_that_fails_for_another_reason_is_told_and_tried_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector, "LOOK_SECONDS", 0.01)
    (tmp_path / verified.FILE).mkdir()
    with capture_logs() as lines:
        task = asyncio.create_task(Inspector(Settings(data_dir=tmp_path), url).run())
        await eventually(lambda: _are(2, lines))
        task.cancel()
    assert {line["event"] for line in lines} == {"verify_failed"}
