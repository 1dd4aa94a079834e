"""What tests of refunds to cards and of disputes set up, and what the books say of them."""

from __future__ import annotations

from typing import Any

from commerce.gateways.cards import port
from commerce.gateways.cards.port import Verdict
from tests.areas.payments.card.scene import DAY, charge
from tests.areas.payments.funds.scene import PAYOUT, funds, terms
from tests.stage import Party, Stage

REFUND = "POST /payments/refund"
AT_ONCE = "pm_card_bypassPending"
DISPUTED = "pm_card_createDispute"


async def merchant_of(stage: Stage) -> Party:
    """A new account that has sent to its bank what a test account begins with."""
    party = await stage.open_account()
    begins = (await funds(stage, party))["usd"][0]
    await stage.done(PAYOUT, party.key, **terms(amount=begins))
    return party


async def has(stage: Stage, party: Party, amount: str, currency: str = "usd") -> None:
    """Let a party have at least so much that is available: the fee comes off what is charged."""
    more = f"{float(amount) * 1.05 + 1:.0f}"
    await charge(stage, party, AT_ONCE, more, currency=currency)


async def pass_days(stage: Stage, days: int = 7) -> None:
    """Let days pass, and all that is due then happen."""
    stage.clock.advance(days * DAY)
    await run_all(stage)


async def run_all(stage: Stage) -> None:
    """Have all jobs run that are due."""
    while await stage.app.worker.turn():
        pass


async def booked(stage: Stage, source: str) -> list[tuple[str, dict[tuple[str, str], int]]]:
    """What was booked of an object: the name of each booking and its entries, oldest first."""
    query = "SELECT id, booking FROM ledger_transaction WHERE source = $1 ORDER BY id"
    rows = await stage.rows(query, source)
    return [(row["booking"], await stage.entries(row["id"])) for row in rows]


async def refuse(call: port.Refund) -> Verdict:
    """A processor that refuses to give back."""
    return Verdict(
        status="declined", reference=f"rf_{call.key}", code="processing_error", processor="test"
    )


def pending(party: Party) -> tuple[str, str]:
    """The account of a party's money that has not settled."""
    return (party.id, f"wallet:{party.wallet}:pending")


def available(party: Party) -> tuple[str, str]:
    """The account of what a party may spend."""
    return (party.id, f"wallet:{party.wallet}:available")


OWED = ("network", "processor:test:receivable")
LOSSES = ("network", "payments:losses")


async def seller_of(stage: Stage, platform: Party) -> Party:
    """An account connected to a platform, which has nothing either."""
    made = await stage.done("POST /accounts", platform.key)
    party = await stage.in_mode(made["id"], livemode=False)
    begins = (await funds(stage, party))["usd"][0]
    await stage.done(PAYOUT, party.key, **terms(amount=begins))
    return party


def parts(*of: tuple[Party, str]) -> list[dict[str, Any]]:
    """Splits of an amount."""
    return [{"recipient": party.wallet, "amount": amount} for party, amount in of]
