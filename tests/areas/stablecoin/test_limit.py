"""Transfer limits: per transfer, UTC day and UTC month, by verification level."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from commerce.areas.identity import account
from commerce.areas.identity.account import Verification
from tests.ladder import refused
from tests.stage import NOW, Party, Stage

ROUTE = "POST /stablecoin/transfer"
DAY = 86_400


@pytest.fixture(autouse=True)
async def _noon_of_23_november(stage: Stage) -> AsyncIterator[None]:
    yield
    stage.clock.advance(NOW - stage.clock.now_ms() / 1000)


def until(stage: Stage, when: str) -> None:
    """Move the clock to an ISO 8601 time in UTC."""
    unix = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
    stage.clock.advance(unix - stage.clock.now_ms() / 1000)


async def sender_of(stage: Stage, level: Verification, amount: str) -> Party:
    party = await stage.open_account(verification=level)
    await stage.fund(party.wallet, amount)
    return party


async def pay(stage: Stage, sender: Party, to: Party, amount: str) -> None:
    await stage.done(ROUTE, sender.key, to=to.wallet, amount=amount)


async def over(stage: Stage, sender: Party, to: Party, amount: str, says: str) -> None:
    body = {"to": to.wallet, "amount": amount}
    await refused(stage, ROUTE, sender.key, body, 402, "limit_exceeded", says)


@pytest.mark.parametrize(
    ("level", "most"),
    [
        ("basic", "5000.00"),
        ("verified", "50000.00"),
        ("premium", "500000.00"),
        ("business", "500000.00"),
    ],
)
async def test_one_transfer_has_the_most_of_its_senders_level(
    stage: Stage, level: Verification, most: str
) -> None:
    sender, friend = await sender_of(stage, level, "600000.00"), await stage.open_account()
    says = f"The limit of {most} ssUSD per transfer at verification level '{level}'"
    await over(stage, sender, friend, most.replace(".00", ".000001"), says)
    await pay(stage, sender, friend, most)


@pytest.mark.parametrize(
    ("level", "each", "daily"),
    [
        ("basic", "5000.00", "10000.00"),
        ("verified", "50000.00", "100000.00"),
        ("premium", "500000.00", "1000000.00"),
    ],
)
async def test_a_utc_day_has_its_limit_and_the_message_says_what_is_left(
    stage: Stage, level: Verification, each: str, daily: str
) -> None:
    sender, friend = await sender_of(stage, level, "2000000.00"), await stage.open_account()
    much = str(int(each.partition(".")[0]) - 1)
    await pay(stage, sender, friend, each)
    await pay(stage, sender, friend, much)
    says = f"The limit of {daily} ssUSD a day at verification level '{level}' would be exceeded"
    await over(stage, sender, friend, "1.000001", f"{says}; 1.00 ssUSD is left.")
    await pay(stage, sender, friend, "1.00")
    await over(stage, sender, friend, "0.000001", f"{says}; 0.00 ssUSD is left.")


async def test_the_day_changes_at_midnight_utc(stage: Stage) -> None:
    sender, friend = await sender_of(stage, "basic", "50000.00"), await stage.open_account()
    for _ in range(2):
        await pay(stage, sender, friend, "5000.00")
    until(stage, "2026-11-23T23:59:59")
    await over(stage, sender, friend, "0.01", "a day")
    until(stage, "2026-11-24T00:00:00")
    await pay(stage, sender, friend, "5000.00")


async def test_a_utc_month_has_its_limit_and_ends_with_its_last_day(stage: Stage) -> None:
    sender, friend = await sender_of(stage, "basic", "100000.00"), await stage.open_account()
    for _ in range(5):
        await pay(stage, sender, friend, "5000.00")
        await pay(stage, sender, friend, "5000.00")
        stage.clock.advance(DAY)
    until(stage, "2026-11-30T23:59:59")
    says = "The limit of 50000.00 ssUSD a month at verification level 'basic' would be exceeded"
    await over(stage, sender, friend, "0.01", f"{says}; 0.00 ssUSD is left.")
    until(stage, "2026-12-01T00:00:00")
    await pay(stage, sender, friend, "5000.00")


async def test_fees_and_refused_transfers_do_not_count(stage: Stage) -> None:
    sender, friend = await sender_of(stage, "basic", "10000.01"), await stage.open_account()
    await pay(stage, sender, friend, "5000.00")
    body = {"to": friend.wallet, "amount": "5000.00"}
    await refused(stage, ROUTE, sender.key, body, 402, "insufficient_funds")
    await stage.fund(sender.wallet, "100.00")
    await pay(stage, sender, friend, "5000.00")
    await over(stage, sender, friend, "0.01", "0.00 ssUSD is left")


async def test_a_new_level_has_its_own_limits_at_once(stage: Stage) -> None:
    sender, friend = await sender_of(stage, "verified", "100000.00"), await stage.open_account()
    await pay(stage, sender, friend, "20000.00")
    turns: list[tuple[Verification, str]] = [("basic", "10000.00"), ("premium", "")]
    for level, most in turns:
        params = account.UpdateAccount(account=sender.id, verification=level)
        await stage.app.operate(account.update, params, account="", livemode=False)
        if most:
            await over(stage, sender, friend, "1.00", f"{most} ssUSD a day")
    await pay(stage, sender, friend, "60000.00")


async def test_each_account_has_limits_of_its_own(stage: Stage) -> None:
    first, second = await sender_of(stage, "basic", "10001.00"), await stage.open_account()
    for _ in range(2):
        await pay(stage, first, second, "5000.00")
    await over(stage, first, second, "0.50", "a day")
    await pay(stage, second, first, "5000.00")
    await stage.audit()
