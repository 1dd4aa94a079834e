"""A bad request costs little: a short refusal, nothing kept, no effect when it is cut off."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import pytest
import uvicorn

from commerce.books import chart
from commerce.http import body as bodies
from commerce.http import request
from commerce.http.protocol import Connection
from commerce.http.request import Receive
from commerce.kernel import address, wording
from tests.contract import refusal
from tests.process import eventually
from tests.stage import Party, Stage

REFUSAL_BYTES_MAX = 2048
SECONDS_MAX = 20
TRANSFER = "POST /stablecoin/transfer"
ISSUE = "POST /stablecoin/issue"
QUOTES = "'" * 16_000
FORGED = " - at `$" * 2000 + "\n"
LONG = "x" * 100_000


@pytest.fixture(scope="module")
async def party(stage: Stage) -> Party:
    return await stage.open_account(capabilities=["stablecoin_issuance"])


# Refusals


class Wrong(NamedTuple):
    """A request, its fault, and the parameter that a refusal has to name."""

    name: str
    route: str
    body: dict[str, Any]
    param: str
    code: str = "parameter_unknown"


def wrongs() -> list[Wrong]:
    """Requests whose refusals could be made long, or made to speak of another parameter."""
    texts = {"long": LONG, "of paths": FORGED, "with a path": "\n - at `$.memo`"}
    for what in ("missing required", "contains unknown"):
        texts[f"of a {what} field"] = f"Object {what} field `memo`"
    return [
        Wrong(
            "coin's member of quotes", TRANSFER, {"amount": {QUOTES: 1}}, f"amount.{QUOTES[:64]}"
        ),
        Wrong("query of a verb", f"{TRANSFER}?{LONG}=1", {}, LONG[:64]),
        Wrong("query of a list", f"GET /events?{LONG}=1", {}, LONG[:64]),
        Wrong("query of an object", f"GET /account?{LONG}=1", {}, LONG[:64]),
        *(Wrong(f"name {name}", TRANSFER, {text: 1}, text[:64]) for name, text in texts.items()),
        *(
            Wrong(f"{member} {name}", route, {member: {text: 1}}, f"{member}.{text[:64]}")
            for route, member in ((TRANSFER, "amount"), (ISSUE, "source"), (ISSUE, "compliance"))
            for name, text in texts.items()
        ),
        *(
            Wrong(f"choice {name}", TRANSFER, {"priority": text}, "priority", "parameter_invalid")
            for name, text in texts.items()
        ),
    ]


@pytest.mark.parametrize("wrong", wrongs(), ids=lambda wrong: wrong.name)
async def test_a_refusal_is_short_and_names_the_place_that_is_wrong(
    stage: Stage, party: Party, wrong: Wrong
) -> None:
    good = {"to": party.wallet, "amount": "1.00"}
    if wrong.route == ISSUE:
        good = {"recipient": party.wallet, "amount": "100.00", "reference_id": "r"}
    body = None if wrong.route.startswith("GET") else good | wrong.body
    reply = await stage.ask(wrong.route, party.key, body)
    assert len(reply.body) < REFUSAL_BYTES_MAX
    refusal.is_(reply, 400, wrong.code, wrong.param)


def test_a_long_name_is_not_compared_whole_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths: list[int] = []

    def recorded(word: str, known: Sequence[str], n: int) -> list[str]:
        lengths.append(len(word))
        return get_close_matches(word, known, n=n)

    monkeypatch.setattr(wording, "get_close_matches", recorded)
    assert wording.unknown(LONG, ["amount"]).code == "parameter_unknown"
    assert lengths == [64]


async def test_one_duplicate_among_very_many_members_is_named(stage: Stage, party: Party) -> None:
    members = [f'"member{number}": 1' for number in range(20_000)]
    text = f'{{{", ".join(members)}, "member19999": 2}}'
    reply = await stage.ask(TRANSFER, party.key, text)
    refusal.is_(reply, 400, "json_invalid")
    assert "the member 'member19999' is there twice" in reply.error["message"]
    assert len(reply.body) < REFUSAL_BYTES_MAX


def test_a_duplicate_is_found_without_comparing_each_member_with_all_others() -> None:
    compared = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    names = [Name(number) for number in range(2_000)]
    with pytest.raises(ValueError, match="'1999' is there twice"):
        bodies._members([(name, 1) for name in [*names, Name(1999)]])
    assert compared < 10 * len(names)


# What is kept


@pytest.mark.parametrize("member", ["to", "from"])
async def test_what_is_no_address_is_kept_in_no_cache(
    stage: Stage, party: Party, member: str
) -> None:
    def kept() -> tuple[int, int]:
        caches = (chart.available, address._canonical)
        available, canonical = (cache.cache_info().currsize for cache in caches)
        return available, canonical

    good = {"to": party.wallet, "amount": "1.00"}
    await stage.ask(TRANSFER, party.key, good | {member: "short"})
    before = kept()
    for number in range(250):
        body = {**good, member: f"{number:0100000}"}
        reply = await stage.ask(TRANSFER, party.key, body)
        refusal.is_(reply, 400, "invalid_recipient", member)
    assert kept() == before


# Bodies that are cut off or do not come


def part(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": True}


def arriving(*messages: dict[str, Any]) -> Receive:
    """A client from whom these messages come, and after them none ever."""
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


async def trickle() -> dict[str, Any]:
    """A client that is never done."""
    await asyncio.sleep(0.001)
    return part(b" ")


async def call(stage: Stage, path: str, key: str, receive: Receive) -> list[Any]:
    """What is sent to a client."""
    sent: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [
        (b"authorization", f"Bearer {key}".encode()),
        (b"content-type", b"application/json"),
        (b"content-length", b"500"),
    ]
    scope = {"type": "http", "method": "POST", "raw_path": path.encode(), "query_string": b""}
    await stage.app.http({**scope, "headers": headers}, receive, send)
    return sent


class Roll(NamedTuple):
    """A key about to be rolled."""

    stage: Stage
    party: Party
    id: str
    before: dict[str, tuple[int, int]]

    @property
    def path(self) -> str:
        return f"/v1/api_keys/{self.id}/roll"

    async def left_it_alone(self) -> bool:
        """Whether the key is active and nothing else came about."""
        key = await self.stage.get(f"/api_keys/{self.id}", self.party.key)
        return key["status"] == "active" and await self.stage.dump() == self.before


@pytest.fixture
async def roll(stage: Stage, party: Party) -> Roll:
    key = await stage.done("POST /api_keys", party.key, type="secret")
    return Roll(stage, party, key["id"], await stage.dump())


@pytest.mark.parametrize(
    "parts", [(), (b"",), (b"{}",), (b'{"expires_in": ',), (b"{", b"}"), (b'{"expires_in": 60}',)]
)
async def test_a_body_that_is_cut_off_has_no_effect_and_no_answer(
    stage: Stage, party: Party, roll: Roll, parts: tuple[bytes, ...]
) -> None:
    messages = [*(part(body) for body in parts), {"type": "http.disconnect"}]
    assert await call(stage, roll.path, party.key, arriving(*messages)) == []
    assert await roll.left_it_alone()


@pytest.mark.parametrize(
    "receive",
    [arriving(), arriving(part(b"{}")), trickle],
    ids=["nothing", "a part", "bit by bit"],
)
async def test_a_body_that_does_not_arrive_is_refused_and_the_connection_closed(
    stage: Stage,
    party: Party,
    roll: Roll,
    receive: Receive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request, "BODY_SECONDS_MAX", 0.05)
    async with asyncio.timeout(SECONDS_MAX):
        start, body = await call(stage, roll.path, party.key, receive)
    assert start["status"] == 400
    assert (b"connection", b"close") in start["headers"]
    error = json.loads(body["body"])["error"]
    assert (error["code"], "did not arrive" in error["message"]) == ("json_invalid", True)
    assert await roll.left_it_alone()


class Served(NamedTuple):
    """The app on a socket."""

    port: int
    server: uvicorn.Server

    async def busy(self) -> bool:
        return bool(self.server.server_state.tasks)

    async def idle(self) -> bool:
        return not self.server.server_state.tasks


@pytest.fixture(scope="module")
async def served(stage: Stage) -> AsyncIterator[Served]:
    """The app under uvicorn."""
    config = uvicorn.Config(
        stage.app.http, http=Connection, lifespan="off", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield Served(listening.getsockname()[1], server)
    server.should_exit = True
    await serving


async def begin(
    served: Served, roll: Roll, body: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request on a connection to be kept, and less of its body than was announced."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST {roll.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {roll.party.key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("body", [b"", b"{}", b'{"expires_in": '])
@pytest.mark.parametrize("rudely", [True, False])
async def test_a_client_that_goes_away_within_its_body_has_done_nothing(
    served: Served, roll: Roll, body: bytes, rudely: bool
) -> None:
    reader, writer = await begin(served, roll, body)
    await eventually(served.busy)
    if rudely:
        writer.transport.abort()
    else:
        writer.write_eof()
        async with asyncio.timeout(SECONDS_MAX):
            assert await reader.read() == b""
        writer.close()
    await eventually(served.idle)
    assert await roll.left_it_alone()


async def test_a_client_that_says_no_more_is_answered_and_hung_up_on(
    served: Served, roll: Roll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "BODY_SECONDS_MAX", 0.05)
    reader, writer = await begin(served, roll, b"{}")
    async with asyncio.timeout(SECONDS_MAX):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert await roll.left_it_alone()
