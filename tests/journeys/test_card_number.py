"""A card's number is in memory and nowhere else: not in the database, its files, or the log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg

from commerce.store.embedded import running_url
from tests.client import Client
from tests.process import Serve, Server

NUMBER = "4000056655665556"
WRONG = "4000056655665557"
CVC = "7319"
CARD = {"number": NUMBER, "exp_month": 12, "exp_year": 2040, "cvc": "731"}
SPACED = "4000 0566 5566 5556"
PRICE = {"amount": "39.00", "currency": "usd"}
ORDER: dict[str, Any] = {
    "currency": "usd",
    "items": [{"name": "Linen shirt", "unit_price": "39.00"}],
}


async def ask_everything(server: Server) -> list[int]:
    """Send a number wherever one can be sent, rightly and wrongly; gives what was answered."""
    statuses: list[int] = []
    async with Client(server.url, server.sandbox["secret_key"]) as client:
        customer = (await client.ask("POST /customers", {"name": "Jenny"})).json["id"]
        methods = f"POST /customers/{customer}/payment_methods"
        cards: list[dict[str, Any]] = [
            CARD,
            CARD | {"number": SPACED},
            CARD | {"number": WRONG},
            CARD | {"exp_year": 2020},
            CARD | {"cvc": CVC},
            CARD | {"pin": "1"},
            CARD | {"exp_month": NUMBER},
            CARD | {"number": int(NUMBER)},
        ]
        for number, card in enumerate(cards):
            for headers in ({}, {"Idempotency_Key": f"key-{number}"}):
                method = {"type": "card", "card": card}
                routes: dict[str, dict[str, Any]] = {
                    "POST /tokens": {"card": card},
                    methods: {"payment_method": method},
                    "POST /payments/create": {**PRICE, "payment_method": method},
                    "POST /orders/create": {**ORDER, "payment": {"payment_method": method}},
                }
                for route, body in routes.items():
                    keyed = {name: f"{text}-{route[:12]}" for name, text in headers.items()}
                    statuses += [(await client.ask(route, body, **keyed)).status for _ in range(2)]
        for wrong in (NUMBER, [NUMBER]):
            statuses.append((await client.ask("POST /tokens", {"card": wrong})).status)
            statuses.append((await client.ask(methods, {"payment_method": wrong})).status)
            for given in (wrong, {"type": wrong}, {"type": "card", "card": wrong}):
                body = {**PRICE, "payment_method": given}
                reply = await client.ask("POST /payments/create", body, Idempotency_Key="wrong")
                statuses.append(reply.status)
        for path in (NUMBER, NUMBER.replace("5", "5-"), f"{NUMBER[:4]}%20{NUMBER[4:]}"):
            assert (await client.ask(f"GET /payments/{path}")).status == 404
    return statuses


async def dumped(url: str) -> str:
    """All that stands in all tables, as text."""
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        tables = [row[0] for row in await connection.fetch(query)]
        rows = [await connection.fetch(f"SELECT t::text FROM {table} t") for table in tables]
        await connection.execute("CHECKPOINT")
        return "\n".join(row[0] for table in rows for row in table)
    finally:
        await connection.close()


def contents(folder: Path) -> dict[Path, bool]:
    """Every file, and whether the number stands in it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: NUMBER.encode() in path.read_bytes() for path in files}


async def test_a_number_is_in_no_row_no_file_and_no_line_of_the_log(
    data_dir: Path, serve: Serve
) -> None:
    settings = {"COMMERCE_LOG_LEVEL": "debug", "COMMERCE_LOG_FORMAT": "json"}
    server = await asyncio.to_thread(serve, data_dir, **settings)
    statuses = await ask_everything(server)
    assert statuses.count(201) == 32
    assert set(statuses) == {201, 400, 402}
    url = running_url(data_dir)
    assert url is not None
    text = await dumped(url)
    assert await asyncio.to_thread(server.stop) == 0
    assert "visa,5556,12,2040" in text, "the tokens are there"
    forbidden = [NUMBER, WRONG, SPACED, NUMBER.encode().hex()]
    assert not [each for each in forbidden if each in text]
    log = server.log
    assert len(log.splitlines()) > len(statuses)
    assert not [each for each in (*forbidden, CVC) if each in log]
    assert all(json.loads(line) for line in log.splitlines())
    files = await asyncio.to_thread(contents, data_dir)
    assert any(path.parent.name == "pg_wal" for path in files)
    assert [path for path, held in files.items() if held] == []
