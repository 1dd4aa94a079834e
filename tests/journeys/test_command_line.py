"""What an operator does beside a running server."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from commerce.store.embedded import running_url
from tests.client import Answer, Client
from tests.journeys.conftest import Call
from tests.process import Ran, Server, commerce, reachable_folder, refused, servers
from tests.races.scene import execute

SAMPLE = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of both networks, with its own PostgreSQL."""
    folder = reachable_folder()
    with servers() as serve:
        yield serve(folder / "data", "--network", "both")
    shutil.rmtree(folder)


class Operator:
    """Somebody at the command line of a server."""

    def __init__(self, server: Server, call: Call) -> None:
        self.server = server
        self._call = call

    def run(self, *arguments: str) -> Ran:
        return self._call(*arguments, "--data-dir", self.server.data_dir)

    def told(self, *arguments: str) -> Any:
        """What a command that must succeed says with --json."""
        ran = self.run(*arguments, "--json")
        assert (ran.status, ran.err) == (0, "")
        return ran.json

    def ask(self, key: str, route: str, body: dict[str, Any] | None = None) -> Answer:
        """Call the server."""

        async def ask() -> Answer:
            async with Client(self.server.url, key) as client:
                return await client.settle(route, body)

        return asyncio.run(ask())


@pytest.fixture
def operator(server: Server, call: Call) -> Operator:
    return Operator(server, call)


def test_an_account_is_created_shown_listed_and_updated(operator: Operator) -> None:
    made = operator.told(
        "accounts", "create", "--name", "Ada", "--plan", "growth", "--verification", "verified",
        "--capability", "reserves_operator", "--capability", "stablecoin_issuance",
    )  # fmt: skip
    assert (made["object"], made["livemode"]) == ("account", False)
    assert (made["name"], made["plan"], made["verification"]) == ("Ada", "growth", "verified")
    assert made["capabilities"] == ["reserves_operator", "stablecoin_issuance"]
    id_ = made["id"]
    assert operator.told("accounts", "show", id_) == made
    live = operator.told("accounts", "show", id_, "--mode", "live")
    assert (live["livemode"], live["verification"]) == (True, "verified")
    assert live["wallet"] != made["wallet"]
    assert operator.told("accounts", "list")[0] == made
    assert operator.told("accounts", "list", "--limit", "1", "--mode", "live") == [live]

    updated = operator.told("accounts", "update", id_, "--plan", "free", "--mode", "test")
    assert updated == {**made, "plan": "free"}
    given = ["--name", "Ada L.", "--capability", "finance_lender"]
    both = operator.told("accounts", "update", id_, *given)
    for mode, before, told in (("test", updated, both[0]), ("live", live, both[1])):
        expected = {**before, "name": "Ada L.", "capabilities": ["finance_lender"]}
        assert told == expected
        assert operator.told("accounts", "show", id_, "--mode", mode) == expected
    printed = operator.run("accounts", "update", id_, "--plan", "growth").out
    assert printed.count(f"id             {id_}") == 2

    own = ["--plan", "enterprise", "--rate-limit", "500/900/none", "--mode", "test"]
    limited = operator.told("accounts", "update", id_, *own)
    assert limited["rate_limit"] == {"rate": 500, "burst": 900, "daily": None}
    again = ["--rate-limit", "500/900/7000", "--mode", "test"]
    assert operator.told("accounts", "update", id_, *again)["rate_limit"]["daily"] == 7000
    plain = ["--rate-limit", "plan", "--mode", "test"]
    assert operator.told("accounts", "update", id_, *plain)["rate_limit"] is None

    shown = operator.run("accounts", "show", id_).out
    assert "name           Ada L." in shown.splitlines()
    listed = operator.run("accounts", "list").out
    assert id_ in listed
    assert made["wallet"] in listed


def test_without_options_a_test_account_is_premium_and_a_live_one_basic(
    operator: Operator,
) -> None:
    made = operator.told("accounts", "create")
    assert (made["name"], made["plan"], made["capabilities"]) == (None, "free", [])
    assert made["verification"] == "premium"
    live = operator.told("accounts", "show", made["id"], "--mode", "live")
    assert live["verification"] == "basic"


def test_a_key_is_created_listed_rolled_and_revoked(operator: Operator) -> None:
    account = operator.told("accounts", "create")["id"]
    made = operator.told(
        "keys", "create", account, "--type", "restricted", "--scope", "stablecoin:read",
        "--scope", "accounts:read", "--name", "Reader",
    )  # fmt: skip
    assert (made["type"], made["name"], made["status"]) == ("restricted", "Reader", "active")
    assert made["scopes"] == ["accounts:read", "stablecoin:read"]
    assert operator.ask(made["secret"], "GET /account").json["id"] == account
    assert operator.ask(made["secret"], "GET /api_keys").code == "insufficient_permissions"
    assert operator.told("keys", "list", account) == [{**made, "secret": None}]

    rolled = operator.told("keys", "roll", account, made["id"], "--expires-in", "60")
    assert rolled["scopes"] == made["scopes"]
    assert operator.ask(rolled["secret"], "GET /account").status == 200
    assert operator.ask(made["secret"], "GET /account").status == 200
    again = operator.told("keys", "roll", account, rolled["id"])
    assert operator.ask(again["secret"], "GET /account").status == 200

    revoked = operator.told("keys", "revoke", account, again["id"])
    assert (revoked["status"], revoked["secret"]) == ("revoked", None)
    status = {key["id"]: key["status"] for key in operator.told("keys", "list", account)}
    assert status == {made["id"]: "active", rolled["id"]: "revoked", again["id"]: "revoked"}
    # The server is told of it, and told soon: a revoked key opens nothing within a second.
    asyncio.run(asyncio.sleep(1))
    assert operator.ask(again["secret"], "GET /account").code == "api_key_revoked"
    assert operator.ask(rolled["secret"], "GET /account").code == "api_key_revoked"
    listed = operator.run("keys", "list", account).out
    assert all(id_ in listed for id_ in status)
    assert not any(key["secret"] in listed for key in (made, rolled, again))


def test_a_key_whose_time_is_over_is_listed_as_expired(operator: Operator) -> None:
    account = operator.told("accounts", "create")["id"]
    made = operator.told("keys", "create", account)
    operator.told("keys", "roll", account, made["id"], "--expires-in", "1")
    asyncio.run(asyncio.sleep(1.1))
    status = {key["id"]: key["status"] for key in operator.told("keys", "list", account)}
    assert status.pop(made["id"]) == "expired"
    assert list(status.values()) == ["active"]
    refused = operator.run("keys", "roll", account, made["id"])
    assert next(iter(status)) in refused.err


def test_a_key_is_made_with_limits_recipients_and_an_end(operator: Operator) -> None:
    account = operator.told("accounts", "create")["id"]
    made = operator.told(
        "keys", "create", account, "--type", "restricted", "--scope", "stablecoin:transfer",
        "--limit-per-transaction", "10.00", "--limit-daily", "20", "--limit-lifetime", "30.5",
        "--recipient", SAMPLE, "--expires-at", "2199-01-01",
    )  # fmt: skip
    assert made["limits"] == {"per_transaction": "10.00", "daily": "20.00", "lifetime": "30.50"}
    assert made["recipients"] == [SAMPLE]
    assert made["expires_at"] == 7_226_582_400
    assert "2199-01-01T00:00:00Z" in operator.run("keys", "list", account).out
    transfer = {"to": SAMPLE, "amount": "10.01"}
    refusal = operator.ask(made["secret"], "POST /stablecoin/transfer", transfer)
    assert (refusal.status, refusal.code) == (402, "limit_exceeded")
    rolled = operator.told("keys", "roll", account, made["id"])
    assert {**rolled, "id": 0, "secret": 0, "redacted": 0, "created": 0} == {
        **made, "id": 0, "secret": 0, "redacted": 0, "created": 0
    }  # fmt: skip


def test_both_modes_are_served_side_by_side_and_know_nothing_of_each_other(
    operator: Operator,
) -> None:
    account = operator.told("accounts", "create")["id"]
    keys = {
        mode: operator.told("keys", "create", account, "--mode", mode)["secret"]
        for mode in ("test", "live")
    }
    for mode, key in keys.items():
        assert operator.ask(key, "GET /account").json["livemode"] is (mode == "live")
    child = operator.ask(keys["test"], "POST /accounts", {"name": "Child"}).json["id"]
    assert operator.ask(keys["live"], f"GET /accounts/{child}").json["parent"] == account
    shown = operator.told("accounts", "show", child, "--mode", "live")
    assert (shown["parent"], shown["livemode"]) == (account, True)
    made = operator.ask(keys["live"], "POST /api_keys", {"type": "public"}).json["id"]
    missing = operator.ask(keys["test"], f"GET /api_keys/{made}")
    assert missing.code == "resource_missing"
    assert "It exists in live mode" in missing.json["error"]["message"]


def test_keys_of_both_modes_and_all_types_are_made(operator: Operator) -> None:
    account = operator.told("accounts", "create")["id"]
    for type_, letters in (("secret", "sk"), ("public", "pk")):
        for mode in ("test", "live"):
            made = operator.told("keys", "create", account, "--type", type_, "--mode", mode)
            assert made["secret"].startswith(f"{letters}_{mode}_")
            assert made["livemode"] is (mode == "live")
    printed = operator.run("keys", "create", account).out
    [secret] = [line.split()[1] for line in printed.splitlines() if line.startswith("secret ")]
    assert operator.ask(secret, "GET /account").json["id"] == account


def test_a_blocked_address_neither_sends_nor_receives_until_it_is_let_go(
    operator: Operator,
) -> None:
    sandbox = operator.server.sandbox
    key, wallet = sandbox["secret_key"], sandbox["wallet"]
    issue = {"recipient": wallet, "amount": "100.00", "reference_id": "before-blocking"}
    assert operator.ask(key, "POST /stablecoin/issue", issue).status == 201
    transfer = {"to": SAMPLE, "amount": "1.00"}
    for blocked in (SAMPLE, wallet):
        ran = operator.run("addresses", "block", blocked)
        assert (ran.status, ran.out) == (0, f"{blocked} is blocked in test mode\n")
        refusal = operator.ask(key, "POST /stablecoin/transfer", transfer)
        assert refusal.code == "sanctioned_party"
        ran = operator.run("addresses", "unblock", blocked)
        assert (ran.status, ran.out) == (0, f"{blocked} is not blocked in test mode\n")
        again = operator.run("addresses", "unblock", blocked)
        same = f"{blocked} is not blocked in test mode: it was not blocked before, and nothing"
        assert (again.status, again.out) == (0, f"{same} changed\n")
    assert operator.ask(key, "POST /stablecoin/transfer", transfer).status == 201
    told = operator.told("addresses", "block", SAMPLE)
    assert told == {
        "object": "address",
        "livemode": False,
        "address": SAMPLE,
        "account": None,
        "blocked": True,
    }
    assert operator.told("addresses", "unblock", SAMPLE) == {**told, "blocked": False}
    live = operator.run("addresses", "block", wallet, "--mode", "live")
    assert live.out == f"{wallet} is blocked in live mode\n"
    assert operator.ask(key, "POST /stablecoin/transfer", transfer).status == 201


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["accounts", "show", "acct_nobody"], 1, "No such account: 'acct_nobody'."),
        (["accounts", "update", "acct_nobody"], 1, "No such account: 'acct_nobody'."),
        (["keys", "create", "acct_nobody"], 1, "No such account: 'acct_nobody'."),
        (["keys", "revoke", "acct_nobody", "key_x"], 1, "No such api_key: 'key_x'."),
        (["keys", "roll", "acct_nobody", "key_x"], 1, "No such api_key: 'key_x'."),
        (["addresses", "block", "nonsense"], 1, "'address' is not a valid address"),
        (["addresses", "block", SAMPLE, "--mode", "live"], 1, "'address' is not a valid"),
        (
            ["accounts", "update", "a", "--rate-limit", "fast"],
            2,
            "a rate limit is RATE/BURST/DAILY",
        ),
        (
            ["accounts", "update", "a", "--rate-limit", "0/9/9"],
            2,
            "rate of --rate-limit must be an integer from 1 to 1000000",
        ),
        (
            ["accounts", "create", "--plan", "gold"],
            2,
            "--plan must be one of: free, starter, growth, enterprise",
        ),
        (
            ["accounts", "update", "a", "--verification", "much"],
            2,
            "--verification must be one of: basic, verified, premium, business",
        ),
        (
            ["accounts", "create", "--capability", "flying"],
            2,
            "--capability must be one of: stablecoin_issuance, reserves_operator, finance_lender",
        ),
        (["accounts", "create", "--name", "x" * 201], 2, "--name must be a string of at most 200"),
        (["accounts", "list", "--mode", "prod"], 2, "--mode must be one of: test, live"),
        (
            ["keys", "create", "acct_x", "--type", "gold"],
            2,
            "--type must be one of: secret, public, restricted",
        ),
        (["keys", "create", "acct_x", "--scope", "all"], 2, "--scope must be one of: stablecoin:"),
        (["keys", "create", "acct_x", "--limit-daily", "0"], 2, "--limit-daily must be above zero"),
        (["keys", "create", "acct_x", "--expires-at", "soon"], 2, "--expires-at must be Unix"),
        (["keys", "roll", "acct_x", "key_x", "--expires-in", "-1"], 2, "--expires-in must be an"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    operator: Operator, arguments: list[str], status: int, message: str
) -> None:
    assert refused(operator.run(*arguments), status).startswith(message)


@pytest.mark.parametrize("limit", ["-1", "0", "10001", "many"])
def test_a_limit_out_of_bounds_is_refused_and_is_no_traceback(
    operator: Operator, limit: str
) -> None:
    ran = operator.run("accounts", "list", "--limit", limit)
    assert (ran.status, ran.out) == (2, "")
    assert "--limit" in ran.err
    assert "Traceback" not in ran.err


def test_a_restricted_key_without_scopes_is_refused(operator: Operator) -> None:
    account = operator.told("accounts", "create")["id"]
    ran = operator.run("keys", "create", account, "--type", "restricted")
    assert refused(ran, 1) == "A restricted key needs scopes."


def test_verify_passes_and_finds_a_tampered_balance_and_a_tampered_entry(
    operator: Operator,
) -> None:
    url = running_url(operator.server.data_dir)
    assert url is not None
    sandbox = operator.server.sandbox
    issue = {"recipient": sandbox["wallet"], "amount": "100.00", "reference_id": "to-tamper-with"}
    assert operator.ask(sandbox["secret_key"], "POST /stablecoin/issue", issue).status == 201
    sound = operator.run("verify")
    assert (sound.status, sound.err) == (0, "")
    assert sound.out.endswith(": all hold\n")
    report = operator.told("verify")
    assert (report["ok"], report["findings"]) == (True, [])
    assert report["entries"] > report["transactions"] > 0

    code = f"wallet:{sandbox['wallet']}:available"
    change = "UPDATE ledger_balance SET balance = balance + $1 WHERE code = $2"
    asyncio.run(execute(url, change, 1, code))
    tampered = operator.run("verify")
    assert tampered.status == 1
    wrong = "wrong: every balance is the sum of its entries: {'account': "
    assert f"{wrong}'{sandbox['account']}'" in tampered.out
    assert "all hold" not in tampered.out
    asyncio.run(execute(url, change, -1, code))
    assert operator.run("verify").status == 0

    asyncio.run(execute(url, "ALTER TABLE ledger_entry DISABLE TRIGGER append_only"))
    change = "UPDATE ledger_entry SET amount = amount + $1 WHERE code = $2 AND number = 1"
    asyncio.run(execute(url, change, 1, code))
    tampered = operator.run("verify", "--json")
    assert tampered.status == 1
    broken = {finding.partition(":")[0] for finding in tampered.json["findings"]}
    assert tampered.json["ok"] is False
    assert broken >= {
        "in every currency and mode, entries sum to zero",
        "the entries of every transaction sum to zero",
        "every balance is the sum of its entries",
        "each entry's balance follows from the one before",
    }
    asyncio.run(execute(url, change, -1, code))
    asyncio.run(execute(url, "ALTER TABLE ledger_entry ENABLE TRIGGER append_only"))
    assert operator.run("verify").status == 0


def test_migrate_says_what_waits_applies_it_and_says_that_nothing_waits(
    call: Call, database_url: str, operator: Operator
) -> None:
    setting = {"COMMERCE_DATABASE_URL": database_url}
    check = call("migrate", "--check", **setting)
    assert (check.status, check.err) == (1, "")
    assert check.out.startswith("waiting: 0001_")
    early = call("accounts", "list", **setting)
    assert refused(early).startswith("the database lacks 0001_")
    applied = call("migrate", **setting)
    assert (applied.status, applied.err) == (0, "")
    assert applied.out == check.out.replace("waiting", "applied")
    check = call("migrate", "--check", **setting)
    assert (check.status, check.out) == (0, "the database is up to date\n")
    assert operator.run("migrate", "--check").status == 0


def test_without_a_server_the_commands_beside_it_say_so(call: Call, server: Server) -> None:
    nowhere = server.data_dir.with_name("nowhere")
    for command in (["verify"], ["migrate"], ["accounts", "list"], ["keys", "list", "acct_x"]):
        message = refused(call(*command, "--data-dir", nowhere))
        assert message == f"no server is running on {nowhere}; start it first"
    assert not nowhere.exists()


def test_a_process_of_its_own_says_the_same_as_the_command_in_this_one(
    operator: Operator,
) -> None:
    ran = commerce("accounts", "list", "--json", "--data-dir", operator.server.data_dir)
    assert ran == operator.run("accounts", "list", "--json")
    assert json.loads(ran.out)[-1]["name"] == "Sandbox"
    unknown = commerce("settings", COMMERCE_WORKER="2")
    assert refused(unknown).endswith("the nearest known one is COMMERCE_WORKERS")
