"""What tests of payments set up: parties, payments in each state, and balances in millionths."""

from __future__ import annotations

from typing import Any

from tests.stage import Party, Reply, Stage

CREATE = "POST /payments/create"
REFUND = "POST /payments/refund"
EXTERNAL = {"type": "ssusd", "payer": "external"}
FEE = 10_000
HOUR = 3600


async def funded(stage: Stage, amount: str = "1000.00") -> Party:
    """A new account with so much ssUSD."""
    party = await stage.open_account()
    await stage.fund(party.wallet, amount)
    return party


async def pay(stage: Stage, party: Party, amount: str = "100.00", **more: Any) -> dict[str, Any]:
    """A payment of a party's, to itself unless it says otherwise."""
    return await stage.done(CREATE, party.key, amount=amount, currency="ssusd", **more)


async def ask_for(stage: Stage, party: Party, amount: str = "100.00", **more: Any) -> Any:
    """A payment that somebody else is asked to make."""
    return await pay(stage, party, amount, payment_method=EXTERNAL, **more)


async def confirm(stage: Stage, payment: dict[str, Any], payer: Party, **more: Any) -> Any:
    """Pay what was asked for, as its payer."""
    route = f"POST /payments/{payment['id']}/confirm"
    return await stage.done(route, payer.key, client_secret=payment["client_secret"], **more)


async def paid_by(
    stage: Stage, payee: Party, payer: Party, amount: str = "100.00", **more: Any
) -> dict[str, Any]:
    """A payment that another account has made, as its payee sees it."""
    asked = await ask_for(stage, payee, amount, **more)
    await confirm(stage, asked, payer)
    return await seen(stage, asked, payee)


async def seen(stage: Stage, thing: dict[str, Any], party: Party) -> dict[str, Any]:
    """A payment or a refund as it is now."""
    group = {"payment": "payments", "refund": "refunds"}[thing["object"]]
    found: dict[str, Any] = await stage.get(f"/{group}/{thing['id']}", party.key)
    return found


async def balances(stage: Stage, party: Party) -> tuple[str, str]:
    """What is available in the main wallet, and what is set aside."""
    found = (await stage.get("/stablecoin/balance", party.key))["balances"]
    return found["available"], found["locked"]


async def kinds(stage: Stage, party: Party, thing: dict[str, Any]) -> list[str]:
    """The types of the events of an object, oldest first."""
    return [event["type"] for event in await stage.events(party, thing["id"])]


def acting(stage: Stage, platform: Party, account: str) -> Any:
    """Calls on behalf of a connected account."""

    async def ask(route: str, body: dict[str, Any] | None = None) -> Reply:
        return await stage.ask(route, platform.key, body, X_Account_Id=account)

    return ask
