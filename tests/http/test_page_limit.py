"""Pages that need no key: charged to the address that asks, and made once."""

from __future__ import annotations

import asyncio

import pytest

from commerce import handbook
from commerce.http.limits import readiness
from tests.http.test_rate_limit import NAMES, OWN, beside, limit_fields
from tests.stage import Stage


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
