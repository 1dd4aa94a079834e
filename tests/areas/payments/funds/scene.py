"""What tests of funds set up: money of other currencies, and bank accounts to send it to."""

from __future__ import annotations

from typing import Any

from commerce.kernel.currency import UNIT
from commerce.kernel.money import Money
from tests.stage import Party, Stage

PAYOUT = "POST /payouts"
BANK = {
    "type": "ach",
    "account_number": "9988776655443322",
    "routing_number": "021000021",
    "bank_name": "Example Bank",
    "beneficiary_name": "Example Inc.",
}
HELD = BANK | {"account_number": "000000000000"}
"""A bank account that is not paid at once in test mode."""


async def earn(stage: Stage, party: Party, amount: str = "1000.00", currency: str = "usd") -> None:
    """Have exactly so much be available to a party: it is paid by card, and gives the rest back."""
    wanted = Money.parse(amount, currency).minor
    have = Money.bound((await funds(stage, party)).get(currency, ("0",))[0], currency, param="x")
    charged = Money(wanted + wanted // 20 + UNIT[currency], currency)
    body = {"amount": charged.text, "currency": currency, "payment_method": "pm_card_bypassPending"}
    made = await stage.done("POST /payments/create", party.key, **body)
    over = have.minor + Money.parse(made["net"], currency).minor - wanted
    back = {"payment": made["id"], "amount": Money(over, currency).text}
    await stage.done("POST /payments/refund", party.key, **back)


def terms(**more: Any) -> dict[str, Any]:
    """A payout that is in order."""
    return {"amount": "100.00", "currency": "usd", "destination": BANK} | more


async def funds(stage: Stage, party: Party) -> dict[str, tuple[str, str, str]]:
    """What a party holds: available, pending and locked, by currency in the order shown."""
    balance = await stage.get("/balance", party.key)
    parts = zip(balance["available"], balance["pending"], balance["locked"], strict=True)
    found = {}
    for each in parts:
        (currency,) = {part["currency"] for part in each}
        available, pending, locked = (part["amount"] for part in each)
        found[currency] = (available, pending, locked)
    return found
