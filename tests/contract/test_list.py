"""Lists: shape, limits, cursors in both directions, stability and filters, of every noun."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin
from urllib.parse import quote

import pytest

from commerce.kernel.money import Money
from commerce.resource.filter import filter_names
from commerce.resource.ref import Wallet
from commerce.resource.registry import Endpoint
from tests.contract import refusal
from tests.contract.surface import (
    COMES_ALONG,
    LISTS,
    MAKERS,
    RETRIEVES,
    Rehearsal,
    beside_amounts,
    collection,
    comparable,
    named,
    of_filter,
)
from tests.stage import NOW, Stage

ROUNDS = 3


@pytest.fixture(scope="module")
async def many(stage: Stage, play: Rehearsal) -> Rehearsal:
    """An account with several objects of each kind, some of them made in the same second."""
    for number in range(ROUNDS):
        stage.clock.advance(number % 2)
        for verb in (*MAKERS, *COMES_ALONG):
            await play.perform(verb)
    return play


async def whole(stage: Stage, play: Rehearsal, path: str) -> list[dict[str, Any]]:
    """All pages of a list, from the longest there are."""
    data: list[dict[str, Any]] = []
    more, cursor = True, ""
    while more:
        joint = "&" if "?" in path else "?"
        page = await stage.get(f"{path}{joint}limit=100{cursor}", play.party.key)
        data, more = data + page["data"], page["has_more"]
        cursor = f"&starting_after={data[-1]['id']}" if data else ""
    return data


async def all_of(stage: Stage, play: Rehearsal, endpoint: Endpoint) -> list[dict[str, Any]]:
    data = await whole(stage, play, endpoint.path)
    assert len(data) > ROUNDS
    return data


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_a_list_is_a_list_newest_first(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    page = await stage.get(endpoint.path, many.party.key)
    assert page.keys() == {"object", "url", "has_more", "data"}
    assert (page["object"], page["url"]) == ("list", f"/v1{collection(endpoint)}")
    data = await all_of(stage, many, endpoint)
    order = [(thing["created"], thing["id"]) for thing in data]
    assert order == sorted(order, reverse=True)
    assert page["data"] == data[:10]
    assert page["has_more"] is (len(data) > 10)


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_what_a_list_shows_is_what_is_retrieved(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    path = collection(endpoint)
    assert f"{path}/{{id}}" in {each.path for each in RETRIEVES}
    for thing in (await all_of(stage, many, endpoint))[:10]:
        assert await stage.get(f"{path}/{thing['id']}", many.party.key) == thing


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_pages_make_up_the_list_in_both_directions(
    stage: Stage, many: Rehearsal, endpoint: Endpoint, limit: int
) -> None:
    data = await all_of(stage, many, endpoint)
    seen: list[dict[str, Any]] = []
    more, cursor = True, ""
    while more:
        page = await stage.get(f"{endpoint.path}?limit={limit}{cursor}", many.party.key)
        assert 0 < len(page["data"]) <= limit
        seen, more = seen + page["data"], page["has_more"]
        cursor = f"&starting_after={seen[-1]['id']}"
    assert seen == data

    back: list[dict[str, Any]] = []
    more, cursor = True, f"&ending_before={data[-1]['id']}"
    while more:
        page = await stage.get(f"{endpoint.path}?limit={limit}{cursor}", many.party.key)
        back, more = page["data"] + back, page["has_more"]
        cursor = f"&ending_before={back[0]['id']}"
    assert back == data[:-1]


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_beyond_either_end_there_is_nothing(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    data = await all_of(stage, many, endpoint)
    for cursor in (f"starting_after={data[-1]['id']}", f"ending_before={data[0]['id']}"):
        page = await stage.get(f"{endpoint.path}?{cursor}", many.party.key)
        assert (page["data"], page["has_more"]) == ([], False)


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_pages_stand_still_while_new_objects_arrive(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    await stage.seal()  # Or the heights of what stands in it would come meanwhile.
    data = await all_of(stage, many, endpoint)
    first = await stage.get(f"{endpoint.path}?limit=2", many.party.key)
    for verb in (*MAKERS, *COMES_ALONG):
        await many.perform(verb)
    cursor = first["data"][-1]["id"]
    second = await stage.get(f"{endpoint.path}?limit=2&starting_after={cursor}", many.party.key)
    assert first["data"] + second["data"] == data[:4]
    path = f"{endpoint.path}?limit=100&ending_before={data[0]['id']}"
    newer = await stage.get(path, many.party.key)
    assert newer["data"]
    assert newer["data"] + data == await all_of(stage, many, endpoint)


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_a_limit_out_of_bounds_is_refused(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    for limit in ("0", "101", "-1", "1.5", "x", "", "%D9%A1", "1e1", "+5", "0x1", "9" * 5000):
        reply = await stage.ask(f"GET {endpoint.path}?limit={limit}", many.party.key)
        refusal.is_(reply, 400, "parameter_invalid", "limit")


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_a_cursor_that_is_not_of_the_list_is_refused(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    foreign = await stage.make_key(many.other, "secret")
    other_kind = await stage.get("/api_keys" if "api" not in endpoint.path else "/events", foreign)
    strangers = [thing["id"] for thing in other_kind["data"]]
    own = (await all_of(stage, many, endpoint))[0]["id"]
    for name in ("starting_after", "ending_before"):
        for cursor in ("", "x", "%00x", own[:-1], own.upper(), "y" * 3000, *strangers):
            reply = await stage.ask(f"GET {endpoint.path}?{name}={cursor}", many.party.key)
            refusal.check(reply)
            assert reply.error["code"] in ("cursor_invalid", "parameter_invalid")
    both = f"GET {endpoint.path}?starting_after={own}&ending_before={own}"
    refusal.is_(await stage.ask(both, many.party.key), 400, "cursor_invalid", "ending_before")


def asked(value: Any) -> str:
    """A value as a query has it."""
    return quote(str(value).lower() if isinstance(value, bool) else str(value))


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_every_declared_filter_keeps_what_it_names(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    assert endpoint.noun is not None
    spec = endpoint.noun.__noun__
    for name in filter_names(spec):
        beside = beside_amounts(endpoint, name)
        data = comparable(await all_of(stage, many, endpoint), beside)
        kept = {value for thing in data if (value := of_filter(thing, name)) is not None}
        for value in kept:
            given = f"{endpoint.path}?{name}={asked(value)}{beside}"
            found = await whole(stage, many, given)
            assert found == [thing for thing in data if of_filter(thing, name) == value]
        some = sorted(map(asked, kept))[:2]
        many_values = "".join(f"&{name}[]={value}" for value in some) + beside
        found = await whole(stage, many, f"{endpoint.path}?{many_values[1:]}")
        assert found == [
            thing for thing in data if not some or asked(of_filter(thing, name)) in some
        ]


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_filters_hold_across_pages(stage: Stage, many: Rehearsal, endpoint: Endpoint) -> None:
    data = await all_of(stage, many, endpoint)
    wanted = [thing for thing in data if thing["created"] == data[-1]["created"]]
    seen: list[dict[str, Any]] = []
    cursor, more = "", True
    while more:
        query = f"limit=1&created={data[-1]['created']}{cursor}"
        page = await stage.get(f"{endpoint.path}?{query}", many.party.key)
        seen, more = seen + page["data"], page["has_more"]
        cursor = f"&starting_after={seen[-1]['id']}"
    assert seen == wanted


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_times_are_filtered_by_ranges_in_every_form(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    data = await all_of(stage, many, endpoint)
    for query, keeps in (
        (f"created[gt]={NOW}", lambda at: at > NOW),
        (f"created[gte]={NOW}", lambda at: at >= NOW),
        (f"created[lt]={NOW + 1}", lambda at: at < NOW + 1),
        (f"created[lte]={NOW}", lambda at: at <= NOW),
        (f"created[gt]={NOW - 9}&created[lt]={NOW + 1}", lambda at: NOW - 9 < at < NOW + 1),
        ("created[gte]=2026-11-23", lambda _: True),
        ("created[lt]=2026-11-23", lambda _: False),
        ("created[lte]=2026-11-23T13:00:00%2B01:00", lambda at: at <= NOW),
    ):
        found = await whole(stage, many, f"{endpoint.path}?{query}")
        assert found == [thing for thing in data if keeps(thing["created"])], query


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_unknown_filters_and_values_are_refused(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    assert endpoint.noun is not None
    spec = endpoint.noun.__noun__
    for name in (
        *("colour", "account", "livemode", "version", "hash", "created[", "created[gt", "[]"),
        *("created[ne]", "created[gt][lt]", "created[gt]x", "id;--", "data[x]", "", "xid"),
    ):
        reply = await stage.ask(f"GET {endpoint.path}?{quote(name)}=1", many.party.key)
        refusal.is_(reply, 400, "parameter_unknown", name)
    for value in ("soon", "", "2026-13-01", "1e9", "9" * 30, "2026-11-23T12:00:00"):
        reply = await stage.ask(f"GET {endpoint.path}?created={value}", many.party.key)
        refusal.is_(reply, 400, "parameter_invalid", "created")
    for name in spec.filters:
        hint = spec.types[spec.field_of[name]]
        value = "nonsense" if get_origin(hint) is Literal else "x" * 501
        code = "amount_invalid" if hint is Money else "parameter_invalid"
        if hint == Wallet:
            code = "invalid_recipient"
        beside = beside_amounts(endpoint, name)
        reply = await stage.ask(f"GET {endpoint.path}?{name}={value}{beside}", many.party.key)
        refusal.is_(reply, 400, code, name)
        if get_args(hint) and get_origin(hint) is Literal:
            assert get_args(hint)[0] in reply.error["message"]
