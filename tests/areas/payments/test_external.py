"""Payments that somebody else is asked to make, and what a client secret opens."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.areas.payments.payment import PublicPayment
from tests.areas.payments.scene import (
    CREATE,
    EXTERNAL,
    FEE,
    ask_for,
    balances,
    confirm,
    funded,
    kinds,
    seen,
)
from tests.ladder import Rung, climb, refused
from tests.stage import Party, Stage

PUBLIC = set(PublicPayment.__struct_fields__) | {"object"}


@pytest.fixture
async def merchant(stage: Stage) -> Party:
    return await stage.open_account()


@pytest.fixture
async def payer(stage: Stage) -> Party:
    return await funded(stage)


async def test_a_payer_confirms_with_a_key_of_their_own_and_the_secret(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    asked = await ask_for(stage, merchant, description="Tea", metadata={"inner": "1"})
    assert (asked["status"], asked["fees"], asked["transaction"]) == ("requires_action", None, None)
    assert asked["next_action"] == {"type": "confirm_with_wallet"}
    assert asked["receipt_url"] is None

    answer = await confirm(stage, asked, payer)
    assert answer.keys() == PUBLIC
    assert (answer["status"], answer["next_action"]) == ("succeeded", None)

    done = await seen(stage, asked, merchant)
    assert (done["status"], done["net"]) == ("succeeded", "99.99")
    whole = {"wallet_address": payer.wallet, "id": None, "card": None}
    assert done["payment_method"] == EXTERNAL | whole
    entries = await stage.entries(done["transaction"]["id"])
    assert entries == {
        (payer.id, f"wallet:{payer.wallet}:available"): 100_000_000,
        (merchant.id, f"wallet:{merchant.wallet}:available"): -99_990_000,
        ("network", "fees:processing"): -FEE,
    }
    assert await kinds(stage, merchant, asked) == [
        "payment.created",
        "payment.requires_action",
        "payment.processing",
        "payment.succeeded",
    ]
    assert await kinds(stage, payer, asked) == []
    for party in (payer, merchant):
        path = f"/stablecoin/transactions/{done['transaction']['id']}"
        assert (await stage.get(path, party.key))["source"] == asked["id"]


async def test_the_secret_is_shown_once_and_kept_nowhere(stage: Stage, merchant: Party) -> None:
    body = {"amount": "5.00", "currency": "ssusd", "payment_method": EXTERNAL}
    first = await stage.ask(CREATE, merchant.key, body, Idempotency_Key="shown-once")
    secret = first.json["client_secret"]
    assert secret.startswith(f"{first.json['id']}_secret_")
    again = await stage.ask(CREATE, merchant.key, body, Idempotency_Key="shown-once")
    assert again.body == first.body
    assert (await seen(stage, first.json, merchant))["client_secret"] is None
    tail = secret[-32:]
    for table in stage.app.registry.tables:
        rows = await stage.rows(f"SELECT t::text AS row FROM {table} t")
        assert not [row for row in rows if tail in row["row"]], table


async def test_the_guards_of_a_confirmation_come_in_their_order(
    stage: Stage, merchant: Party
) -> None:
    asked = await ask_for(stage, merchant)
    poor = await stage.open_account()
    secret = asked["client_secret"]
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    where = "payment_method.wallet_address"
    await stage.block(merchant.wallet)
    await climb(
        stage,
        f"POST /payments/{asked['id']}/confirm",
        poor.key,
        Rung({}, 404, "resource_missing", "id"),
        Rung({"client_secret": "x"}, 404, "resource_missing", "id"),
        Rung({"client_secret": wrong}, 404, "resource_missing", "id"),
        Rung(
            {"client_secret": secret, "payment_method": {"type": "card"}},
            *(400, "parameter_invalid", "payment_method.type"),
        ),
        Rung(
            {"payment_method": {"type": "ssusd", "wallet_address": merchant.wallet}},
            *(403, "address_not_owned", where),
        ),
        Rung({"payment_method": {}}, 403, "sanctioned_party", "id"),
    )
    await stage.block(merchant.wallet, blocked=False)
    route = f"POST /payments/{asked['id']}/confirm"
    body = {"client_secret": secret}
    await refused(stage, route, poor.key, body, 402, "insufficient_funds", "0.00")
    await stage.block(poor.wallet)
    await refused(stage, route, poor.key, body, 403, "sanctioned_party", poor.wallet)
    await stage.block(poor.wallet, blocked=False)
    await stage.fund(poor.wallet, "100.00")
    await stage.done(route, poor.key, **body)
    await refused(stage, route, poor.key, body, 400, "state_invalid", "'succeeded'")


async def test_the_limits_that_count_are_the_payers(stage: Stage, merchant: Party) -> None:
    basic = await stage.open_account(verification="basic")
    await stage.fund(basic.wallet, "20000.00")
    asked = await ask_for(stage, merchant, "5000.01")
    body = {"client_secret": asked["client_secret"]}
    route = f"POST /payments/{asked['id']}/confirm"
    await refused(stage, route, basic.key, body, 402, "limit_exceeded", "per transfer")


async def test_without_the_secret_nobody_but_its_account_reads_a_payment(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    asked = await ask_for(stage, merchant, metadata={"inner": "1"})
    path = f"GET /payments/{asked['id']}"
    secret = f"?client_secret={asked['client_secret']}"
    own_public = await stage.make_key(merchant, "public")
    other_public = await stage.make_key(payer, "public")
    live = await stage.in_mode(payer.id, livemode=True)

    whole = await stage.ask(f"{path}{secret}", merchant.key)
    assert whole.json["metadata"] == {"inner": "1"}
    for key in (payer.key, own_public, other_public):
        reply = await stage.ask(f"{path}{secret}", key)
        assert (reply.status, reply.json.keys()) == (200, PUBLIC)
    gone = await stage.ask("GET /payments/pay_none", payer.key)
    for key, query in (
        (payer.key, ""),
        (payer.key, "?client_secret=x"),
        (payer.key, f"{secret[:-1]}z"),
        (own_public, f"{secret[:-1]}z"),
        (live.key, secret),
        (merchant.key, "?client_secret=x"),
    ):
        reply = await stage.ask(f"{path}{query}", key)
        assert (reply.status, reply.error["code"]) == (404, "resource_missing")
        assert reply.error["message"] == gone.error["message"].replace("pay_none", asked["id"])
    other = await ask_for(stage, merchant)
    mixed = await stage.ask(f"GET /payments/{other['id']}{secret}", payer.key)
    assert mixed.status == 404
    bare = await stage.ask(path, own_public)
    assert (bare.status, bare.error["code"]) == (403, "key_type_not_allowed")


async def test_a_condition_says_nothing_of_a_payment_to_who_lacks_its_secret(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    asked = await ask_for(stage, merchant)
    route = f"POST /payments/{asked['id']}/confirm"
    wrong = asked["client_secret"][:-1] + ("0" if asked["client_secret"][-1] != "0" else "1")
    for secret, status in ((wrong, 404), (asked["client_secret"], 412)):
        body = {"client_secret": secret}
        reply = await stage.ask(route, payer.key, body, If_Match='"0000000000000000"')
        assert reply.status == status


async def test_a_public_key_spends_from_no_wallet(
    stage: Stage, merchant: Party, payer: Party
) -> None:
    asked = await ask_for(stage, merchant)
    route = f"POST /payments/{asked['id']}/confirm"
    public = await stage.make_key(payer, "public")
    body = {"client_secret": asked["client_secret"]}
    await refused(stage, route, public, body, 403, "key_type_not_allowed", "wallet")
    await refused(stage, route, public, {}, 403, "key_type_not_allowed", "client_secret")
    await refused(stage, route, public, {"client_secret": "x"}, 404, "resource_missing")


async def test_its_account_may_pay_it_too(stage: Stage) -> None:
    merchant = await funded(stage)
    asked = await ask_for(stage, merchant)
    done = await stage.done(f"POST /payments/{asked['id']}/confirm", merchant.key)
    assert (done["status"], done["object"], done["metadata"]) == ("succeeded", "payment", {})
    assert await balances(stage, merchant) == ("999.99", "0.00")


@pytest.mark.parametrize("route", ["GET", "POST"])
async def test_a_restricted_key_needs_its_scope_with_the_secret_too(
    stage: Stage, merchant: Party, payer: Party, route: str
) -> None:
    asked = await ask_for(stage, merchant)
    key = await stage.make_key(payer, "restricted", ["stablecoin:read"])
    body: dict[str, Any] | None = None
    target = f"GET /payments/{asked['id']}?client_secret={asked['client_secret']}"
    if route == "POST":
        body = {"client_secret": asked["client_secret"]}
        target = f"POST /payments/{asked['id']}/confirm"
    reply = await stage.ask(target, key, body)
    assert (reply.status, reply.error["code"]) == (403, "insufficient_permissions")


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
