"""Who operates the reserves: never whoever gains by it, however it calls itself."""

from __future__ import annotations

import pytest

from commerce.areas.identity import account
from commerce.areas.identity.account import Capability
from commerce.kernel.errors import ApiError
from tests.ladder import refused
from tests.stage import ISSUER, Party, Stage

DEPOSITS = "POST /stablecoin/reserves/deposits"
OPERATOR: list[Capability] = ["reserves_operator"]
BANK = {"type": "ach", "account_number": "123456789012", "routing_number": "021000021"}


async def connected(stage: Stage, parent: Party, capability: str | None = None) -> Party:
    """An account connected to a live one; with a capability that no operator would grant now."""
    made = await stage.done("POST /accounts", parent.key)
    if capability is not None:
        await stage.rows(
            "UPDATE account SET version = 9, capabilities = jsonb_build_array($2::text)"
            " WHERE id = $1",
            made["id"],
            capability,
        )
    return await stage.in_mode(made["id"], livemode=True)


async def announced(stage: Stage, issuer: Party) -> str:
    """The route by which a new deposit of an issuer is verified."""
    deposit = await stage.done(DEPOSITS, issuer.key, amount="5000.00")
    return f"{DEPOSITS}/{deposit['id']}/verify"


async def test_an_issuer_does_not_verify_through_a_key_of_a_connected_operator(
    stage: Stage,
) -> None:
    issuer = await stage.open_account(livemode=True, capabilities=ISSUER)
    operator = await connected(stage, issuer, "reserves_operator")
    route, body = await announced(stage, issuer), {"account": issuer.id}
    reply = await stage.ask("POST /api_keys", issuer.key, {"type": "secret"}, **acting(operator))
    for key, header in ((reply.json["secret"], {}), (issuer.key, acting(operator))):
        reply = await stage.ask(route, key, body, **header)
        assert (reply.status, reply.error["code"]) == (403, "insufficient_permissions")
        assert "connected with" in reply.error["message"]


def acting(party: Party) -> dict[str, str]:
    return {"X_Account_Id": party.id}


async def test_an_operator_does_not_verify_for_what_is_connected_to_it(stage: Stage) -> None:
    operator = await stage.open_account(livemode=True, capabilities=OPERATOR)
    child = await connected(stage, operator)
    issuer = await connected(stage, child, "stablecoin_issuance")
    route, body = await announced(stage, issuer), {"account": issuer.id}
    await refused(stage, route, operator.key, body, 403, "insufficient_permissions", "connected")


async def test_neither_does_a_sibling(stage: Stage) -> None:
    parent = await stage.open_account(livemode=True)
    operator = await connected(stage, parent, "reserves_operator")
    issuer = await connected(stage, parent, "stablecoin_issuance")
    route, body = await announced(stage, issuer), {"account": issuer.id}
    await refused(stage, route, operator.key, body, 403, "insufficient_permissions", "connected")
    stranger = await stage.open_account(livemode=True, capabilities=OPERATOR)
    assert (await stage.done(route, stranger.key, **body))["status"] == "verified"


@pytest.mark.parametrize("verb", ["process", "complete", "fail"])
async def test_redemptions_are_settled_by_the_same_rule(stage: Stage, verb: str) -> None:
    operator = await stage.open_account(livemode=True, capabilities=OPERATOR)
    holder = await connected(stage, operator)
    await stage.fund(holder.wallet, "100.00", livemode=True)
    redeem = {"amount": "50.00", "reference_id": stage.name(), "destination": BANK}
    made = await stage.done("POST /stablecoin/redeem", holder.key, **redeem)
    route, body = f"POST /stablecoin/redemptions/{made['id']}/{verb}", {"account": holder.id}
    await refused(stage, route, operator.key, body, 403, "insufficient_permissions", "connected")
    says = "does not operate the reserves"
    await refused(stage, route, holder.key, {}, 403, "insufficient_permissions", says)
    other = await stage.open_account(livemode=True, capabilities=OPERATOR)
    await refused(stage, route, other.key, {}, 400, "parameter_missing", "'account' is required")
    await stage.done(route, other.key, **body)
    await stage.audit()


async def test_in_live_mode_an_operator_is_told_to_name_the_account(stage: Stage) -> None:
    operator = await stage.open_account(livemode=True, capabilities=OPERATOR)
    issuer = await stage.open_account(livemode=True, capabilities=ISSUER)
    route = await announced(stage, issuer)
    reply = await stage.ask(route, operator.key, {})
    assert (reply.status, reply.error["code"]) == (400, "parameter_missing")
    assert reply.error["param"] == "account"
    says = "does not operate the reserves"
    await refused(stage, route, issuer.key, {}, 403, "insufficient_permissions", says)


async def test_the_command_line_makes_no_connected_account_an_operator(stage: Stage) -> None:
    parent = await stage.open_account(livemode=True)
    child = await connected(stage, parent)
    params = account.UpdateAccount(account=child.id, capabilities=OPERATOR)
    with pytest.raises(ApiError, match="stands alone") as refusal:
        await stage.app.operate(account.update, params, account="", livemode=True)
    assert refusal.value.param == "capabilities"
    alone = account.UpdateAccount(account=parent.id, capabilities=OPERATOR)
    changed = await stage.app.operate(account.update, alone, account="", livemode=True)
    assert changed.capabilities == OPERATOR


async def test_the_first_account_of_a_line_is_kept_for_good(stage: Stage) -> None:
    first = await stage.open_account(livemode=True)
    child = await connected(stage, first)
    grandchild = await connected(stage, child)
    query = "SELECT id, root FROM account WHERE id = ANY($1) AND livemode"
    found = await stage.rows(query, [first.id, child.id, grandchild.id])
    assert {row["id"]: row["root"] for row in found} == {
        first.id: None,
        child.id: first.id,
        grandchild.id: first.id,
    }
