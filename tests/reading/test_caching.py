"""ETags, conditional reads and conditional writes, on every endpoint there is."""

from __future__ import annotations

import asyncio

import pytest

from commerce.resource.registry import Endpoint
from tests.contract import refusal
from tests.contract.surface import ENDPOINTS, RETRIEVES, VERBS, Rehearsal, named
from tests.stage import Stage

READS = [endpoint for endpoint in ENDPOINTS if endpoint.method == "GET"]
CHANGES = [
    endpoint for endpoint in VERBS if any(endpoint.path.startswith(one.path) for one in RETRIEVES)
]
"""Verbs on an object that has a page of its own."""


@pytest.mark.parametrize("endpoint", READS, ids=named)
async def test_a_read_has_a_tag_by_which_it_need_not_be_read_again(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, _ = await play.stage_of(endpoint)
    first = await stage.ask(route, play.party.key)
    tag = first.headers["etag"]
    strong = tag.removeprefix("W/")
    assert strong.startswith('"')
    assert (strong != tag) == ("as_of" in first.json), "who tells the time has a weak tag"
    assert first.headers["cache-control"] == "private, no-cache"
    for given in (tag, strong, f"W/{strong}", f'"x", W/{strong} ,"y"', "*", f",, {tag},"):
        reply = await stage.ask(route, play.party.key, If_None_Match=given)
        assert (reply.status, reply.body) == (304, b""), given
        assert reply.headers["etag"] == tag
        assert reply.headers["cache-control"] == "private, no-cache"
        assert reply.headers["request-id"].startswith("req_")
        assert reply.headers["stateset-version"] == "2026-11-01"
        assert not {"content-length", "content-type"} & reply.headers.keys()
    for given in ('"x"', strong.strip('"'), tag[:-1], f'"{tag}"', "", "W/", "w/" + tag, '"*"', "é"):
        reply = await stage.ask(route, play.party.key, If_None_Match=given)
        assert (reply.status, reply.body) == (200, first.body), given


@pytest.mark.parametrize("path", ["/stablecoin/balance", "/stablecoin/reserves"])
async def test_the_tag_of_a_balance_changes_with_the_money_and_not_with_the_time(
    stage: Stage, play: Rehearsal, path: str
) -> None:
    first = await stage.ask(f"GET {path}", play.party.key)
    stage.clock.advance(5)
    later = await stage.ask(f"GET {path}", play.party.key)
    assert later.json == {**first.json, "as_of": first.json["as_of"] + 5}
    assert later.headers["etag"] == first.headers["etag"]
    tag = {"If_None_Match": first.headers["etag"]}
    assert (await stage.ask(f"GET {path}", play.party.key, **tag)).status == 304
    await play.fund("100.00")
    changed = await stage.ask(f"GET {path}", play.party.key, **tag)
    assert (changed.status, changed.headers["etag"] != first.headers["etag"]) == (200, True)


@pytest.mark.parametrize("endpoint", READS, ids=named)
async def test_head_is_get_without_the_body(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    route, _ = await play.stage_of(endpoint)
    get = await stage.ask(route, play.party.key)
    head = await stage.ask(f"HEAD {route.partition(' ')[2]}", play.party.key)
    assert (head.status, head.body) == (200, b"")
    same = ("etag", "content-length", "content-type", "cache-control")
    assert [head.headers[name] for name in same] == [get.headers[name] for name in same]
    missing = await stage.ask(f"HEAD {route.partition(' ')[2]}", None)
    assert (missing.status, missing.body) == (401, b"")


@pytest.mark.parametrize("endpoint", READS, ids=named)
async def test_a_refused_read_has_no_tag(stage: Stage, play: Rehearsal, endpoint: Endpoint) -> None:
    route, _ = await play.stage_of(endpoint)
    reply = await stage.ask(f"{route}?zzz=1", play.party.key, If_None_Match="*")
    refusal.is_(reply, 400, "parameter_unknown", "zzz")
    assert "etag" not in reply.headers


@pytest.mark.parametrize("verb", CHANGES, ids=named)
async def test_a_change_is_made_only_to_the_state_that_was_seen(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    one = next(one for one in RETRIEVES if verb.path.startswith(one.path))
    route, body = await play.stage_of(verb)
    path = f"/{'/'.join(route.partition(' ')[2].split('/')[1 : one.path.count('/') + 1])}"
    seen = (await stage.ask(f"GET {path}", play.party.key)).headers["etag"]
    state = seen.strip('"').partition("-")[0]
    before = await stage.dump()
    for stale in ('"x"', f"W/{seen}", f'"{state[:-1]}-x"', f'"{state}"', '"-"', '"a", "b-c"'):
        reply = await stage.ask(route, play.party.key, body, If_Match=stale)
        refusal.is_(reply, 412, "version_conflict", "If-Match")
    for malformed in ("", "x", seen[:-1], seen.strip('"'), f"{seen} {seen}", '"a" b', "é", ","):
        reply = await stage.ask(route, play.party.key, body, If_Match=malformed)
        refusal.is_(reply, 400, "parameter_invalid", "If-Match")
    assert await stage.dump() == before

    key = stage.name()
    done = await stage.ask(
        route, play.party.key, body, If_Match=f'"other-1", {seen}', Idempotency_Key=key
    )
    assert done.status in (200, 201), done.body
    after = (await stage.ask(f"GET {path}", play.party.key)).headers["etag"]
    assert (after == seen) == _is_within(verb, one)
    again = await stage.ask(route, play.party.key, body, If_Match=seen, Idempotency_Key=key)
    assert (again.body, again.headers["idempotent-replayed"]) == (done.body, "true")
    if after == seen:
        return
    late = await stage.ask(route, play.party.key, body, If_Match=seen)
    refusal.is_(late, 412, "version_conflict", "If-Match")


def _is_within(verb: Endpoint, one: Endpoint) -> bool:
    """Whether a verb changes another noun's object, in a collection within the one it names."""
    assert one.noun is not None
    rest = verb.path.removeprefix(one.path).strip("/").split("/")[0]
    return any(rest == each.noun.__noun__.path for each in RETRIEVES if each.noun is not None)


@pytest.mark.parametrize("verb", CHANGES, ids=named)
async def test_any_state_will_do_where_the_client_says_so(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    route, body = await play.stage_of(verb)
    reply = await stage.ask(route, play.party.key, body, If_Match="*")
    assert reply.status in (200, 201), reply.body


@pytest.mark.parametrize("verb", [each for each in VERBS if "{" not in each.path], ids=named)
async def test_a_condition_on_nothing_is_refused(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    route, body = await play.stage_of(verb)
    before = await stage.dump()
    for given in ("*", '"x"'):
        reply = await stage.ask(route, play.party.key, body, If_Match=given)
        refusal.is_(reply, 400, "parameter_invalid", "If-Match")
    assert await stage.dump() == before


async def test_of_changes_at_once_to_one_state_one_is_made(stage: Stage, play: Rehearsal) -> None:
    key = await play.call("POST /api_keys", type="restricted", scopes=["events:read"])
    path = f"/api_keys/{key['id']}"
    seen = (await stage.ask(f"GET {path}", play.party.key)).headers["etag"]
    replies = await asyncio.gather(
        *(
            stage.ask(f"POST {path}/roll", play.party.key, {"expires_in": 60}, If_Match=seen)
            for _ in range(10)
        )
    )
    assert sorted(reply.status for reply in replies) == [201] + [412] * 9


async def test_a_conflict_is_remembered_under_its_key(stage: Stage, play: Rehearsal) -> None:
    made = await play.call("POST /api_keys", type="public")
    path = f"/api_keys/{made['id']}"
    first = await stage.ask(
        f"DELETE {path}", play.party.key, If_Match='"old-1"', Idempotency_Key="conflict"
    )
    refusal.is_(first, 412, "version_conflict", "If-Match")
    seen = (await stage.ask(f"GET {path}", play.party.key)).headers["etag"]
    again = await stage.ask(
        f"DELETE {path}", play.party.key, If_Match=seen, Idempotency_Key="conflict"
    )
    assert (again.status, again.body) == (412, first.body)
    assert again.headers["idempotent-replayed"] == "true"


async def test_an_expanded_object_has_another_tag_and_the_same_state(
    stage: Stage, play: Rehearsal
) -> None:
    page = await stage.get("/stablecoin/transfers?status=confirmed", play.party.key)
    path = f"/stablecoin/transfers/{page['data'][0]['id']}"
    plain = (await stage.ask(f"GET {path}", play.party.key)).headers["etag"]
    expanded = await stage.ask(f"GET {path}?expand[]=transaction", play.party.key)
    assert expanded.headers["etag"] != plain
    assert expanded.headers["etag"].partition("-")[0] == plain.partition("-")[0]
