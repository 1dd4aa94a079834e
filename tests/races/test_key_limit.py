"""A key with money limits, used through two processes at once, moves no more than its limits."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.client import Answer
from tests.races.scene import Pair, verify, wallets

KEYS = "POST /api_keys"
TRANSFER = "POST /stablecoin/transfer"
UNIT = 1_000_000


async def limited(pair: Pair, key: str, lifetime: str) -> tuple[str, str]:
    """The id and the secret of a new key with a limit, made by another."""
    [party] = await pair.open([None])
    [client, _] = pair.clients(party._replace(key=key))
    body = {
        "type": "restricted",
        "scopes": ["keys:write", "stablecoin:transfer"],
        "limits": {"per_transaction": "1.00", "daily": lifetime, "lifetime": lifetime},
    }
    made = await client.settle(KEYS, body)
    assert made.status == 201, made.body
    return made.json["id"], made.json["secret"]


async def test_two_processes_together_do_not_pass_a_limit(pair: Pair) -> None:
    [owner, payee] = await pair.open(["500.00", None])
    _, secret = await limited(pair, owner.key, "50.00")
    party = owner._replace(key=secret)
    clients = [client for _ in range(6) for client in pair.clients(party)]
    answers: list[Answer] = []

    async def run(number: int) -> None:
        for turn in range(8):
            body = {"to": payee.wallet, "amount": "0.99"}
            name = f"limited-{number}-{turn}"
            answers.append(await clients[number].settle(TRANSFER, body, Idempotency_Key=name))

    await asyncio.gather(*(run(number) for number in range(len(clients))))

    pair.see_no_trouble()
    assert Counter(answer.code for answer in answers) == {None: 50, "limit_exceeded": 46}
    assert await wallets(pair.url, [payee.wallet]) == {payee.wallet: 50 * UNIT * 99 // 100}
    await verify(pair.url)


async def test_a_key_and_what_it_is_rolled_to_share_one_limit_in_two_processes(pair: Pair) -> None:
    [owner, payee] = await pair.open(["500.00", None])
    id_, first = await limited(pair, owner.key, "20.00")
    [client, _] = pair.clients(owner._replace(key=first))
    rolled = await client.settle(f"{KEYS}/{id_}/roll", {"expires_in": 3600})
    keys = [first, rolled.json["secret"]]
    clients = [each for key in keys for each in pair.clients(owner._replace(key=key))]
    answers: list[Answer] = []

    async def run(number: int) -> None:
        for _ in range(10):
            body = {"to": payee.wallet, "amount": "0.90"}
            answers.append(await clients[number].settle(TRANSFER, body))

    await asyncio.gather(*(run(number) for number in range(len(clients))))

    pair.see_no_trouble()
    assert Counter(answer.code for answer in answers) == {None: 22, "limit_exceeded": 18}
    assert await wallets(pair.url, [payee.wallet]) == {payee.wallet: 22 * UNIT * 9 // 10}
    await verify(pair.url)


async def test_a_child_that_one_process_opened_is_acted_for_at_the_other(pair: Pair) -> None:
    [parent] = await pair.open([None])
    [one, two] = pair.clients(parent)
    child = (await one.settle("POST /accounts")).json["id"]
    answers = [await each.ask("GET /account", X_Account_Id=child) for each in (two, one, two)]
    assert [answer.json["id"] for answer in answers] == [child] * 3
    [stranger] = await pair.open([None])
    for each in pair.clients(stranger):
        assert (await each.ask("GET /account", X_Account_Id=child)).code == "account_invalid"
    pair.see_no_trouble()
