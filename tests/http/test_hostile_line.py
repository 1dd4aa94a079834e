"""What a connection does not let a client do: add headers late, hold memory, wait for ever."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from commerce.http import protocol
from tests.http.line import GOOD, SERVERS, answer, echo, serving
from tests.process import eventually

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
CLOSING = GOOD[:-2] + b"Connection: close\r\n\r\n"
BIG = 4 << 20
MALFORMED = b"NO SUCH THING\r\n\r\n"


async def tell(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path and the headers, as they stand when all of the body is there."""
    message: dict[str, Any] = {"more_body": True}
    while message.get("more_body"):
        message = await receive()
    if message["type"] == "http.disconnect":
        return
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    body = json.dumps([scope["raw_path"].decode(), headers]).encode()
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def give(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer with more than a socket takes by itself."""
    fields = [(b"content-length", b"%d" % BIG)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": bytes(BIG)})


@pytest.fixture
async def telling() -> AsyncIterator[int]:
    async with serving(tell) as number:
        yield number


@pytest.fixture
async def echoing() -> AsyncIterator[int]:
    async with serving(echo) as number:
        yield number


def paths(said: bytes) -> list[str]:
    """The paths that were answered, in order; an answer that is no 200 by its status."""
    parts = re.split(rb"HTTP/1.1 (?=[0-9]{3} )", said)[1:]
    return [
        json.loads(part.partition(b"\r\n\r\n")[2])[0] if part[:3] == b"200" else part[:3].decode()
        for part in parts
    ]


def get(path: str, *fields: bytes) -> bytes:
    return b"\r\n".join([f"GET {path} HTTP/1.1".encode(), b"Host: x", *fields, b"", b""])


# Trailers


async def test_a_trailer_is_no_header(telling: int) -> None:
    trailers = b"Authorization: Bearer other\r\nX-Forwarded-For: 192.0.2.1\r\nDummy: 1\r\n\r\n"
    head = HEAD + b"Authorization: Bearer mine\r\n\r\n"
    said = await answer(telling, head, b"2\r\nab\r\n0\r\n", trailers)
    names = [name for name, _ in json.loads(said.partition(b"\r\n\r\n")[2])[1]]
    assert names == ["host", "connection", "transfer-encoding", "authorization"]
    assert b"Bearer mine" in said
    assert b"other" not in said


async def test_trailers_of_one_request_do_not_reach_the_next(telling: int) -> None:
    first = HEAD.replace(b"Connection: close\r\n", b"") + b"\r\n0\r\nLate: 1\r\n\r\n"
    said = await answer(telling, first + CLOSING)
    assert said.count(b"200 OK") == 2
    assert b"late" not in said.lower()


@pytest.mark.parametrize(
    "beside",
    [
        b"1\r\na\r\n0\r\n" + b"Late: x\r\n" * 40_000,
        b"1\r\na\r\n0\r\nLate: " + b"x" * 400_000,
        b"1;extension=" + b"x" * 400_000,
    ],
    ids=["many trailers", "a long trailer", "a long extension"],
)
async def test_much_beside_a_body_closes_the_connection(telling: int, beside: bytes) -> None:
    step = 30_000
    pieces = [beside[at : at + step] for at in range(0, len(beside), step)]
    assert b"200 OK" not in await answer(telling, HEAD + b"\r\n", *pieces)


async def test_a_body_in_the_smallest_chunks_is_taken_whole(echoing: int) -> None:
    count = 100_000
    pieces = [b"1\r\na\r\n" * (count // 20)] * 20
    said = await answer(echoing, HEAD + b"\r\n", *pieces, b"0\r\nLate: 1\r\n\r\n")
    assert said.endswith(b"\r\n\r\n%d" % count)


# Clients that do not read


def deaf(port: int) -> socket.socket:
    """A client whose system takes next to nothing from the line by itself."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    client.connect(("127.0.0.1", port))
    return client


async def gone(port: int) -> None:
    """Wait until the server has no connection any more."""

    async def none() -> bool:
        return not SERVERS[port].server_state.connections

    async with asyncio.timeout(5):
        await eventually(none)


@pytest.mark.parametrize("sent", [GOOD * 40, CLOSING], ids=["kept", "closing"])
@pytest.mark.parametrize("half_closed", [False, True])
async def test_a_client_that_does_not_read_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, *, half_closed: bool
) -> None:
    monkeypatch.setattr(protocol, "KEPT_SECONDS_MAX", 0.3)
    monkeypatch.setattr(protocol, "HEAD_SECONDS_MAX", 0.3)
    monkeypatch.setattr(protocol, "CLOSING_SECONDS_MAX", 0.3)
    async with serving(give) as port:
        with deaf(port) as client:
            client.sendall(sent)
            if half_closed:
                await asyncio.sleep(0.1)
                client.shutdown(socket.SHUT_WR)
            await asyncio.sleep(0.1)
            await gone(port)


async def test_a_client_that_reads_in_time_gets_all_of_a_last_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "CLOSING_SECONDS_MAX", 5.0)
    async with serving(give) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(CLOSING)
        await asyncio.sleep(0.3)
        assert len((await reader.read()).partition(b"\r\n\r\n")[2]) == BIG
        writer.close()


async def test_few_of_very_many_requests_in_a_row_are_parsed_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on, most, count = asyncio.Event(), 0, 5_000
    begin = protocol.Connection._next

    def watched(self: protocol.Connection) -> None:
        nonlocal most
        most = max(most, len(self._waiting))
        begin(self)

    async def patient(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    monkeypatch.setattr(protocol.Connection, "_next", watched)
    async with serving(patient) as port:
        asking = asyncio.create_task(answer(port, b"GET / HTTP/1.1\r\n\r\n" * count + CLOSING))
        await asyncio.sleep(0.3)
        go_on.set()
        said = await asking
    assert said.count(b"200 OK") == count + 1
    assert most < protocol.WAITING_MAX + protocol.PIECE_BYTES / 18 + 1


# What comes before what is wrong


async def test_whole_requests_before_a_malformed_one_are_answered_first(telling: int) -> None:
    said = await answer(telling, get("/1") + get("/2") + get("/3") + MALFORMED)
    assert paths(said) == ["/1", "/2", "/3", "400"]
    assert said.count(b"connection: close") == 1


async def test_a_request_whose_body_is_malformed_is_not_begun_or_not_finished(
    telling: int,
) -> None:
    cut = HEAD.replace(b"Connection: close\r\n", b"") + b"\r\n"
    assert paths(await answer(telling, get("/1") + cut + b"xyz\r\n")) == ["/1", "400"]
    assert paths(await answer(telling, get("/1") + cut, b"1\r\na\r\n", b"xyz\r\n")) == ["/1", "400"]


async def test_nothing_follows_an_answer_that_was_the_last(telling: int) -> None:
    assert paths(await answer(telling, get("/1", b"Connection: close") + MALFORMED)) == ["/1"]


@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
async def test_requests_before_one_for_another_protocol_are_answered(
    telling: int, method: bytes
) -> None:
    upgrade = get("/3", b"Connection: upgrade", b"Upgrade: h2c").replace(b"GET", method)
    said = await answer(telling, get("/1") + get("/2") + upgrade + b"\x00\x01 of another")
    assert paths(said) == ["/1", "/2", "/3"]
    assert said.count(b"connection: close") == 1


async def test_many_requests_in_one_read_are_no_long_head(telling: int) -> None:
    field = b"Filler: " + b"x" * 20_000
    requests = [get(f"/{number}", field) for number in range(8)]
    sent = b"".join(requests) + get("/last", b"Connection: close")
    assert len(sent) > 2 * protocol.BESIDE_BYTES_MAX
    expected = [*(f"/{number}" for number in range(8)), "/last"]
    assert paths(await answer(telling, sent[:-20], sent[-20:])) == expected
    again = sent[:30], sent[30:-20], sent[-20:]
    assert paths(await answer(telling, *again)) == expected
