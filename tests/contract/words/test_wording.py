"""Refusals speak the API's language: no bad value of any parameter brings out Python's."""

from __future__ import annotations

import re
from typing import Any

import pytest

from commerce.resource.registry import Endpoint
from tests.contract import refusal
from tests.contract.surface import ENDPOINTS, VERBS, Rehearsal, filled, named
from tests.stage import Reply, Stage

PYTHON = re.compile(
    r"`|\$\.|\[\.\.\.\]|\b(str|int|float|bool|dict|array|tuple|NoneType|None|True|False|Struct)\b"
    r"|\b(Literal|enum|regex|Expecting|delimiter|char|Expected)\b"
)
PATH = r"[\w-]+(\[\w+\]|\.[^.\[\]]+)*"
BAD: tuple[Any, ...] = (
    *(None, 7, -1, 1.5, True, "", "no such thing", "x" * 5000, [], [None], [7], [{}], {}),
    *({"": "x"}, {"a": 1}, {"k" * 41: "x"}, {"a": {"b": []}}, {"denom": 1}, [[]], [{"to": 5}]),
)


def say(reply: Reply) -> None:
    """See that a refusal of a value names it by a path, in no words of Python's."""
    refusal.check(reply)
    error = reply.error
    assert PYTHON.search(error["message"]) is None, error["message"]
    if error["param"] is not None:
        assert re.fullmatch(PATH, error["param"]), error["param"]


@pytest.mark.parametrize("verb", VERBS, ids=named)
async def test_a_bad_value_of_any_parameter_is_refused_in_the_words_of_the_api(
    stage: Stage, play: Rehearsal, verb: Endpoint
) -> None:
    assert verb.operation is not None
    route, example = await play.stage_of(verb)
    body = example or {}
    names = verb.operation.params.__struct_encode_fields__
    asked = [{**body, name: bad} for name in names for bad in BAD]
    for within, value in body.items():
        if isinstance(value, dict):
            asked += [
                {**body, within: {**value, name: bad}}
                for name in (*value, "zzz")
                for bad in BAD[:4]
            ]
    replies = [await stage.ask(route, play.party.key, each) for each in asked]
    refused = [reply for reply in replies if reply.status == 400]
    for reply in refused:
        say(reply)
    assert len(refused) >= len(asked) / 2


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
async def test_a_bad_value_in_a_query_is_refused_in_the_words_of_the_api(
    stage: Stage, play: Rehearsal, endpoint: Endpoint
) -> None:
    for name in ("limit", "at", "block_height", "created", "created[gte]", "status", "zzz"):
        for bad in ("x", "-1", "null", "1e9", "%7B%7D"):
            reply = await stage.ask(f"{filled(endpoint)}?{name}={bad}", play.party.key)
            if reply.status == 400:
                say(reply)
    for body in (b"{", b'{"a"', b'{"a":}', b"{'a':1}", b'{"a":1,}', b"[", b'{"a":1 "b":2}', b"nul"):
        if endpoint.kind == "verb":
            reply = await stage.ask(filled(endpoint), play.party.key, body.decode())
            assert reply.error["code"] == "json_invalid"
            say(reply)
