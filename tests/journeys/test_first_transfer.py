"""The first journey: issue, transfer, redeem, and read all of it back."""

from __future__ import annotations

from tests.stage import ISSUER, Stage


async def test_ssusd_is_issued_transferred_redeemed_and_read_back(stage: Stage) -> None:
    sandbox = await stage.open_account(capabilities=ISSUER)
    friend = await stage.open_account()

    issuance = await stage.done(
        "POST /stablecoin/issue",
        sandbox.key,
        recipient=sandbox.wallet,
        amount="1000.00",
        reference_id="first",
    )
    assert issuance["reserve"]["reserve_ratio"] == "1.0000"
    transfer = await stage.done(
        "POST /stablecoin/transfer",
        sandbox.key,
        to=friend.wallet,
        amount="250.50",
        memo="Lunch, and then some",
    )
    assert transfer["balance_after"] == "749.49"
    redemption = await stage.done(
        "POST /stablecoin/redeem",
        friend.key,
        amount="50.00",
        reference_id="rent",
        destination={"type": "ach", "account_number": "12345678", "routing_number": "021000021"},
    )
    assert redemption["status"] == "completed"

    assert await stage.available(sandbox) == "749.49"
    assert await stage.available(friend) == "200.50"
    for kind, thing, owner in (
        ("issuances", issuance, sandbox),
        ("transfers", transfer, sandbox),
        ("redemptions", redemption, friend),
    ):
        assert await stage.get(f"/stablecoin/{kind}/{thing['id']}", owner.key) == thing
        page = await stage.get(f"/stablecoin/{kind}", owner.key)
        assert page == {
            "object": "list",
            "url": f"/v1/stablecoin/{kind}",
            "has_more": False,
            "data": [thing],
        }
        transaction_id = thing["transaction"]["id"]
        booked = await stage.get(f"/stablecoin/transactions/{transaction_id}", owner.key)
        assert booked["source"] == thing["id"]
        assert booked["tx_hash"] == thing["transaction"]["tx_hash"]

    types = [event["type"] for event in (await stage.get("/events", sandbox.key))["data"]]
    assert types[:2] == ["stablecoin.transferred", "stablecoin.issued"]
    reserves = await stage.get("/stablecoin/reserves", friend.key)
    assert reserves["total_supply"] == reserves["total_reserves"] == "950.00"
    await stage.audit()


async def test_a_lost_answer_is_asked_for_again_and_the_money_moves_once(stage: Stage) -> None:
    sender, friend = await stage.open_account(), await stage.open_account()
    await stage.fund(sender.wallet, "100.00")
    asked = {"to": friend.wallet, "amount": "60.00"}

    first = await stage.ask("POST /stablecoin/transfer", sender.key, asked, Idempotency_Key="lost")
    state = await stage.get("/idempotency_keys/lost", sender.key)
    again = await stage.ask("POST /stablecoin/transfer", sender.key, asked, Idempotency_Key="lost")

    assert (state["status"], state["object_id"]) == ("completed", first.json["id"])
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert await stage.available(sender) == "39.99"
    assert await stage.available(friend) == "60.00"
    await stage.audit()
