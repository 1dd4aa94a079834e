"""Keys with money limits: what they may move, to whom, and what no new key begins anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import pytest

from commerce.areas.identity import account
from commerce.kernel.address import new
from tests.ladder import Rung, climb, refused
from tests.stage import ISSUER, NOW, Party, Stage

KEYS = "POST /api_keys"
TRANSFER = "POST /stablecoin/transfer"
ISSUE = "POST /stablecoin/issue"
REDEEM = "POST /stablecoin/redeem"
SCOPES = [
    *("accounts:read", "keys:write"),
    *("stablecoin:issue", "stablecoin:redeem", "stablecoin:transfer"),
]
DAY = 86_400
SAMPLE = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
REACHED = (402, "limit_exceeded")
LACKING = (403, "insufficient_permissions")
BANK = {"type": "ach", "account_number": "000123456789", "routing_number": "021000021"}


@pytest.fixture(autouse=True)
async def _noon_of_23_november(stage: Stage) -> AsyncIterator[None]:
    yield
    stage.clock.advance(NOW - stage.clock.now_ms() / 1000)


@pytest.fixture(scope="module")
async def owner(stage: Stage) -> Party:
    party = await stage.open_account(capabilities=ISSUER)
    await stage.fund(party.wallet, "100000.00")
    return party


@pytest.fixture(scope="module")
async def friend(stage: Stage) -> Party:
    return await stage.open_account()


class Till(NamedTuple):
    """A limited key."""

    id: str
    secret: str


async def till(stage: Stage, key: str, **given: Any) -> Till:
    body = {"type": "restricted", "scopes": SCOPES, **given}
    made = await stage.done(KEYS, key, **body)
    return Till(made["id"], made["secret"])


async def pay(stage: Stage, key: str, to: Party, amount: str, **headers: str) -> None:
    reply = await stage.ask(TRANSFER, key, {"to": to.wallet, "amount": amount}, **headers)
    assert reply.status == 201, reply.body


async def over(stage: Stage, key: str, to: Party, amount: str, says: str) -> None:
    body = {"to": to.wallet, "amount": amount}
    await refused(stage, TRANSFER, key, body, *REACHED, says)


# What a key is given


async def test_guards_of_create_stand_in_order(stage: Stage, owner: Party) -> None:
    await climb(
        stage,
        KEYS,
        owner.key,
        Rung(
            {"type": "secret", "limits": {"weekly": "1"}}, 400, "parameter_unknown", "limits.weekly"
        ),
        Rung({"limits": {"daily": "0"}, "recipients": 1}, 400, "amount_invalid", "limits.daily"),
        Rung({"limits": {"daily": "1.0000001"}}, 400, "amount_precision", "limits.daily"),
        Rung({"limits": {"daily": "5.00"}}, 400, "parameter_invalid", "recipients"),
        Rung({"recipients": []}, 400, "parameter_invalid", "recipients"),
        Rung({"recipients": ["x"] * 101}, 400, "parameter_invalid", "recipients"),
        Rung({"recipients": ["x"]}, 400, "parameter_invalid", "limits", "Only a restricted key"),
        Rung({"limits": ...}, 400, "parameter_invalid", "recipients", "Only a restricted key"),
        Rung({"type": "restricted"}, 400, "parameter_missing", "scopes"),
        Rung({"scopes": ["events:read"], "limits": {}}, 400, "parameter_missing", "limits"),
        Rung({"limits": {"daily": None}}, 400, "parameter_missing", "limits"),
        Rung({"limits": {"daily": "1"}}, 400, "invalid_recipient", "recipients[0]"),
    )


async def test_limits_are_shown_as_they_were_given(
    stage: Stage, owner: Party, friend: Party
) -> None:
    limits = {"per_transaction": "10.5", "daily": 20, "lifetime": "30.000001"}
    recipients = [friend.wallet.upper(), owner.wallet, friend.wallet]
    body = {"type": "restricted", "scopes": SCOPES, "limits": limits, "recipients": recipients}
    made = await stage.done(KEYS, owner.key, **body)
    kept = {"per_transaction": "10.50", "daily": "20.00", "lifetime": "30.000001"}
    assert made["limits"] == kept
    assert made["recipients"] == sorted([friend.wallet, owner.wallet])
    assert await stage.get(f"/api_keys/{made['id']}", owner.key) == {**made, "secret": None}
    partly = await stage.done(KEYS, owner.key, **{**body, "limits": {"daily": "1.00"}})
    assert partly["limits"] == {"per_transaction": None, "daily": "1.00", "lifetime": None}
    (event,) = await stage.events(owner, made["id"])
    assert event["data"]["object"] == {**made, "secret": None}
    assert "meter" not in made


# What a key may move


async def test_each_limit_stops_at_its_number_and_says_what_is_left(
    stage: Stage, owner: Party, friend: Party
) -> None:
    limits = {"per_transaction": "10.00", "daily": "25.00", "lifetime": "40.00"}
    key = (await till(stage, owner.key, limits=limits)).secret
    says = "This key's limit of 10.00 ssUSD per transaction would be exceeded; 10.00 ssUSD is left."
    await over(stage, key, friend, "10.000001", says)
    await pay(stage, key, friend, "10.00")
    await pay(stage, key, friend, "9.99")
    says = "This key's limit of 25.00 ssUSD a day would be exceeded; 5.01 ssUSD is left."
    await over(stage, key, friend, "5.010001", says)
    await pay(stage, key, friend, "5.01")
    await over(stage, key, friend, "0.000001", "0.00 ssUSD is left")
    stage.clock.advance(DAY // 2 - 1)
    await over(stage, key, friend, "0.000001", "25.00 ssUSD a day")
    stage.clock.advance(1)
    await pay(stage, key, friend, "10.00")
    says = "This key's limit of 40.00 ssUSD in all would be exceeded; 5.00 ssUSD is left."
    await over(stage, key, friend, "5.000001", says)
    await pay(stage, key, friend, "5.00")
    stage.clock.advance(40 * DAY)
    await over(stage, key, friend, "0.000001", "40.00 ssUSD in all")
    await pay(stage, owner.key, friend, "1.00")
    await stage.audit()


async def test_what_was_refused_and_fees_do_not_count(stage: Stage, friend: Party) -> None:
    poor = await stage.open_account()
    await stage.fund(poor.wallet, "100.00")
    key = (await till(stage, poor.key, limits={"daily": "150.00"})).secret
    body = {"to": friend.wallet, "amount": "100.00"}
    await refused(stage, TRANSFER, key, body, 402, "insufficient_funds")
    await stage.fund(poor.wallet, "100.00")
    await pay(stage, key, friend, "100.00")
    await pay(stage, key, friend, "50.00")
    await over(stage, key, friend, "0.01", "0.00 ssUSD is left")


async def test_what_is_redeemed_issued_and_transferred_counts_together(
    stage: Stage, owner: Party, friend: Party
) -> None:
    key = (await till(stage, owner.key, limits={"daily": "300.00"})).secret
    issue = {"recipient": owner.wallet, "amount": "100.00", "reference_id": stage.name()}
    redeem = {"amount": "100.00", "reference_id": stage.name(), "destination": BANK}
    await stage.done(ISSUE, key, **issue)
    await stage.done(REDEEM, key, **redeem)
    # The same reference again gives the first one again, and moves nothing.
    await stage.done(ISSUE, key, **issue)
    await stage.done(REDEEM, key, **redeem)
    await pay(stage, key, friend, "50.00")
    more = {"amount": "100.00", "reference_id": stage.name()}
    says = "50.00 ssUSD is left"
    await refused(stage, ISSUE, key, {**issue, **more}, *REACHED, says)
    await refused(stage, REDEEM, key, {**redeem, **more}, *REACHED, says)
    await pay(stage, key, friend, "50.00")
    await stage.audit()


async def test_a_batch_counts_row_by_row_and_the_row_beyond_the_limit_is_named(
    stage: Stage, owner: Party, friend: Party
) -> None:
    limits = {"per_transaction": "5.00", "daily": "12.00"}
    key = (await till(stage, owner.key, limits=limits, recipients=[friend.wallet])).secret

    async def blamed(*rows: tuple[str, str]) -> str:
        before = await stage.dump()
        body = {"transfers": [{"to": to, "amount": amount} for to, amount in rows]}
        reply = await stage.ask(TRANSFER, key, body)
        assert (reply.status, reply.error["code"]) == REACHED
        assert await stage.dump() == before
        return str(reply.error["param"])

    to = friend.wallet
    assert await blamed((to, "1"), (to, "5.01")) == "transfers[1].amount"
    assert await blamed((to, "5"), (to, "5"), (to, "2.01")) == "transfers[2].amount"
    assert await blamed((to, "1"), (SAMPLE, "1")) == "transfers[1].to"
    rows = [{"to": to, "amount": amount} for amount in ("5.00", "5.00", "2.00")]
    await stage.done(TRANSFER, key, transfers=rows)
    await over(stage, key, friend, "0.01", "0.00 ssUSD is left")


async def test_a_scheduled_transfer_counts_when_it_is_asked_for(
    stage: Stage, owner: Party, friend: Party
) -> None:
    key = (await till(stage, owner.key, limits={"daily": "10.00"})).secret
    body = {"to": friend.wallet, "amount": "10.00", "scheduled_at": NOW + 2 * DAY}
    await stage.done(TRANSFER, key, **body)
    await over(stage, key, friend, "0.01", "0.00 ssUSD is left")


async def test_a_recipient_that_is_not_listed_gets_nothing(
    stage: Stage, owner: Party, friend: Party
) -> None:
    external = new(b"an address of nobody here, but listed")
    key = (await till(stage, owner.key, recipients=[friend.wallet, external])).secret
    await pay(stage, key, friend, "1.00")
    await stage.done(TRANSFER, key, to=external.upper(), amount="1.00")
    other = await stage.open_account()
    for route, body, param in (
        (TRANSFER, {"to": other.wallet, "amount": "1.00"}, "to"),
        (ISSUE, {"recipient": owner.wallet, "amount": "100", "reference_id": "r"}, "recipient"),
        (REDEEM, {"amount": "1", "reference_id": "r", "destination": BANK}, "destination"),
    ):
        before = await stage.dump()
        reply = await stage.ask(route, key, body)
        assert (reply.status, reply.error["code"]) == REACHED
        assert reply.error["param"] == param
        assert await stage.dump() == before
    await refused(stage, TRANSFER, key, {"to": "x", "amount": "1"}, 400, "invalid_recipient")


async def test_a_refusal_is_remembered_under_its_idempotency_key(
    stage: Stage, owner: Party, friend: Party
) -> None:
    key = (await till(stage, owner.key, limits={"per_transaction": "1.00"})).secret
    body = {"to": friend.wallet, "amount": "2.00"}
    replies = [await stage.ask(TRANSFER, key, body, Idempotency_Key="much") for _ in range(2)]
    assert {(reply.status, reply.body) for reply in replies} == {(402, replies[0].body)}


async def test_limits_need_no_extra_round_and_cost_other_keys_nothing(
    stage: Stage, friend: Party
) -> None:
    rich = await stage.open_account(capabilities=ISSUER)
    await stage.fund(rich.wallet, "1000.00")
    limits = {"per_transaction": "500.00", "daily": "500.00"}
    key = (await till(stage, rich.key, limits=limits)).secret
    tally = stage.app.engine.tally
    before = (tally.rounds, tally.restarts)
    await pay(stage, key, friend, "1.00")
    issue = {"recipient": rich.wallet, "amount": "100.00", "reference_id": "r"}
    await stage.done(ISSUE, key, **issue)
    await stage.done(REDEEM, key, amount="1.00", reference_id="r", destination=BANK)
    given = {"type": "restricted", "scopes": SCOPES, "limits": limits}
    made = await stage.done(KEYS, key, **given)
    await stage.done(f"{KEYS}/{made['id']}/roll", key)
    assert (tally.rounds, tally.restarts) == before
    query = "SELECT meter FROM ledger_cap WHERE account = $1 AND NOT livemode ORDER BY meter"
    meters = [row["meter"] for row in await stage.rows(query, rich.id)]
    assert len(meters) == 3
    assert [meter.partition(":")[0] for meter in meters] == ["key", "stablecoin", "transfer"]
    await pay(stage, rich.key, friend, "1.00")
    assert [row["meter"] for row in await stage.rows(query, rich.id)] == meters


# What no new key begins anew


@pytest.mark.parametrize("grace", [0, 3600])
@pytest.mark.parametrize("by", ["the owner", "itself"])
async def test_a_rolled_key_goes_on_counting(
    stage: Stage, owner: Party, friend: Party, grace: int, by: str
) -> None:
    old = await till(stage, owner.key, limits={"lifetime": "10.00"}, recipients=[friend.wallet])
    await pay(stage, old.secret, friend, "6.00")
    key = owner.key if by == "the owner" else old.secret
    made = await stage.done(f"{KEYS}/{old.id}/roll", key, expires_in=grace)
    assert (made["limits"]["lifetime"], made["recipients"]) == ("10.00", [friend.wallet])
    await over(stage, made["secret"], friend, "4.01", "4.00 ssUSD is left")
    await pay(stage, made["secret"], friend, "3.00")
    if grace:
        await over(stage, old.secret, friend, "1.01", "1.00 ssUSD is left")
    again = await stage.done(f"{KEYS}/{made['id']}/roll", owner.key)
    await pay(stage, again["secret"], friend, "1.00")
    await over(stage, again["secret"], friend, "0.01", "0.00 ssUSD is left")


async def test_a_key_made_by_a_limited_one_counts_with_it(
    stage: Stage, owner: Party, friend: Party
) -> None:
    first = await till(stage, owner.key, limits={"daily": "10.00"})
    second = await till(stage, first.secret, limits={"daily": "10.00"})
    third = await till(stage, second.secret, limits={"daily": "4.00", "lifetime": "4.00"})
    await pay(stage, second.secret, friend, "3.00")
    await pay(stage, third.secret, friend, "1.00")
    await over(stage, third.secret, friend, "0.01", "This key's limit of 4.00 ssUSD a day")
    await pay(stage, first.secret, friend, "6.00")
    for key in (first, second):
        await over(stage, key.secret, friend, "0.01", "0.00 ssUSD is left")


async def test_a_limited_key_hands_on_no_more_than_it_has(
    stage: Stage, owner: Party, friend: Party
) -> None:
    limits = {"per_transaction": "5.00", "daily": "10.00", "lifetime": "20.00"}
    own = await till(stage, owner.key, limits=limits, recipients=[friend.wallet])
    good = {"type": "restricted", "scopes": ["events:read"], "recipients": [friend.wallet]}
    good["scopes"] = ["stablecoin:transfer"]
    await stage.done(KEYS, own.secret, **good, limits=limits)
    wide: list[tuple[dict[str, Any], str]] = [
        ({"limits": {**limits, name: "20.01"}}, f"a higher limit than its own: {name}")
        for name in limits
    ]
    wide += [
        ({"limits": {**limits, name: None}}, f"a higher limit than its own: {name}")
        for name in limits
    ]
    wide += [
        ({"limits": None}, "per_transaction"),
        ({"limits": limits, "recipients": None}, "more recipients"),
        ({"limits": limits, "recipients": [friend.wallet, owner.wallet]}, "more recipients"),
        ({"limits": limits, "recipients": [owner.wallet]}, "more recipients"),
        ({"limits": limits, "type": "secret", "scopes": [], "recipients": None}, ""),
    ]
    for change, says in wide:
        body = {name: value for name, value in {**good, **change}.items() if value is not None}
        status = (400, "parameter_invalid") if body["type"] == "secret" else LACKING
        await refused(stage, KEYS, own.secret, body, *status, says)
    await refused(stage, KEYS, own.secret, {"type": "secret"}, *LACKING, "secret keys")


async def test_a_limited_key_reaches_no_key_that_is_counted_apart(
    stage: Stage, owner: Party
) -> None:
    """With a second key of the same limits it could move them twice."""
    one = await till(stage, owner.key, limits={"daily": "10.00"})
    two = await till(stage, owner.key, limits={"daily": "10.00"})
    free = await stage.done(KEYS, owner.key, type="restricted", scopes=SCOPES)
    for target, says in ((two.id, "counted apart"), (free["id"], "a higher limit")):
        for route in (f"{KEYS}/{target}/roll", f"DELETE /api_keys/{target}"):
            await refused(stage, route, one.secret, {}, *LACKING, says)
    # One without limits may roll both: it hands on no more than it has.
    assert (await stage.done(f"{KEYS}/{two.id}/roll", free["secret"]))["limits"]["daily"] == "10.00"


# On behalf of others


async def test_limits_are_the_keys_for_whomever_it_acts(stage: Stage, friend: Party) -> None:
    parent = await stage.open_account()
    own = await till(stage, parent.key, limits={"daily": "10.00"})
    children = []
    for _ in range(2):
        made = await stage.done("POST /accounts", parent.key)
        children.append(await stage.in_mode(made["id"], livemode=False))
        await stage.fund(children[-1].wallet, "100.00")
    await stage.fund(parent.wallet, "100.00")
    one, two = ({"X_Account_Id": child.id} for child in children)
    tally = stage.app.engine.tally
    before = (tally.rounds, tally.restarts)
    await pay(stage, own.secret, friend, "3.00")
    await pay(stage, own.secret, friend, "3.00", **one)
    assert (tally.rounds, tally.restarts) == before
    body = {"to": friend.wallet, "amount": "4.01"}
    reply = await stage.ask(TRANSFER, own.secret, body, **two)
    assert (reply.status, reply.error["code"]) == REACHED
    assert "4.00 ssUSD is left" in reply.error["message"]
    # A key it makes for a child goes on counting on its own meter.
    given = {"type": "restricted", "scopes": SCOPES, "limits": {"daily": "10.00"}}
    made = (await stage.ask(KEYS, own.secret, given, **two)).json
    await pay(stage, made["secret"], friend, "4.00")
    await over(stage, made["secret"], friend, "0.01", "0.00 ssUSD is left")
    await over(stage, own.secret, friend, "0.01", "0.00 ssUSD is left")
    # The children themselves are not limited by it.
    for child in children:
        await pay(stage, child.key, friend, "50.00")
    await stage.audit()


# What the database holds to


async def test_the_database_itself_lets_no_limit_change(stage: Stage, owner: Party) -> None:
    key = await till(stage, owner.key, limits={"daily": "10.00"})
    for change in ("limits = NULL", "meter = 'x:y'", "recipients = '[]'", "scopes = '[]'"):
        with pytest.raises(asyncpg.RaiseError, match="never changes"):
            await stage.rows(f"UPDATE api_key SET {change} WHERE id = $1", key.id)
    spoil = "UPDATE ledger_cap SET day_used = day_cap + 1 WHERE account = $1"
    with pytest.raises(asyncpg.CheckViolationError):
        await stage.rows(f"{spoil} AND day_cap IS NOT NULL", owner.id)


async def test_limits_are_of_the_keys_own_mode(stage: Stage, friend: Party) -> None:
    party = await stage.open_account()
    live = await stage.in_mode(party.id, livemode=True)
    key = await till(stage, live.key, limits={"daily": "10.00"})
    params = account.UpdateAccount(account=party.id, verification="premium")
    await stage.app.operate(account.update, params, account="", livemode=True)
    there = await stage.in_mode(friend.id, livemode=True)
    await over(stage, key.secret, there, "10.01", "10.00 ssUSD a day")
    body = {"to": there.wallet, "amount": "10.00"}
    await refused(stage, TRANSFER, key.secret, body, 402, "insufficient_funds")
