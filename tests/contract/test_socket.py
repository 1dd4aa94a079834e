"""Raw bytes on a real socket: what is not HTTP is answered or hung up on, and the server lives."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn

from commerce.http.protocol import Connection
from tests.contract import hostile
from tests.contract.surface import Rehearsal
from tests.stage import Stage

SECONDS_MAX = 20
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
async def port(stage: Stage) -> AsyncIterator[int]:
    """The app under uvicorn, set up as the server does."""
    config = uvicorn.Config(
        stage.app.http,
        http=Connection,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield listening.getsockname()[1]
    server.should_exit = True
    await serving


async def exchange(port: int, *pieces: bytes, patience_seconds: float = SECONDS_MAX) -> bytes:
    """Send bytes, and read until the server hangs up or patience ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(patience_seconds):
            while read := await reader.read(65_536):
                answer += read
    except (ConnectionError, TimeoutError):
        pass  # What came before is the answer.
    finally:
        writer.transport.abort()
    return answer


def get(key: str, path: str = "/v1/account", extra: str = "") -> bytes:
    """A good request that asks for the connection to be closed."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{extra}"
    return f"{head}Connection: close\r\n\r\n".encode()


def post(key: str, extra: bytes, body: bytes, path: bytes = b"/v1/stablecoin/transfer") -> bytes:
    """A request with a body; `extra` are the headers that speak of it."""
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" % (path, key.encode())
    return (
        head + b"Content-Type: application/json\r\nConnection: close\r\n" + extra + b"\r\n" + body
    )


def raw(key: str) -> dict[str, bytes]:
    """Bytes that no client should send."""
    chunked = b"Transfer-Encoding: chunked\r\n"
    line = get(key)
    return {
        "nothing": b"",
        "line ends only": b"\r\n\r\n\r\n",
        "garbage": bytes(range(256)) * 40,
        "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9,
        "HTTP/0.9": b"GET /v1/account\r\n\r\n",
        "HTTP/9.9": b"GET /v1/account HTTP/9.9\r\nHost: x\r\n\r\n",
        "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
        "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        "half a request": line[:40],
        "half a header": line[:-10],
        "a header without a colon": get(key, extra="Nonsense\r\n"),
        "a header that goes on": get(key, extra="X-A: 1\r\n  and on\r\n"),
        "a header with a NUL": get(key, extra="X-A: \x00\r\n"),
        "a header name with a space": get(key, extra="X A: 1\r\n"),
        "a header of 200 kB": get(key, extra="X-A: " + "a" * 200_000 + "\r\n"),
        "5000 headers": get(key, extra="".join(f"X-{n}: 1\r\n" for n in range(5000))),
        "a path of 200 kB": get(key, path="/v1/" + "a" * 200_000),
        "a path with a NUL": get(key, path="/v1/acc\x00ount"),
        "a path with a space": get(key, path="/v1/acc ount"),
        "a path of an absolute URL": get(key, path="http://elsewhere.example/v1/account"),
        "a bad chunk size": post(key, chunked, b"zz\r\n{}\r\n0\r\n\r\n"),
        "a negative chunk size": post(key, chunked, b"-1\r\n{}\r\n0\r\n\r\n"),
        "a huge chunk size": post(key, chunked, b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n"),
        "a chunk without its end": post(key, chunked, b"2\r\n{}garbage\r\n0\r\n\r\n"),
        "chunks that stop": post(key, chunked, b"5\r\n{"),
        "both length and chunks": post(key, chunked + b"Content-Length: 2\r\n", b"0\r\n\r\n{}"),
        "two lengths": post(key, b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}x"),
        "a negative length": post(key, b"Content-Length: -2\r\n", b"{}"),
        "a length of words": post(key, b"Content-Length: two\r\n", b"{}"),
        "an absurd length": post(key, b"Content-Length: " + b"9" * 30 + b"\r\n", b"{}"),
        "a length that is too long": post(key, b"Content-Length: 900\r\n", b"{}"),
        "an unknown encoding": post(key, b"Transfer-Encoding: gzip, x\r\n", b"\x1f\x8b"),
        "an upgrade": get(key, extra="Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        "an expectation": post(key, b"Expect: nothing\r\nContent-Length: 2\r\n", b"{}"),
    }


async def alive(port: int, key: str) -> None:
    assert STATUS.findall(await exchange(port, get(key))) == [b"200"]


@pytest.mark.parametrize("name", list(raw("")))
async def test_what_is_not_http_harms_nobody(
    stage: Stage, play: Rehearsal, port: int, name: str
) -> None:
    before = await stage.dump()
    answer = await exchange(port, raw(play.party.key)[name], patience_seconds=0.2)
    statuses = [int(status) for status in STATUS.findall(answer)]
    assert len(statuses) <= 2
    assert all(status < 500 for status in statuses), answer
    await alive(port, play.party.key)
    assert await stage.dump() == before


async def test_garbage_behind_a_good_request_is_cut_off(play: Rehearsal, port: int) -> None:
    good = get(play.party.key).replace(b"Connection: close\r\n", b"")
    answer = await exchange(port, good + good + b"\x00garbage\r\n\r\n")
    assert set(STATUS.findall(answer)) <= {b"200", b"400"}
    await alive(port, play.party.key)


async def test_requests_sent_in_a_row_are_answered_in_that_row(play: Rehearsal, port: int) -> None:
    routes = ("/v1/account", "/v1/nothing", "/v1/stablecoin/balance", "/v1/api_keys?limit=0")
    requests = [get(play.party.key, path) for path in routes]
    kept = [each.replace(b"Connection: close\r\n", b"") for each in requests[:-1]]
    answer = await exchange(port, *kept, requests[-1])
    assert STATUS.findall(answer) == [b"200", b"404", b"200", b"400"]


async def test_a_client_that_hangs_up_in_the_middle_harms_nobody(
    stage: Stage, play: Rehearsal, port: int
) -> None:
    before = await stage.dump()
    for body in (b"", b'{"to":'):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(play.party.key, b"Content-Length: 500\r\n", body))
        await writer.drain()
        writer.transport.abort()
    await alive(port, play.party.key)
    assert await stage.dump() == before


async def test_the_hostile_table_is_refused_over_the_wire_as_well(
    stage: Stage, play: Rehearsal, port: int
) -> None:
    before = await stage.dump()
    faults = []
    for request in (*hostile.bodies(play), *hostile.members(play), *hostile.sizes()):
        size = b"Content-Length: %d\r\n" % sum(map(len, request.body))
        if b"content-length" in dict(request.headers):
            continue
        given = b"".join(b"%s: %s\r\n" % each for each in request.headers)
        message = post(play.party.key, given + size, b"".join(request.body), request.path)
        message = message.replace(b"Content-Type: application/json\r\n", b"", 1)
        answer = await exchange(port, message)
        # Hung up on in the middle of a body that is too large, a client may miss the answer.
        cut_off = request.status == 413 and not answer
        if not cut_off and STATUS.findall(answer)[:1] != [str(request.status).encode()]:
            faults.append(f"{request.name}: {answer[:200]!r}")
    assert faults == []
    await alive(port, play.party.key)
    assert await stage.dump() == before


async def test_after_an_answer_without_a_body_the_line_goes_on(port: int, play: Rehearsal) -> None:
    key = play.party.key
    kept = get(key, extra="If-None-Match: *\r\n").replace(b"Connection: close\r\n", b"")
    head = get(key).replace(b"GET", b"HEAD").replace(b"Connection: close\r\n", b"")
    answer = await exchange(port, kept + head + get(key))
    assert STATUS.findall(answer) == [b"304", b"200", b"200"]
    first, second, third = re.split(rb"(?=HTTP/1\.1 )", answer)[1:]
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b"\r\n\r\n")
    assert third.endswith(b"}")
