"""Keys that come to their end: their status says so everywhere, and a key is rolled once."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.areas.identity import expiry
from commerce.areas.identity.api_key import ExpireKey
from tests.ladder import refused
from tests.stage import Party, Stage

ROUTE = "POST /api_keys"
HOUR = 3600


@pytest.fixture
async def owner(stage: Stage) -> Party:
    return await stage.open_account()


async def made(stage: Stage, owner: Party, **more: Any) -> dict[str, Any]:
    return await stage.done(ROUTE, owner.key, type="secret", **more)


async def brief(stage: Stage, owner: Party) -> dict[str, Any]:
    """A key that lives for an hour."""
    return await made(stage, owner, expires_at=stage.clock.now_ms() // 1000 + HOUR)


async def listed(stage: Stage, owner: Party, query: str) -> list[str]:
    page = await stage.get(f"/api_keys?limit=100&{query}", owner.key)
    return [each["id"] for each in page["data"]]


async def test_an_expired_key_says_so_at_once_and_is_listed_so_soon_after(
    stage: Stage, owner: Party
) -> None:
    key = await brief(stage, owner)
    path = f"/api_keys/{key['id']}"
    assert key["status"] == (await stage.get(path, owner.key))["status"] == "active"
    assert await listed(stage, owner, "status=expired") == []
    stage.clock.advance(HOUR)
    assert (await stage.get(path, owner.key))["status"] == "expired"
    page = await stage.get("/api_keys", owner.key)
    assert {each["id"]: each["status"] for each in page["data"]}[key["id"]] == "expired"
    await stage.app.worker.turn()
    assert key["id"] not in await listed(stage, owner, "status=active")
    assert await listed(stage, owner, "status=expired") == [key["id"]]
    assert key["id"] in await listed(stage, owner, "status[]=expired&status[]=revoked")
    _, event = await stage.events(owner, key["id"])
    assert event["type"] == "api_key.expired"
    assert event["data"]["previous_attributes"] == {"status": "active"}
    reply = await stage.ask("GET /account", key["secret"])
    assert (reply.status, reply.error["code"]) == (401, "api_key_expired")
    says = "'expired' cannot be rolled"
    await refused(stage, f"{ROUTE}/{key['id']}/roll", owner.key, {}, 400, "state_invalid", says)
    assert await stage.rows("SELECT * FROM job") == []


async def test_a_key_that_is_said_to_be_expired_opens_nothing_by_a_clock_that_is_behind(
    stage: Stage, owner: Party
) -> None:
    key = await brief(stage, owner)
    assert (await stage.ask("GET /account", key["secret"])).status == 200
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    stage.clock.advance(-60)
    assert (await stage.get(f"/api_keys/{key['id']}", owner.key))["status"] == "expired"
    for route, body in (("GET /account", None), (ROUTE, {"type": "secret"})):
        reply = await stage.ask(route, key["secret"], body)
        assert (reply.status, reply.error["code"]) == (401, "api_key_expired")


async def test_a_revoked_key_stays_revoked_when_its_time_is_over(
    stage: Stage, owner: Party
) -> None:
    key = await brief(stage, owner)
    await stage.ask(f"DELETE /api_keys/{key['id']}", owner.key)
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    assert (await stage.get(f"/api_keys/{key['id']}", owner.key))["status"] == "revoked"
    assert len(await stage.events(owner, key["id"])) == 2


async def test_before_its_time_no_job_ends_a_key(stage: Stage, owner: Party) -> None:
    key = await brief(stage, owner)
    before = await stage.dump()
    await stage.app.worker.turn()
    params = ExpireKey(key["id"])
    await stage.app.operate(expiry.expire, params, account=owner.id, livemode=False)
    assert await stage.dump() == before


@pytest.mark.parametrize("grace", [0, 5])
async def test_a_key_is_rolled_once_and_the_refusal_names_what_replaced_it(
    stage: Stage, owner: Party, grace: int
) -> None:
    old = await made(stage, owner, name="Till")
    route, body = f"{ROUTE}/{old['id']}/roll", {"expires_in": grace}
    new = await stage.done(route, owner.key, **body)
    for again in (body, {"expires_in": 60}):
        await refused(stage, route, owner.key, again, 400, "state_invalid", new["id"])
    assert (await stage.get(f"/api_keys/{old['id']}", owner.key))["replaced_by"] == new["id"]
    assert new["expires_at"] is None
    stage.clock.advance(grace)
    await stage.app.worker.turn()
    state = (await stage.get(f"/api_keys/{old['id']}", owner.key))["status"]
    assert state == ("expired" if grace else "revoked")
    assert (await stage.ask("GET /account", new["secret"])).status == 200
    await stage.done(f"{ROUTE}/{new['id']}/roll", owner.key)


async def test_a_roll_never_lengthens_a_life_and_its_event_says_what_changed(
    stage: Stage, owner: Party
) -> None:
    for grace, ends in ((60, 60), (HOUR, HOUR), (2 * HOUR, HOUR)):
        old = await brief(stage, owner)
        route = f"{ROUTE}/{old['id']}/roll"
        new = await stage.done(route, owner.key, expires_in=grace)
        assert new["expires_at"] == old["expires_at"]
        _, event = await stage.events(owner, old["id"])
        kept = event["data"]["object"]
        assert kept["expires_at"] == stage.clock.now_ms() // 1000 + ends
        assert kept["replaced_by"] == new["id"]
        changed = {"replaced_by": None} | ({"expires_at": old["expires_at"]} if ends < HOUR else {})
        assert event["data"]["previous_attributes"] == changed
    stage.clock.advance(HOUR)
    await stage.app.worker.turn()
    assert await stage.rows("SELECT * FROM job") == []
