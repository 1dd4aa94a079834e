"""Who calls, on whose behalf and under which key, where that is not as it mostly is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commerce.areas.identity import api_key
from commerce.areas.stablecoin import transfer
from commerce.http import acting, auth, idempotency
from commerce.http.acting import Connections
from commerce.http.auth import Authenticator
from commerce.http.pipeline import _command
from commerce.http.request import Request
from commerce.kernel.clock import FixedClock
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.master_key import MasterKey
from commerce.resource.access import Principal
from commerce.resource.operation import Operation
from commerce.resource.parameter import Amount
from commerce.settings import Settings
from commerce.store.memory import Memory
from tests.contract import refusal
from tests.engine.world import World
from tests.http.limited import no_body
from tests.stage import NOW, Stage, app_over

KEY = MasterKey(b"\7" * 32)
OPERATION: Operation = transfer.transfer.__operation__  # type: ignore[attr-defined]
OWN = "acct_" + "0" * 26


def principal(secret: str = "", *, type_: Any = "secret") -> Principal:
    return Principal(
        key="key_1",
        hash=api_key.hash_of(secret),
        account=OWN,
        livemode=False,
        type=type_,
        scopes=frozenset(),
        status="active",
        expires_at=None,
    )


def connected(asked: list[str]) -> Connections:
    """Every account whose id ends in 1 is connected to ours."""

    async def parent_of(id_: str, _livemode: bool) -> str | None:
        asked.append(id_)
        return OWN if id_.endswith("1") else None

    return Connections(parent_of)


async def test_a_public_key_acts_for_nobody_else() -> None:
    with pytest.raises(ApiError) as refused:
        await connected([]).acted_on(OWN.encode(), principal(type_="public"))
    assert refused.value.code == "key_type_not_allowed"
    assert await connected([]).acted_on(None, principal(type_="public")) == OWN


async def test_only_so_many_connections_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "REMEMBERED_MAX", 2)
    asked: list[str] = []
    connections = connected(asked)
    ids = [f"acct_{number:025}1" for number in range(3)]
    for id_ in (*ids, ids[2], ids[0]):
        assert await connections.acted_on(id_.encode(), principal()) == id_
    assert asked == [*ids, ids[0]]


class Ring:
    """Keys that are all well formed, and the look-ups that were made for them."""

    def __init__(self, found: Principal | None = None) -> None:
        self.found = found
        self.asked = 0
        self.hash_of = api_key.hash_of

    def well_formed(self, _: str) -> bool:
        return True

    async def principal(self, hash_: bytes) -> Principal:
        self.asked += 1
        return self.found or msgspec.structs.replace(principal(), hash=hash_)

    def refuse_dead(self, *_: Any) -> None:
        """All live."""


def authenticator(ring: Any) -> Authenticator:
    return Authenticator(ring, networks=frozenset((False,)), now=lambda: NOW)


async def test_a_key_that_is_found_under_anothers_hash_opens_nothing() -> None:
    with pytest.raises(ApiError) as refused:
        await authenticator(Ring(principal("other"))).authenticate(b"Bearer sk_test_1")
    assert refused.value.code == "api_key_invalid"


async def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_MAX", 2)
    ring = Ring()
    keys = authenticator(ring)
    for name in ("a", "b", "b", "c", "c", "a"):
        found = await keys.authenticate(f"Bearer {name}".encode())
        assert found.hash == api_key.hash_of(name)
    assert ring.asked == 4


# Idempotency


def test_a_header_and_a_body_that_name_two_keys_are_refused() -> None:
    params = transfer.CreateTransfer(
        recipient="x", amount=Amount.parse("1.00", SSUSD), idempotency_key="one"
    )
    with pytest.raises(ApiError) as refused:
        idempotency.read(b"two", params, OPERATION, "key_1", KEY)
    assert (refused.value.code, refused.value.param) == (
        "idempotency_key_invalid",
        "idempotency_key",
    )
    assert idempotency.read(b"one", params, OPERATION, "key_1", KEY) == idempotency.read(
        None, params, OPERATION, "key_1", KEY
    )


async def test_a_request_that_still_runs_is_said_to_be_in_progress(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = await stage.open_account()
    begun, go_on = asyncio.Event(), asyncio.Event()
    session = stage.app.store.session

    async def slow() -> Any:
        begun.set()
        await go_on.wait()
        return await session()

    await stage.app.engine._lanes[0].close()
    monkeypatch.setattr(stage.app.store, "session", slow)
    body = {"type": "public"}
    asking = asyncio.create_task(
        stage.ask("POST /api_keys", party.key, body, Idempotency_Key="runs")
    )
    await begun.wait()
    state = await stage.get("/idempotency_keys/runs", party.key)
    assert state["status"] == "in_progress"
    go_on.set()
    assert (await asking).status == 201
    state = await stage.get("/idempotency_keys/runs", party.key)
    assert state["status"] == "completed"


# Requests


async def test_a_body_that_came_with_its_head_is_not_too_large_either() -> None:
    request = Request("req_1", "POST", "/v1/account", b"", {}, no_body, whole=b"12345")
    assert await request.body(5) == b"12345"
    with pytest.raises(ApiError) as refused:
        await request.body(4)
    assert refused.value.code == "body_too_large"


async def test_what_is_no_request_is_not_answered(stage: Stage) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError("nothing is received or sent")

    await stage.app.http({"type": "lifespan"}, never, never)


async def test_pages_and_bad_requests_are_free_where_nothing_is_limited(stage: Stage) -> None:
    settings = Settings(data_dir=Path("nowhere"), network="both", rate_limits="off")
    app = app_over(stage.url, settings, stage.clock)
    async with app.running(), Stage(app, stage.url, stage.clock).connected() as unlimited:
        twice = [(b"authorization", b"a"), (b"authorization", b"b")]
        reply = await unlimited.send("GET", b"/v1/account", twice)
        refusal.is_(reply, 400, "parameter_invalid", "Authorization")
        assert "ratelimit-limit" not in reply.headers


async def test_a_path_that_is_not_there_is_so_without_a_database_too() -> None:
    settings = Settings(data_dir=Path("nowhere"), network="both")
    app = app_over("postgresql://x@127.0.0.1:9/x", settings, FixedClock(NOW * 1000))
    away = Stage(app, "", FixedClock(NOW * 1000))
    secret = api_key._secret("secret", b"\7" * 32, livemode=False)
    assert (await away.ask("GET /nothing", secret)).status == 404
    assert (await away.ask("GET /account", secret)).status == 503


async def test_a_verb_that_says_nothing_of_what_it_needs_is_run_all_the_same() -> None:
    async with World(Memory()).running() as world:
        sender, recipient = await world.open("100.00", key=True), await world.open()
        operation = OPERATION._replace(needs=None)
        given = transfer.CreateTransfer(
            recipient=recipient.wallet, amount=Amount.parse("1.00", SSUSD)
        )
        command = _command(operation, sender.caller, given, None, world.ring)
        (answer,) = await world.submit(command)
        assert getattr(answer, "status", None) == 201
        assert await world.available(recipient) == 1_000_000
