"""Hostile requests are refused in the contract's words, and leave everything as it was."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.contract import hostile, refusal
from tests.contract.hostile import Hostile
from tests.contract.surface import Rehearsal
from tests.stage import Reply, Stage

TRANSFER = "POST /stablecoin/transfer"


async def sent(stage: Stage, play: Rehearsal, request: Hostile) -> Reply:
    given = list(request.headers)
    if request.authorised:
        given.append((b"authorization", f"Bearer {play.party.key}".encode()))
    return await stage.send(request.method, request.path, given, *request.body, query=request.query)


@pytest.mark.parametrize(
    "group", ["bodies", "members", "sizes", "headers", "paths", "queries", "keys"]
)
async def test_what_is_hostile_is_refused_and_changes_nothing(
    stage: Stage, play: Rehearsal, group: str
) -> None:
    make = getattr(hostile, group)
    requests: list[Hostile] = make() if group in ("sizes", "keys") else make(play)
    await play.fund("100.00")
    before = await stage.dump()
    faults = []
    for request in requests:
        reply = await sent(stage, play, request)
        try:
            refusal.check(reply)
        except AssertionError as error:
            faults.append(f"{request.name}: {reply.status} {reply.body[:300]!r} {error}")
        if reply.status != request.status:
            faults.append(f"{request.name}: {reply.status} {reply.body[:300]!r}")
        if await stage.dump() != before:
            faults.append(f"{request.name}: something changed")
            before = await stage.dump()
    assert faults == []
    await stage.audit()


async def test_there_are_at_least_two_hundred_and_each_is_another(play: Rehearsal) -> None:
    table = hostile.table(play)
    twice = [name for name, count in Counter(each.name for each in table).items() if count > 1]
    assert (len(table) >= 200, twice) == (True, [])


@pytest.mark.parametrize(
    "text",
    [
        hostile.SQL,
        hostile.HTML,
        "\u202eright to left\u202c مرحبا",
        "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "\ufeffa BOM\u200b and nothing wide",
        "e\u0301 and é are kept apart",
        "\x01\x1b[31m\x7f\x85\u2028",
        "\U0010ffff\ufffe",
        "${jndi:ldap://localhost/a} {{7*7}} %s%n",
        "\\",
        '"',
        "null",
    ],
)
async def test_odd_text_is_kept_as_it_is(stage: Stage, play: Rehearsal, text: str) -> None:
    await play.fund("100.00")
    metadata = {text[:40]: text}
    body = {"to": play.other_wallet, "amount": "1.00", "memo": text, "metadata": metadata}
    transfer = await stage.done(TRANSFER, play.party.key, **body)
    assert (transfer["memo"], transfer["metadata"]) == (text, metadata)
    assert await stage.get(f"/stablecoin/transfers/{transfer['id']}", play.party.key) == transfer
    (event,) = await stage.events(play.party, transfer["id"])
    assert event["data"]["object"] == transfer


async def test_the_largest_body_and_the_deepest_nesting_that_are_allowed_are_read(
    stage: Stage, play: Rehearsal
) -> None:
    good = json.dumps({"to": play.other_wallet, "amount": "1.00"})
    await play.fund("100.00")
    padded = good + " " * (hostile.MEBIBYTE - len(good))
    assert (await stage.ask(TRANSFER, play.party.key, padded)).status == 201
    deep = good[:-1] + ', "metadata": ' + "[" * 31 + "]" * 31 + "}"
    reply = await stage.ask(TRANSFER, play.party.key, deep)
    refusal.is_(reply, 400, "parameter_invalid", "metadata")
    brackets = good[:-1] + ', "memo": "' + "[{" * 100 + '"}'
    assert (await stage.ask(TRANSFER, play.party.key, brackets)).status == 201
