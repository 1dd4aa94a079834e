"""`commerce serve` from its first start to its end, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from commerce.store.embedded import running_url
from tests.client import Client
from tests.process import Serve, commerce, eventually, wait_until
from tests.races.scene import rows

TRANSFER = "POST /stablecoin/transfer"
SAMPLE = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
"""An address of nobody here."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def issue(client: Client, wallet: str) -> None:
    body = {"recipient": wallet, "amount": "100.00", "reference_id": "first"}
    assert (await client.ask("POST /stablecoin/issue", body)).status == 201


async def test_a_first_start_makes_a_sandbox_and_a_warm_one_keeps_it(
    data_dir: Path, serve: Serve
) -> None:
    server = serve(data_dir)
    sandbox = server.sandbox
    assert set(sandbox) == {"base_url", "account", "wallet", "secret_key", "public_key"}
    assert sandbox["base_url"] == server.url
    assert mode(data_dir / "sandbox.json") == mode(data_dir / "master.key") == 0o600
    assert str(data_dir / "sandbox.json") in server.out
    client = Client(server.url, sandbox["secret_key"])
    account = (await client.settle("GET /account")).json
    assert (account["id"], account["wallet"]) == (sandbox["account"], sandbox["wallet"])
    assert account["plan"] == "enterprise"
    assert sorted(account["capabilities"]) == ["finance_lender", "stablecoin_issuance"]
    await issue(client, sandbox["wallet"])
    assert (await Client.once(server.url, sandbox["public_key"], "GET /account")).status == 403
    await client.close()
    assert server.stop() == 0
    assert server.postgres is None

    first_url = server.url
    server.port = 0
    server.start()

    assert server.url != first_url
    assert server.sandbox == {**sandbox, "base_url": server.url}
    assert mode(data_dir / "sandbox.json") == 0o600
    async with Client(server.url, sandbox["secret_key"]) as client:
        balance = await client.settle("GET /stablecoin/balance")
        assert balance.json["balances"]["available"] == "100.00"
    assert server.stop() == 0
    for key in ("secret_key", "public_key"):
        assert sandbox[key] not in server.out + server.log


async def test_a_sandbox_whose_key_was_revoked_is_made_anew(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    server = serve(data_dir, COMMERCE_DATABASE_URL=database_url)
    before = server.sandbox
    async with Client(server.url, before["secret_key"]) as client:
        keys = (await client.settle("GET /api_keys?type=secret")).json["data"]
        assert (await client.settle(f"DELETE /api_keys/{keys[0]['id']}")).status == 200
    assert server.stop() == 0
    server.start()
    assert server.sandbox["secret_key"] != before["secret_key"]
    async with Client(server.url, server.sandbox["secret_key"]) as client:
        assert (await client.settle("GET /account")).status == 200
    (data_dir / "sandbox.json").write_text("{")
    assert server.stop() == 0
    server.start()
    assert server.sandbox["base_url"] == server.url


async def test_after_a_kill_the_next_server_adopts_postgresql_and_nothing_is_lost(
    data_dir: Path, serve: Serve
) -> None:
    server = serve(data_dir)
    postgres = server.postgres
    assert postgres is not None
    sandbox = server.sandbox
    client = Client(server.url, sandbox["secret_key"])
    await issue(client, sandbox["wallet"])
    body = {"to": SAMPLE, "amount": "1.00"}
    answered = [await client.ask(TRANSFER, body, Idempotency_Key=f"k-{n}") for n in range(5)]
    server.kill()
    await client.close()
    assert server.postgres == postgres

    server.start()

    assert server.postgres == postgres
    for number, answer in enumerate(answered):
        again = await client.ask(TRANSFER, body, Idempotency_Key=f"k-{number}")
        assert (again.status, again.body, again.replayed) == (201, answer.body, True)
    balance = await client.ask("GET /stablecoin/balance")
    assert balance.json["balances"]["available"] == "94.95"
    await client.close()
    assert commerce("verify", "--data-dir", data_dir).status == 0
    assert server.stop() == 0
    assert server.postgres is None


async def test_a_server_told_to_stop_takes_no_more_and_finishes_what_runs(
    data_dir: Path, serve: Serve
) -> None:
    server = serve(data_dir)
    url = running_url(data_dir)
    assert url is not None
    sandbox = server.sandbox
    client = Client(server.url, sandbox["secret_key"])
    await issue(client, sandbox["wallet"])
    holder = await asyncpg.connect(url)
    holding = holder.transaction()
    await holding.start()
    await holder.execute("SELECT FROM ledger_balance WHERE code LIKE 'wallet:%' FOR UPDATE")
    running = asyncio.create_task(client.ask(TRANSFER, {"to": SAMPLE, "amount": "1.00"}))
    await eventually(lambda: _waits_for_a_lock(url))

    server.terminate()
    await eventually(lambda: _refuses_connections(server.url))
    assert server.running
    assert not running.done()
    await holding.rollback()
    await holder.close()

    assert (await running).json["balance_after"] == "98.99"
    await client.close()
    assert await asyncio.to_thread(server.wait) == 0
    assert server.postgres is None
    assert server.lines[-1]["event"] == "stopped"


async def _waits_for_a_lock(url: str) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return len(await rows(url, query)) > 0


async def _refuses_connections(url: str) -> bool:
    async with Client(url, root="") as client:
        try:
            await client.ask("GET /healthz")
        except (OSError, EOFError):
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_told_to_stop_while_it_starts_leaves_no_postgresql(
    data_dir: Path, serve: Serve, number: signal.Signals
) -> None:
    server = serve(data_dir)
    assert server.stop() == 0
    server.launch()
    wait_until(lambda: server.postgres is not None)
    os.kill(server.pid, number)
    server.wait()
    assert server.postgres is None
    assert "Traceback" not in server.log


async def test_each_request_is_one_line_of_the_log_and_no_key_is_in_it(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    server = serve(data_dir, COMMERCE_DATABASE_URL=database_url)
    sandbox = server.sandbox
    client = Client(server.url, sandbox["secret_key"])
    replies = [
        await client.settle("GET /account"),
        await client.settle("POST /api_keys", {"type": "secret"}, Idempotency_Key="new"),
        await client.settle("POST /api_keys", {"type": "secret"}, Idempotency_Key="new"),
        await client.settle("GET /nowhere?key=" + sandbox["secret_key"]),
        await client.settle(TRANSFER, {"to": SAMPLE, "amount": "1.00", "oops": 1}),
        await Client.once(server.url, sandbox["secret_key"][:-1] + "x", "GET /account"),
    ]
    await client.close()
    assert [reply.status for reply in replies] == [200, 201, 201, 404, 400, 401]
    assert server.stop() == 0

    lines = [line for line in server.lines if line["event"] == "request"]
    assert [line["request_id"] for line in lines] == [r.headers["request-id"] for r in replies]
    assert [line["status"] for line in lines] == [reply.status for reply in replies]
    assert [line["account"] for line in lines] == [sandbox["account"]] * 3 + [
        None,
        sandbox["account"],
        None,
    ]
    assert lines[3]["code"] == "route_missing"
    made = replies[1].json["secret"]
    assert made.startswith("sk_test_")
    said = server.log + server.out
    secrets = [sandbox["secret_key"], sandbox["public_key"], made]
    secrets.append((data_dir / "master.key").read_text().strip())
    assert not any(secret in said for secret in secrets)
    assert "sk_test" not in said


async def test_live_and_test_mode_are_apart_on_a_server_of_both(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {"COMMERCE_DATABASE_URL": database_url}
    server = serve(data_dir, "--network", "both", **settings)
    sandbox = server.sandbox
    made = commerce(
        "keys", "create", sandbox["account"], "--mode", "live", "--json", "--data-dir", data_dir,
        **settings,
    )  # fmt: skip
    assert made.status == 0, made.err
    live_key = made.json["secret"]
    assert live_key.startswith("sk_live_")

    async with (
        Client(server.url, live_key) as live,
        Client(server.url, sandbox["secret_key"]) as test,
    ):
        await issue(test, sandbox["wallet"])
        owner = (await live.ask("GET /account")).json
        assert (owner["id"], owner["livemode"]) == (sandbox["account"], True)
        assert owner["wallet"] != sandbox["wallet"]
        assert (await live.ask("GET /stablecoin/issuances")).json["data"] == []
        assert len((await test.ask("GET /stablecoin/issuances")).json["data"]) == 1
        balance = (await live.ask("GET /stablecoin/balance")).json
        assert balance["balances"]["total"] == "0.00"
    assert server.stop() == 0

    testnet = serve(data_dir.with_name("testnet"), **settings, **_key_of(data_dir))
    async with Client(testnet.url, live_key) as live:
        assert (await live.settle("GET /account")).code == "livemode_mismatch"
    assert "Sandbox account and keys: " in testnet.out
    production = serve(
        data_dir.with_name("production"), "--network", "production", **settings, **_key_of(data_dir)
    )
    assert not (production.data_dir / "sandbox.json").exists()
    # What stands there of a time when test mode was served opens nothing now, so nobody is sent.
    (production.data_dir / "sandbox.json").write_text(json.dumps(sandbox))
    assert production.stop() == 0
    production.start()
    assert "Sandbox" not in production.out
    assert production.sandbox == sandbox
    async with Client(production.url, live_key) as live:
        assert (await live.settle("GET /account")).status == 200
    async with Client(production.url, sandbox["secret_key"]) as test:
        assert (await test.settle("GET /account")).code == "livemode_mismatch"


def _key_of(data_dir: Path) -> dict[str, str]:
    """The master key of a server, for another one on the same database."""
    return {"COMMERCE_MASTER_KEY": (data_dir / "master.key").read_text().strip()}


async def test_health_and_documents_need_no_key(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    server = serve(data_dir, COMMERCE_DATABASE_URL=database_url)
    async with Client(server.url, root="") as client:
        assert (await client.settle("GET /healthz")).json == {"status": "ok"}
        assert (await client.settle("GET /readyz")).json == {"status": "ready"}
        document = (await client.settle("GET /openapi.json")).json
        assert document["openapi"].startswith("3.")
        assert json.dumps(document).count(server.url) > 0
        page = await client.settle("GET /docs/errors")
        assert b"insufficient_funds" in page.body
        refused = await client.settle("POST /healthz", {})
        assert (refused.code, refused.headers["allow"]) == ("method_not_allowed", "GET, HEAD")


async def test_a_server_that_was_killed_remembers_what_was_used(
    data_dir: Path, serve: Serve
) -> None:
    server = serve(data_dir)
    sandbox = server.sandbox
    rate = ("--rate-limit", "1000/2000/50", "--mode", "test", "--data-dir", data_dir)
    assert commerce("accounts", "update", sandbox["account"], *rate).status == 0
    client = Client(server.url, sandbox["secret_key"])

    async def used(number: int) -> Counter[int]:
        return Counter([(await client.settle("GET /account")).status for _ in range(number)])

    async def heard() -> bool:
        policy = (await client.settle("GET /account")).headers["ratelimit-policy"]
        return policy.startswith('"burst";q=2000;')

    await eventually(heard)
    assert await used(4) == {200: 4}
    server.kill()
    server.start()
    # The lease of 20 that held those five went with the process.
    assert await used(40) == {200: 30, 429: 10}
    await client.close()
