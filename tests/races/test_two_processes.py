"""Two servers on one database: nothing is overdrawn, doubled, locked up or left unanswered."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from commerce.kernel import address
from tests.client import Answer, Client
from tests.races.scene import Pair, transfers, verify, wallets

TRANSFER = "POST /stablecoin/transfer"
UNIT = 1_000_000
FEE = 10_000


async def one_answer(clients: list[Client], body: dict[str, str], key: str) -> Answer:
    """Send one request under one key through all clients at once; they are answered alike."""
    answers = await asyncio.gather(
        *(client.settle(TRANSFER, body, Idempotency_Key=key) for client in clients)
    )
    assert len({(answer.status, answer.body) for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    return answers[0]


async def test_crossing_transfers_neither_overdraw_nor_double_nor_lock_up(pair: Pair) -> None:
    parties = await pair.open(["100.00"] * 4)
    dice = random.Random(11)  # noqa: S311 - the same race every time
    change: Counter[str] = Counter({party.wallet: 100 * UNIT for party in parties})
    made: dict[str, int] = {}

    async def run(number: int) -> None:
        party = parties[number % len(parties)]
        clients = pair.clients(party)
        for turn in range(40):
            payee = dice.choice([each for each in parties if each is not party])
            cents = dice.randrange(1, 6000)
            key = f"crossing-{number}-{turn}"
            body = {"to": payee.wallet, "amount": f"{cents / 100:.2f}", "memo": key}
            answer = await one_answer(clients, body, key)
            assert answer.status in (201, 402)
            if answer.status == 201:
                made[key] = 1
                change[party.wallet] -= cents * UNIT // 100 + FEE
                change[payee.wallet] += cents * UNIT // 100

    async with asyncio.TaskGroup() as group:
        for number in range(16):
            group.create_task(run(number))

    pair.see_no_trouble()
    memos = [f"crossing-{number}-{turn}" for number in range(16) for turn in range(40)]
    assert 0 < len(made) < len(memos), "some must be paid, and some must be refused"
    assert await transfers(pair.url, memos) == made
    found = await wallets(pair.url, change)
    assert found == dict(change)
    assert min(found.values()) >= 0
    await verify(pair.url)


async def test_a_hot_wallet_is_emptied_to_zero_and_not_below(pair: Pair) -> None:
    [sender, *payees] = await pair.open(["200.00", None, None, None])
    clients = [client for _ in range(8) for client in pair.clients(sender)]
    answers: list[Answer] = []

    async def run(client: Client) -> None:
        for turn in range(15):
            body = {"to": payees[turn % 3].wallet, "amount": "0.99"}
            answers.append(await client.settle(TRANSFER, body))

    await asyncio.gather(*(run(client) for client in clients))

    pair.see_no_trouble()
    assert Counter(answer.status for answer in answers) == {201: 200, 402: 40}
    left = [answer.json["balance_after"] for answer in answers if answer.status == 201]
    assert sorted(left) == sorted(f"{count}.00" for count in range(200))
    assert await wallets(pair.url, [sender.wallet]) == {sender.wallet: 0}
    await verify(pair.url)


async def test_brand_new_wallets_are_credited_by_both_at_once(pair: Pair) -> None:
    senders = await pair.open(["500.00"] * 4)
    new = [address.new(f"a wallet nobody has heard of, {n}".encode()) for n in range(60)]
    clients = [client for sender in senders for client in pair.clients(sender)]

    async def run(client: Client) -> None:
        for wallet in new:
            answer = await client.settle(TRANSFER, {"to": wallet, "amount": "1.00"})
            assert answer.status == 201

    await asyncio.gather(*(run(client) for client in clients))

    pair.see_no_trouble()
    assert await wallets(pair.url, new) == dict.fromkeys(new, len(clients) * UNIT)
    await verify(pair.url)


async def test_one_reference_is_issued_once_by_both_at_once(pair: Pair) -> None:
    [issuer] = await pair.open([None])
    clients = pair.clients(issuer)
    new = [address.new(f"a wallet to be issued to, {n}".encode()) for n in range(30)]

    for number, wallet in enumerate(new):
        body = {"recipient": wallet, "amount": "100.00", "reference_id": f"ref-{number}"}
        same = await asyncio.gather(
            *(each.settle("POST /stablecoin/issue", body) for each in clients)
        )
        assert {answer.status for answer in same} <= {200, 201}
        assert same[0].json == same[1].json

    pair.see_no_trouble()
    assert await wallets(pair.url, new) == dict.fromkeys(new, 100 * UNIT)
    await verify(pair.url)


async def test_one_reference_with_two_terms_is_issued_on_one_of_them(pair: Pair) -> None:
    [issuer] = await pair.open([None])
    clients = pair.clients(issuer)
    new = [address.new(f"a wallet to be disputed over, {n}".encode()) for n in range(30)]
    issued: dict[str, int] = {}

    for number, wallet in enumerate(new):
        body = {"recipient": wallet, "reference_id": f"ref-{number}"}
        bodies = [{**body, "amount": "100.00"}, {**body, "amount": "200.00"}]
        answers = await asyncio.gather(
            *(
                client.settle("POST /stablecoin/issue", body)
                for client, body in zip(clients, bodies, strict=True)
            )
        )
        made = [answer.json for answer in answers if answer.status == 201]
        refused = [answer.code for answer in answers if answer.status == 409]
        assert (len(made), refused) == (1, ["duplicate_reference"])
        issued[wallet] = int(float(made[0]["amount"])) * UNIT

    pair.see_no_trouble()
    assert await wallets(pair.url, new) == issued
    await verify(pair.url)


async def test_a_key_revoked_through_one_opens_nothing_at_the_other(pair: Pair) -> None:
    [party, payee] = await pair.open(["100.00", None])
    one, two = pair.clients(party)
    body = {"to": payee.wallet, "amount": "1.00"}
    assert (await two.ask("GET /stablecoin/balance")).status == 200
    [key] = [
        each["id"]
        for each in (await one.ask("GET /api_keys")).json["data"]
        if party.key.endswith(each["redacted"][-4:])
    ]

    assert (await one.ask(f"DELETE /api_keys/{key}")).status == 200

    # What moves money asks the database, however long the other server remembers the key.
    assert (await two.ask(TRANSFER, body)).code == "api_key_revoked"
    await asyncio.sleep(1)
    assert (await two.ask("GET /stablecoin/balance")).code == "api_key_revoked"
    assert (await one.ask("GET /stablecoin/balance")).code == "api_key_revoked"
