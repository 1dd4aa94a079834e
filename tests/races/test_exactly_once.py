"""Every key has one effect and one answer, however often it is sent and the server killed."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from commerce.areas.stablecoin.movement import NETWORK_FEE
from commerce.kernel.currency import SSUSD, UNIT
from commerce.settings import Settings
from commerce.store.embedded import running_url
from tests.client import Answer, Client
from tests.process import Serve, Server, commerce
from tests.races.scene import open_parties, rows, transfers, wallets
from tests.stage import Party

KEYS = int(os.environ.get("EXACTLY_ONCE_KEYS", "1000"))
"""A full run has 5,000."""
CLIENTS = 24
COPIES = 3
KILLS = 3 if KEYS < 5000 else 8
PARTIES = 8
FUNDS = 300_000
TOO_MUCH = 400_000
"""More than anybody ever has."""


class Asked(NamedTuple):
    """One transfer that is asked for, under one key."""

    key: str
    sender: Party
    recipient: Party
    cents: int

    @property
    def body(self) -> dict[str, str]:
        amount = f"{self.cents // 100}.{self.cents % 100:02}"
        return {"to": self.recipient.wallet, "amount": amount, "memo": self.key}


class Race:
    """The requests that are left, and the answers there are."""

    def __init__(self, asked: list[Asked]) -> None:
        self.sent: Iterator[Asked] = iter(_shuffled(asked))
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)
        self.count = 0
        over = len(asked) * COPIES
        self.marks = {over * kill // (KILLS + 1): asyncio.Event() for kill in range(1, KILLS + 1)}
        """At how many answers the server is killed."""

    async def run(self, url: str) -> Client:
        """Send what is left, one after another, each until it is answered."""
        client = Client(url, "")
        for each in self.sent:
            client.key = each.sender.key
            answer = await client.settle(
                "POST /stablecoin/transfer", each.body, Idempotency_Key=each.key
            )
            self.answers[each.key].append(answer)
            self.count += 1
            if self.count in self.marks:
                self.marks[self.count].set()
        await client.close()
        return client

    async def kill(self, server: Server) -> None:
        """Kill the server again and again while requests are on their way."""
        for mark in self.marks.values():
            await mark.wait()
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)


def _shuffled(asked: list[Asked]) -> list[Asked]:
    """Every request as often as it is sent; its copies near each other, so that they meet."""
    dice = random.Random(7)  # noqa: S311 - the same race every time
    dice.shuffle(asked)
    sent = [each for each in asked for _ in range(COPIES)]
    for start in range(0, len(sent), CLIENTS):
        window = sent[start : start + CLIENTS]
        dice.shuffle(window)
        sent[start : start + CLIENTS] = window
    return sent


def _asked(parties: list[Party]) -> list[Asked]:
    """Most can be paid; every tenth asks for more than there is."""
    return [
        Asked(
            key=f"key-{number}",
            sender=parties[number % PARTIES],
            recipient=parties[(number + 1 + number // PARTIES % (PARTIES - 1)) % PARTIES],
            cents=TOO_MUCH * 100 if number % 10 == 9 else number % 50 + 1,
        )
        for number in range(KEYS)
    ]


async def test_every_key_has_one_effect_and_one_answer_while_the_server_is_killed(
    data_dir: Path, serve: Serve
) -> None:
    server = await asyncio.to_thread(serve, data_dir)
    postgres = server.postgres
    url = running_url(data_dir)
    assert url is not None
    parties = await open_parties(Settings(data_dir=data_dir), url, [str(FUNDS)] * PARTIES)
    asked = _asked(parties)
    race = Race(list(asked))

    async with asyncio.TaskGroup() as group:
        group.create_task(race.kill(server))
        clients = [group.create_task(race.run(server.url)) for _ in range(CLIENTS)]

    lost = sum(client.result().lost for client in clients)
    assert lost > 0, "nothing was on its way when the server was killed"
    assert server.postgres == postgres, "PostgreSQL was not adopted"
    for each in asked:
        answers = race.answers[each.key]
        expected = 402 if each.cents == TOO_MUCH * 100 else 201
        assert len(answers) == COPIES
        assert {answer.status for answer in answers} == {expected}
        assert len({answer.body for answer in answers}) == 1
        assert sum(not answer.replayed for answer in answers) <= 1
    await _see_one_effect_a_key(url, asked)
    verified = await asyncio.to_thread(commerce, "verify", "--data-dir", data_dir)
    assert (verified.status, verified.err) == (0, "")
    assert await asyncio.to_thread(server.stop) == 0


async def _see_one_effect_a_key(url: str, asked: list[Asked]) -> None:
    paid = [each for each in asked if each.cents != TOO_MUCH * 100]
    made = await transfers(url, [each.key for each in asked])
    assert _differences(made, {each.key: 1 for each in paid}) == {}
    remembered = await rows(url, "SELECT idempotency_key FROM answer")
    assert {key for (key,) in remembered} ^ {each.key for each in asked} == set()
    unit = UNIT[SSUSD]
    expected: Counter[str] = Counter()
    for each in asked:
        expected[each.sender.wallet] += 0
    for each in paid:
        expected[each.sender.wallet] -= each.cents * unit // 100 + NETWORK_FEE.minor
        expected[each.recipient.wallet] += each.cents * unit // 100
    left = {wallet: FUNDS * unit + change for wallet, change in expected.items()}
    assert _differences(await wallets(url, left), left) == {}


def _differences(found: dict[str, int], expected: dict[str, int]) -> dict[str, tuple[int, int]]:
    """What is not as expected: pytest would compare thousands of lines to find it."""
    names = found.keys() | expected.keys()
    pairs = {name: (found.get(name, 0), expected.get(name, 0)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
