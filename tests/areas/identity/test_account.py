"""Accounts: what the operator sets, and what their holders see of it."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.areas.identity import account
from commerce.areas.identity.account import Capability, RateLimit
from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.tx import Tx
from commerce.kernel.address import new
from commerce.kernel.errors import ApiError
from tests.stage import NOW, Stage


async def operated(stage: Stage, verb: Any, params: Any, *, livemode: bool = False) -> Any:
    return await stage.app.operate(verb, params, account="", livemode=livemode)


async def test_an_account_is_in_both_modes_with_a_wallet_in_each(stage: Stage) -> None:
    params = account.CreateAccount(
        name="Ada", plan="growth", capabilities=["stablecoin_issuance", "reserves_operator"]
    )
    made = await operated(stage, account.create, params)
    test = await stage.in_mode(made.id, livemode=False)
    live = await stage.in_mode(made.id, livemode=True)
    for party, level in ((test, "premium"), (live, "basic")):
        assert await stage.get("/account", party.key) == {
            "id": made.id,
            "object": "account",
            "livemode": party.livemode,
            "created": NOW,
            "metadata": {},
            "name": "Ada",
            "plan": "growth",
            "verification": level,
            "capabilities": ["stablecoin_issuance", "reserves_operator"],
            "wallet": party.wallet,
            "rate_limit": None,
            "parent": None,
        }
        (event,) = await stage.events(party, made.id)
        assert (event["type"], event["request"]["id"]) == ("account.created", None)
        assert (await stage.get("/stablecoin/balance", party.key))["address"] == party.wallet
    assert test.wallet != live.wallet
    assert "_test_" not in made.id


async def test_an_update_changes_one_mode_and_only_what_it_names(stage: Stage) -> None:
    party = await stage.open_account()
    live = await stage.in_mode(party.id, livemode=True)
    before = await stage.get("/account", party.key)
    before_live = await stage.get("/account", live.key)
    params = account.UpdateAccount(account=party.id, plan="growth", verification="verified")
    await operated(stage, account.update, params)
    after = await stage.get("/account", party.key)
    assert after == {**before, "plan": "growth", "verification": "verified"}
    assert await stage.get("/account", live.key) == before_live
    *_, event = await stage.events(party, party.id)
    assert (event["type"], event["sequence"]) == ("account.updated", 2)
    changed = {"plan": "enterprise", "verification": "premium"}
    assert event["data"] == {"object": after, "previous_attributes": changed}


async def test_rate_limits_of_its_own_are_for_an_enterprise_account_as_long_as_it_is_one(
    stage: Stage,
) -> None:
    party = await stage.open_account(plan="growth")
    own = RateLimit(rate=50, burst=60)

    async def update(**given: Any) -> Any:
        params = account.UpdateAccount(account=party.id, **given)
        await operated(stage, account.update, params)
        return (await stage.get("/account", party.key))["rate_limit"]

    with pytest.raises(ApiError) as refusal:
        await update(rate_limit=own)
    assert (refusal.value.code, refusal.value.param) == ("parameter_invalid", "rate_limit")
    shown = {"rate": 50, "burst": 60, "daily": None}
    assert await update(plan="enterprise", rate_limit=own) == shown
    assert await update(name="Ada") == shown
    assert await update(rate_limit="plan") is None
    assert await update(rate_limit=RateLimit(rate=50, burst=60, daily=7)) == {**shown, "daily": 7}
    assert await update(plan="free") is None
    assert await update(plan="enterprise") is None


async def test_a_capability_given_counts_at_once_and_taken_no_more(stage: Stage) -> None:
    party = await stage.open_account()
    route, body = "POST /stablecoin/reserves/deposits", {"amount": "5.00"}
    assert (await stage.ask(route, party.key, body)).status == 403
    turns: list[tuple[list[Capability], int]] = [(["stablecoin_issuance"], 201), ([], 403)]
    for capabilities, status in turns:
        params = account.UpdateAccount(account=party.id, capabilities=capabilities)
        await operated(stage, account.update, params)
        assert (await stage.ask(route, party.key, body)).status == status


async def test_an_unknown_account_is_not_updated(stage: Stage) -> None:
    before = await stage.dump()
    params = account.UpdateAccount(account="acct_" + "0" * 26, plan="growth")
    with pytest.raises(ApiError) as refusal:
        await operated(stage, account.update, params)
    assert refusal.value.code == "resource_missing"
    assert await stage.dump() == before


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        (account.create, account.CreateAccount()),
        (account.update, account.UpdateAccount(account="acct_1")),
        (account.block, account.BlockAddress(address="nonsense", blocked=True)),
    ],
)
async def test_nobody_but_the_operator_may(stage: Stage, verb: Any, params: Any) -> None:
    party = await stage.open_account()
    before = await stage.dump()

    def run(tx: Tx) -> Answer:
        verb(tx, params)
        return Answer(200, b"")

    caller = Caller(account=party.id, livemode=False)
    with pytest.raises(ApiError) as refusal:
        await stage.app.engine.submit(Command(caller, run, lambda _: None))
    assert refusal.value.code == "insufficient_permissions"
    assert await stage.dump() == before


async def test_blocking_checks_the_address_and_may_be_said_twice(stage: Stage) -> None:
    with pytest.raises(ApiError) as refusal:
        await stage.block("nonsense")
    assert (refusal.value.code, refusal.value.param) == ("invalid_recipient", "address")
    address = new(b"an address that is blocked twice")
    query = "SELECT account, blocked FROM address WHERE address = $1 AND NOT livemode"
    for blocked in (True, True, False):
        await stage.block(address, blocked=blocked)
        assert await stage.rows(query, address) == [{"account": None, "blocked": blocked}]
    party = await stage.open_account()
    await stage.block(party.wallet)
    assert await stage.rows(query, party.wallet) == [{"account": party.id, "blocked": True}]
