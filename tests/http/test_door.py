"""How many connections are held: in all, from one address, and as far as the system lets us."""

from __future__ import annotations

import asyncio
import resource
from functools import partial
from typing import Any

import pytest

from commerce.http import protocol
from commerce.http.limits.connection import Door, room
from commerce.kernel.network import Networks
from tests.http.line import GOOD, answer, echo, serving
from tests.process import eventually

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def test_an_address_has_so_many_and_another_has_as_many() -> None:
    door = Door(10, 2)
    assert [door.enter(each) for each in (A, A, A, B, B, B)] == [True, True, False] * 2
    door.leave(A)
    assert [door.enter(A), door.enter(A)] == [True, False]


def test_an_address_has_half_of_the_room_at_most() -> None:
    door = Door(4, 100)
    assert [door.enter(A) for _ in range(3)] == [True, True, False]
    assert [door.enter(each) for each in (B, C, "192.0.2.4")] == [True, True, False]
    door.leave(C)
    assert door.enter("192.0.2.4")


def test_an_address_that_left_is_forgotten() -> None:
    door = Door(4, 2)
    assert door.enter(A)
    door.leave(A)
    assert door._from == {}


def test_a_network_of_64_bits_is_one_address_and_a_proxy_is_none() -> None:
    door = Door(10, 1, Networks("192.0.2.0/28"))
    assert [door.enter(f"2001:db8::{number}") for number in (1, 2)] == [True, False]
    assert [door.enter(A) for _ in range(9)] == [True] * 9
    assert not door.enter(A)
    door.leave(A)
    assert door.enter(None)


@pytest.mark.parametrize(
    ("limits", "expected", "raised"),
    [
        ((1024, 4096), 1000, (1064 + 9, 4096)),
        ((300, 300), 300 - 64 - 9, None),
        ((256, 512), 512 - 64 - 9, (512, 512)),
        ((20, 20), 1, None),
        ((2000, 4096), 1000, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 1000, None),
        ((100, resource.RLIM_INFINITY), 1000, (1064 + 9, resource.RLIM_INFINITY)),
    ],
)
def test_there_is_room_for_as_many_as_the_system_gives_files(
    limits: tuple[int, int], expected: int, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: asked.append(to))
    assert room(1000, 9) == expected
    assert [each for each in asked if each != limits] == ([] if raised is None else [raised])


def test_a_system_that_gives_no_more_files_is_taken_at_its_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 9999))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert room(1000) == 256 - 64


async def test_one_connection_too_many_is_told_so_and_the_others_go_on() -> None:
    door = Door(4, 2)
    async with serving(echo, partial(protocol.Connection, door=door)) as port:
        inside = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]

        async def full() -> bool:
            return door._inside == 2

        await eventually(full)
        said = await answer(port)
        assert said.startswith(b"HTTP/1.1 503 ")
        head, _, body = said.partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head
        for reader, writer in inside:
            writer.write(GOOD)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        inside[0][1].close()

        async def has_room() -> bool:
            return door._inside == 1

        await eventually(has_room)
        assert (await answer(port, GOOD[:-2] + b"Connection: close\r\n\r\n")).endswith(b"0")
        inside[1][1].close()
