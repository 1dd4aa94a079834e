"""Filters: ranges of amounts, times and numbers, and metadata, of every noun that is listed."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from commerce.areas.stablecoin.movement import Transfer
from commerce.kernel.money import Money
from commerce.resource.event_type import catalogue
from commerce.resource.filter import OPERATORS, filter_names, forms, is_ordered
from commerce.resource.noun import _bare
from commerce.resource.registry import Endpoint
from commerce.store import sql
from commerce.store.database import _SERVER_SETTINGS
from commerce.store.table import Filter, Page
from tests.contract import refusal
from tests.contract.surface import (
    LISTS,
    MAKERS,
    REGISTRY,
    Rehearsal,
    beside_amounts,
    comparable,
    named,
)
from tests.contract.test_list import whole
from tests.stage import Party, Stage

COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
TRANSFER = "POST /stablecoin/transfer"


@pytest.fixture(scope="module")
async def many(stage: Stage, play: Rehearsal) -> Rehearsal:
    """Objects of several amounts and times."""
    for verb in [verb for verb in MAKERS if "{" not in verb.path] * 2:
        stage.clock.advance(1)
        await play.perform(verb)
    for amount in ("0.000001", "1.00", "9.50", "10.00", "100.00"):
        await stage.done(TRANSFER, play.party.key, to=play.other_wallet, amount=amount)
    return play


def ordered(endpoint: Endpoint) -> list[str]:
    assert endpoint.noun is not None
    spec = endpoint.noun.__noun__
    return [name for name in filter_names(spec) if is_ordered(spec, spec.field_of[name])]


def number(value: Any) -> Decimal:
    return Decimal(value)


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_ranges_keep_what_lies_within(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    everything = await whole(stage, many, endpoint.path)
    for name in ordered(endpoint):
        beside = beside_amounts(endpoint, name)
        data = comparable(everything, beside)
        values = {thing[name] for thing in data} - {None}
        for value in sorted(values, key=number)[:3]:
            for form, compare in COMPARE.items():
                query = f"limit=100&{name}[{form}]={value}{beside}"
                page = await stage.get(f"{endpoint.path}?{query}", many.party.key)
                assert (
                    page["data"]
                    == [
                        thing
                        for thing in data
                        if thing[name] is not None and compare(number(thing[name]), number(value))
                    ][:100]
                ), query
        if values:
            least = min(values, key=number)
            query = f"limit=100&{name}[gte]={least}&{name}[lte]={least}{beside}"
            page = await stage.get(f"{endpoint.path}?{query}", many.party.key)
            assert page["data"] == [thing for thing in data if thing[name] == least]


async def test_amounts_are_compared_as_numbers_to_the_millionth(
    stage: Stage, many: Rehearsal
) -> None:
    async def count(query: str) -> list[str]:
        path = f"/stablecoin/transfers?limit=100&to={many.other_wallet}&{query}"
        return sorted({each["amount"] for each in (await stage.get(path, many.party.key))["data"]})

    assert "9.50" not in await count("amount[gte]=10")
    assert await count("amount=0.000001") == ["0.000001"]
    assert await count("amount[gt]=0&amount[lt]=0.000002") == ["0.000001"]
    assert await count("amount[]=9.5&amount[]=10.000000") == ["10.00", "9.50"]
    assert await count("amount[lt]=0") == []


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_hostile_values_of_ranges_are_refused(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    assert endpoint.noun is not None
    spec = endpoint.noun.__noun__
    for name in ordered(endpoint):
        money = _bare(spec.types[spec.field_of[name]])[0] is Money
        for value in (
            *(
                "",
                "NaN",
                "Infinity",
                "1e9",
                "0x10",
                "\u0663",
                "\uff11",
                " 1",
                "1 ",
                "+1",
                "--1",
                "1_000",
            ),
            *("9" * 30, "9" * 5000, "1.2.3", "' OR 1=1--", "null", "<b>", "1;DROP", "−1"),
            *(("-1", "-0.01", "0.0000001", "1000000000001") if money else ("1.5",)),
        ):
            for form in ("", "[]", "[gte]"):
                parameter = f"{name}{form}"
                query = f"{parameter}={quote(value)}{beside_amounts(endpoint, name)}"
                reply = await stage.ask(f"GET {endpoint.path}?{query}", many.party.key)
                refusal.check(reply)
                codes = ("amount_invalid", "amount_precision") if money else ("parameter_invalid",)
                assert reply.error["code"] in codes, (parameter, value)
                assert reply.error["param"] == parameter


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_a_filter_has_one_form_and_each_parameter_stands_once(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    for query, param in (
        ("created[gt]=1&created[gt]=2", "created[gt]"),
        ("created=1&created=1", "created"),
        ("created=1&created[]=2", "created[]"),
        ("created[gt]=1&created=2", "created"),
        ("created[]=1&created[lt]=2", "created[lt]"),
        ("limit=1&limit=2", "limit"),
        ("metadata[a]=1&metadata[a]=1", "metadata[a]"),
        ("metadata=1", "metadata"),
        ("metadata[]=1", "metadata[]"),
        (f"metadata[{'k' * 41}]=1", f"metadata[{'k' * 41}]"),
        (f"metadata[k]={'v' * 501}", "metadata[k]"),
    ):
        reply = await stage.ask(f"GET {endpoint.path}?{query}", many.party.key)
        refusal.is_(reply, 400, "parameter_invalid", param)
    for name in ("metadata[a", "metadata]a[", "metadta[a]", "created[gte]]", "created[GTE]"):
        reply = await stage.ask(f"GET {endpoint.path}?{name}=1", many.party.key)
        refusal.is_(reply, 400, "parameter_unknown", name)
    reply = await stage.ask(f"GET {endpoint.path}?creatd=1", many.party.key)
    assert "Did you mean 'created'?" in reply.error["message"]


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_every_list_is_filtered_by_metadata(
    stage: Stage, many: Rehearsal, endpoint: Endpoint
) -> None:
    odd = "metadata[' OR 1%3D1--]=x&metadata[%22%5D%7B]=%5C&metadata[%F0%9F%92%B8]=%27"
    for query in ("metadata[order_id]=nobody", odd, "metadata[a]=", "metadata[a[b]]=c"):
        page = await stage.get(f"{endpoint.path}?{query}", many.party.key)
        assert (page["data"], page["has_more"]) == ([], False)


async def test_metadata_is_matched_whole_with_other_filters_and_across_pages(
    stage: Stage, many: Rehearsal
) -> None:
    pairs = {"order_id": "12345", "odd [key]'": 'v "1" \\ {}'}
    made = []
    for amount in ("1.00", "2.00", "3.00"):
        body = {"to": many.other_wallet, "amount": amount, "metadata": pairs}
        made.append(await stage.done(TRANSFER, many.party.key, **body))
    await stage.done(
        TRANSFER,
        many.party.key,
        to=many.other_wallet,
        amount="2.00",
        metadata={"order_id": "123456", "other": "12345"},
    )
    made.reverse()
    path = "/stablecoin/transfers"

    async def listed(query: str) -> Any:
        return (await stage.get(f"{path}?{query}", many.party.key))["data"]

    odd = f"metadata[{quote(list(pairs)[1])}]={quote(list(pairs.values())[1])}"
    assert await listed("metadata[order_id]=12345") == made
    assert await listed(odd) == made
    assert await listed(f"metadata[order_id]=12345&{odd}") == made
    assert await listed("metadata[order_id]=12345&amount[gt]=1.5&amount[lt]=3") == made[1:2]
    assert await listed("metadata[order_id]=12345&metadata[other]=12345") == []
    first = await listed("metadata[order_id]=12345&limit=2")
    rest = f"metadata[order_id]=12345&limit=2&starting_after={first[-1]['id']}"
    assert first + await listed(rest) == made
    stranger = await stage.get(f"{path}?metadata[order_id]=12345", many.other.key)
    assert stranger["data"] == []


async def test_metadata_is_found_by_its_index(stage: Stage, many: Rehearsal) -> None:
    """As the server runs it: prepared, for any value, in a table that has grown."""
    table = Transfer.__noun__.table
    names = ", ".join(table.names)
    picked = ", ".join(
        {"id": "id || n", "metadata": "jsonb_build_object('order_id', n::text)"}.get(name, name)
        for name in table.names
    )
    await stage.rows(
        f"INSERT INTO {table.name} ({names}) SELECT {picked} FROM"
        f" (SELECT * FROM {table.name} WHERE account = $1 LIMIT 1) t, generate_series(1, 20000) n",
        many.party.id,
    )
    await stage.rows(f"ANALYZE {table.name}")
    filters = [
        Filter("account", "=", many.party.id),
        Filter("livemode", "=", False),
        Filter("metadata", "@>", '{"order_id": "777"}'),
    ]
    statement, values = sql.page(Page(table, filters, ("id",), 11))
    connection = await asyncpg.connect(stage.url, server_settings=_SERVER_SETTINGS)
    try:
        plan = await connection.fetch(f"EXPLAIN {statement}", *values)
    finally:
        await connection.close()
    assert "stablecoin_transfer_metadata" in "\n".join(row[0] for row in plan)
    page = await stage.get("/stablecoin/transfers?metadata[order_id]=777", many.party.key)
    assert len(page["data"]) == 1


async def test_a_type_of_event_that_there_is_not_is_refused_and_every_other_is_taken(
    stage: Stage, many: Rehearsal
) -> None:
    for form in ("type", "type[]"):
        for type_ in ("stablecoin.foo", "stablecoin.*", "", "STABLECOIN.ISSUED"):
            reply = await stage.ask(f"GET /events?{form}={quote(type_)}", many.party.key)
            refusal.is_(reply, 400, "parameter_invalid", form)
            assert ", such as: " in reply.error["message"]
            assert "stablecoin." in reply.error["message"]
    for type_ in catalogue(REGISTRY.nouns):
        page = await stage.get(f"/events?type={type_}", many.party.key)
        assert {each["type"] for each in page["data"]} <= {type_}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/stablecoin/transfers", "to"),
        ("/stablecoin/transfers", "from"),
        ("/stablecoin/transfers", "to[]"),
        ("/stablecoin/issuances", "recipient"),
        ("/stablecoin/redemptions", "sender"),
        ("/stablecoin/transactions", "address"),
    ],
)
async def test_what_is_no_address_is_refused_and_an_address_is_found_in_any_case(
    stage: Stage, many: Rehearsal, path: str, name: str
) -> None:
    for text in ("bad", many.wallet[:-1], f"{many.wallet[:-1]}b", "%F0%9F%92%B8"):
        reply = await stage.ask(f"GET {path}?{name}={text}", many.party.key)
        refusal.is_(reply, 400, "invalid_recipient", name)
    wallet = many.other_wallet if name.startswith("to") else many.wallet
    found = await stage.get(f"{path}?{name}={wallet}", many.party.key)
    assert found["data"]
    assert await stage.get(f"{path}?{name}={wallet.upper()}", many.party.key) == found


def test_the_forms_of_a_filter_are_known_to_the_reference() -> None:
    for endpoint in LISTS:
        assert endpoint.noun is not None
        known = forms(endpoint.noun.__noun__)
        assert {f"created[{form}]" for form in OPERATORS} <= set(known)
        assert {"created", "created[]"} <= set(known)


@pytest.fixture
async def days(stage: Stage) -> AsyncIterator[tuple[Party, list[str]]]:
    """Keys made at the edges of 25 November 2026, UTC: before, first, noon, last, after."""
    midnight, now = 1_795_564_800, stage.clock.now_ms() // 1000
    seconds = [midnight + more for more in (-1, 0, 43_200, 86_399, 86_400)]
    party = await stage.open_account()
    ids = []
    for at in seconds:
        stage.clock.advance(at - stage.clock.now_ms() // 1000)
        ids.append((await stage.done("POST /api_keys", party.key, type="secret"))["id"])
    yield party, ids
    stage.clock.advance(now - stage.clock.now_ms() // 1000)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("created=2026-11-25", "first noon last"),
        ("created=2026-11-25T00:00:00Z", "first"),
        ("created=1795564800", "first"),
        ("created[gte]=2026-11-25", "first noon last after"),
        ("created[gt]=2026-11-25", "after"),
        ("created[gt]=2026-11-25T00:00:00Z", "noon last after"),
        ("created[lt]=2026-11-25", "before"),
        ("created[lte]=2026-11-25", "before first noon last"),
        ("created[lte]=2026-11-25T00:00:00Z", "before first"),
        ("created[gte]=2026-11-25&created[lte]=2026-11-25", "first noon last"),
        ("created[gte]=2026-11-25&created[lt]=2026-11-26", "first noon last"),
        ("created[]=1795564800&created[]=2026-11-26T00:00:00Z", "first after"),
    ],
)
async def test_a_date_stands_for_all_of_its_day(
    stage: Stage, days: tuple[Party, list[str]], query: str, found: str
) -> None:
    party, ids = days
    names = dict(zip(ids, ("before", "first", "noon", "last", "after"), strict=True))
    page = await stage.get(f"/api_keys?limit=100&{query}", party.key)
    shown = [names[each["id"]] for each in page["data"] if each["id"] in names]
    assert " ".join(reversed(shown)) == found


async def test_several_times_are_no_dates(stage: Stage, many: Rehearsal) -> None:
    for query in ("created[]=2026-11-25", "created[]=1&created[]=2026-11-25"):
        reply = await stage.ask(f"GET /api_keys?{query}", many.party.key)
        refusal.is_(reply, 400, "parameter_invalid", "created[]")
        assert "takes no dates" in reply.error["message"]


async def test_of_many_choices_a_refusal_names_the_nearest(stage: Stage) -> None:
    party = await stage.open_account()
    reply = await stage.ask("GET /events?type=payment.sucedeed", party.key)
    assert (reply.status, reply.error["code"]) == (400, "parameter_invalid")
    assert "such as: payment.succeeded, " in reply.error["message"]
    assert len(reply.error["message"]) < 300
