"""What no caller can get by being clever: another's secret, a wider key, a limit begun anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.kernel.clock import day, month
from commerce.ledger.cap import CAP, COUNT_MAX, Cap, CapReached, count
from commerce.store.table import Row
from tests.ladder import refused
from tests.stage import ISSUER, NOW, Party, Reply, Stage

KEYS = "POST /api_keys"
TRANSFER = "POST /stablecoin/transfer"
SECRET_KEY = {"type": "secret", "name": "Owner's"}
SCOPES = ["keys:write", "stablecoin:transfer"]
HOUR, DAY = 3_600, 86_400
MIDNIGHT = NOW - NOW % DAY
DECEMBER = 1_796_083_200
LACKING = (403, "insufficient_permissions")
REUSED = (422, "idempotency_key_reused")


@pytest.fixture(scope="module")
async def owner(stage: Stage) -> Party:
    party = await stage.open_account()
    await stage.fund(party.wallet, "1000.00")
    return party


@pytest.fixture
async def narrow(stage: Stage, owner: Party) -> str:
    """A restricted key of the owner's, known to the server already."""
    key = await stage.make_key(owner, "restricted", SCOPES)
    await stage.get("/account", owner.key)
    await stage.get("/api_keys", key)
    return key


def verdict(reply: Reply) -> tuple[int, str]:
    assert "secret" not in reply.json
    return (reply.status, reply.error["code"])


async def beside_replays(stage: Stage, key: str, route: str, body: Any, repeated: str) -> Reply:
    """Send a request in one batch with replays of transfers that the same key has made."""
    names = [stage.name() for _ in range(3)]
    transfer = {"to": (await stage.open_account()).wallet, "amount": "1.00"}
    first = [await stage.ask(TRANSFER, key, transfer, Idempotency_Key=name) for name in names]
    tally = stage.app.engine.tally
    batches, replays = tally.batches, tally.replays
    reply, *again = await asyncio.gather(
        stage.ask(route, key, body, Idempotency_Key=repeated),
        *(stage.ask(TRANSFER, key, transfer, Idempotency_Key=name) for name in names),
    )
    assert [(each.status, each.body) for each in again] == [(201, each.body) for each in first]
    assert (tally.batches - batches, tally.replays - replays) == (1, len(names))
    return reply


# Another's answer


@pytest.mark.parametrize("verb", ["create", "roll"])
async def test_an_answer_with_a_secret_is_repeated_to_the_key_that_asked_for_it_alone(
    stage: Stage, owner: Party, narrow: str, verb: str
) -> None:
    route, body, name = KEYS, dict(SECRET_KEY), stage.name()
    if verb == "roll":
        old = await stage.done(KEYS, owner.key, **SECRET_KEY)
        route, body = f"{KEYS}/{old['id']}/roll", {}
    made = await stage.ask(route, owner.key, body, Idempotency_Key=name)
    assert made.json["secret"].startswith("sk_test_")
    before = await stage.dump()
    alone = await stage.ask(route, narrow, body, Idempotency_Key=name)
    assert await stage.dump() == before
    beside = await beside_replays(stage, narrow, route, body, name)
    assert {verdict(alone), verdict(beside)} <= {LACKING, REUSED}
    again = await stage.ask(route, owner.key, body, Idempotency_Key=name)
    assert (again.status, again.body) == (201, made.body)


async def test_a_secret_is_not_shared_while_the_owners_request_is_in_flight(
    stage: Stage, owner: Party, narrow: str
) -> None:
    name = stage.name()
    made, *others = await asyncio.gather(
        stage.ask(KEYS, owner.key, SECRET_KEY, Idempotency_Key=name),
        *(stage.ask(KEYS, narrow, SECRET_KEY, Idempotency_Key=name) for _ in range(5)),
    )
    assert made.status == 201
    assert {verdict(reply) for reply in others} == {REUSED}


async def test_who_lacks_a_permission_gets_no_replay_in_a_batch_with_replays_of_its_own(
    stage: Stage, owner: Party, narrow: str
) -> None:
    name = stage.name()
    wide = await stage.done(KEYS, owner.key, **SECRET_KEY)
    route = f"DELETE /api_keys/{wide['id']}"
    revoked = await stage.ask(route, owner.key, Idempotency_Key=name)
    assert revoked.status == 200
    assert verdict(await beside_replays(stage, narrow, route, None, name)) == LACKING


# A wider key


@pytest.mark.parametrize(
    "wide",
    [
        {"type": "secret"},
        {"type": "public"},
        {"type": "restricted", "scopes": ["keys:write", "events:read"], "expires_at": NOW + HOUR},
        {"type": "restricted", "scopes": SCOPES},
        {"type": "restricted", "scopes": ["keys:read"], "expires_at": NOW + HOUR + 1},
    ],
)
async def test_a_key_that_does_more_or_lives_longer_is_out_of_a_restricted_keys_reach(
    stage: Stage, owner: Party, wide: dict[str, Any]
) -> None:
    narrow = await stage.make_key(owner, "restricted", SCOPES, NOW + HOUR)
    target = await stage.done(KEYS, owner.key, **wide)
    one = f"/api_keys/{target['id']}"
    for route, body in ((KEYS, wide), (f"POST {one}/roll", {}), (f"DELETE {one}", {})):
        await refused(stage, route, narrow, body, *LACKING)
    hour = {"expires_in": HOUR}
    await refused(stage, f"POST {one}/roll", narrow, hour, *LACKING)
    assert (await stage.get(one, owner.key))["status"] == "active"


async def test_a_restricted_key_may_make_roll_and_revoke_what_is_within_its_own_reach(
    stage: Stage, owner: Party
) -> None:
    narrow = await stage.make_key(owner, "restricted", SCOPES, NOW + HOUR)
    equal = {"type": "restricted", "scopes": SCOPES, "expires_at": NOW + HOUR}
    made = await stage.done(KEYS, narrow, **equal)
    rolled = await stage.done(f"{KEYS}/{made['id']}/roll", narrow)
    assert (rolled["scopes"], rolled["expires_at"]) == (SCOPES, NOW + HOUR)
    revoked = await stage.done(f"DELETE /api_keys/{rolled['id']}", narrow)
    assert revoked["status"] == "revoked"


async def test_a_restricted_key_may_revoke_itself(stage: Stage, owner: Party) -> None:
    own = await stage.done(KEYS, owner.key, type="restricted", scopes=SCOPES)
    revoked = await stage.done(f"DELETE /api_keys/{own['id']}", own["secret"])
    assert revoked["status"] == "revoked"
    refusal = await stage.ask("GET /api_keys", own["secret"])
    assert verdict(refusal) == (401, "api_key_revoked")


# Another's account


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("GET /account", None),
        ("GET /stablecoin/transfers", None),
        ("GET /stablecoin/balance", None),
        (KEYS, {"type": "public"}),
        (TRANSFER, {}),
    ],
)
async def test_to_name_another_account_is_refused_and_ones_own_is_not(
    stage: Stage, owner: Party, route: str, body: dict[str, Any] | None
) -> None:
    other = await stage.open_account()
    if route == TRANSFER:
        body = {"to": other.wallet, "amount": "1.00"}
    before = await stage.dump()
    for id_ in (other.id, f"acct_{'0' * 26}", "", f"{owner.id} ", owner.id.upper(), "é"):
        reply = await stage.ask(route, owner.key, body, X_Account_Id=id_)
        assert verdict(reply) == (403, "account_invalid"), id_
    assert await stage.dump() == before
    reply = await stage.ask(route, owner.key, body, X_Account_Id=owner.id)
    assert reply.status in (200, 201), reply.body


# A limit begun anew


def cap_of(**caps: int) -> Cap:
    return Cap("acct_1", livemode=False, meter="transfers", **caps)


@pytest.mark.parametrize(("window", "end"), [("daily", MIDNIGHT), ("monthly", DECEMBER)])
def test_a_clock_that_goes_back_does_not_begin_an_old_window_anew(window: str, end: int) -> None:
    cap = cap_of(**{window: 100})
    row = count(cap, None, 60, end)
    row = count(cap, row, 40, end - 1)
    for now in (end - 1, end):
        with pytest.raises(CapReached) as reached:
            count(cap, row, 1, now)
        assert (reached.value.code, reached.value.left) == ("limit_exceeded", 0)
    length = DAY if window == "daily" else 31 * DAY
    assert count(cap, row, 100, end + length)[CAP.names.index("used")] == 200


@given(
    st.lists(
        st.tuples(st.integers(DECEMBER - 3 * DAY, DECEMBER + 3 * DAY), st.integers(1, 100)),
        max_size=40,
    )
)
def test_in_whatever_order_times_come_no_day_and_no_month_passes_more_than_its_cap(
    passing: list[tuple[int, int]],
) -> None:
    cap = cap_of(daily=100, monthly=250)
    row: Row | None = None
    last = 0
    by_window: Counter[str] = Counter()
    for now, amount in passing:
        try:
            row = count(cap, row, amount, now)
        except CapReached:
            continue
        last = max(last, now)
        counted = dict(zip(CAP.names, row, strict=True))
        assert (counted["day"], counted["month"]) == (day(last), month(last))
        by_window.update({day(last): amount, month(last): amount})
    assert all(used <= (250 if len(name) == 7 else 100) for name, used in by_window.items())


def test_a_meter_without_a_cap_ends_where_its_column_does() -> None:
    row = count(cap_of(), None, COUNT_MAX - 1, NOW)
    row = count(cap_of(), row, 1, NOW + DAY)
    assert row[CAP.names.index("used")] == COUNT_MAX
    with pytest.raises(CapReached) as reached:
        count(cap_of(), row, 1, NOW + DAY)
    assert (reached.value.window, reached.value.left) == ("in all", 0)


async def test_a_deposit_has_an_upper_bound(stage: Stage) -> None:
    issuer = await stage.open_account(capabilities=ISSUER)
    route = "POST /stablecoin/reserves/deposits"
    for amount in ("100000000.000001", "100000000.01", "900000000000.00"):
        await refused(stage, route, issuer.key, {"amount": amount}, 400, "amount_invalid")
    deposit = await stage.done(route, issuer.key, amount="100000000.00")
    assert deposit["amount"] == "100000000.00"
