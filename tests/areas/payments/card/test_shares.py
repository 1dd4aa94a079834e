"""Who is owed what of a card's payment: in any currency, of any capture, it sums exactly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.areas.payments import charge as charging
from commerce.areas.payments.payment import Payment, PaymentMethod, Split
from commerce.gateways.cards.sandbox import fee
from commerce.kernel.currency import UNIT
from commerce.kernel.money import Money
from tests.areas.payments.card.scene import CREATE, VISA, balances, charge, recover, seen
from tests.areas.payments.scene import acting, funded, pay
from tests.areas.payments.test_split import parts, seller
from tests.stage import NOW, Party, Stage

CURRENCIES = ("jpy", "krw", "usd", "eur", "kwd", "bhd")
"""Of 0, 2 and 3 digits."""


def payment(currency: str, splits: list[int], platform: int | None) -> Payment:
    """A payment as it is before anything was captured."""
    amount = Money(sum(splits), currency)
    nothing = Money(0, currency)
    given_splits = [Split(recipient="a", amount=Money(each, currency).text) for each in splits]
    return Payment(
        id="pay_test_1",
        livemode=False,
        created=NOW,
        amount=amount,
        amount_captured=nothing,
        amount_refunded=nothing,
        currency=currency,
        status="processing",
        capture=True,
        captured=False,
        payment_method=PaymentMethod(type="card"),
        splits=given_splits,
        application_fee_amount=None if platform is None else Money(platform, currency),
    )


@given(st.sampled_from(CURRENCIES), st.lists(st.integers(1, 10**12), min_size=1), st.data())
def test_all_that_is_captured_is_owed_to_somebody(
    currency: str, splits: list[int], data: st.DataObject
) -> None:
    amount = sum(splits)
    platform = data.draw(st.none() | st.integers(1, max(amount - 1, 1)))
    captured = data.draw(st.integers(1, amount))
    processing = min(fee(captured, currency), captured)
    shares = charging.shares_of(
        payment(currency, splits, platform), Money(captured, currency), processing
    )
    assert sum(shares.parts) == captured
    assert sum(shares.nets) + shares.platform + shares.processing == captured
    assert min(*shares.nets, shares.platform, shares.processing) >= 0
    assert shares.platform <= (platform or 0)
    assert shares.nets[shares.main] == max(shares.nets)


@given(st.sampled_from(CURRENCIES), st.integers(1, 10**15))
def test_the_test_processors_fee_is_less_than_what_it_may_charge(
    currency: str, amount: int
) -> None:
    least = max(UNIT[currency] // 2, 1)
    assert 0 <= fee(amount + least, currency) < amount + least


@pytest.mark.parametrize(
    ("currency", "amount", "split"),
    [
        ("jpy", "1000", ("334", "333", "333")),
        ("usd", "10.00", ("3.34", "3.33", "3.33")),
        ("kwd", "10.000", ("3.334", "3.333", "3.333")),
    ],
)
async def test_each_recipient_is_owed_its_part_in_its_own_wallet(
    stage: Stage, currency: str, amount: str, split: tuple[str, ...]
) -> None:
    platform = await stage.open_account()
    one, two, three = [await seller(stage, platform) for _ in range(3)]
    recipients = zip((one, two, three), split, strict=True)
    body = {"amount": amount, "currency": currency, "payment_method": VISA}
    body["application_fee_amount"] = amount[:-1].rstrip("0.") or "1"
    reply = await acting(stage, platform, one.id)(CREATE, {**body, "splits": parts(*recipients)})
    made: dict[str, Any] = reply.json
    assert (reply.status, made["status"]) == (201, "succeeded")
    unit = UNIT[currency]
    captured = Money.parse(amount, currency).minor
    kept = Money.parse(made["fees"]["processing_fee"], currency).minor
    share = Money.parse(made["application_fee_amount"], currency).minor
    nets = [Money.parse(each["net"], currency).minor for each in made["splits"]]
    assert sum(nets) + kept + share == captured
    assert Money.parse(made["net"], currency).minor == sum(nets)
    held = [await balances(stage, each.wallet, currency) for each in (one, two, three)]
    assert [each["pending"] for each in held] == nets
    assert (await balances(stage, platform.wallet, currency))["pending"] == share
    await recover(stage, made["available_on"] - NOW)
    held = [await balances(stage, each.wallet, currency) for each in (one, two, three, platform)]
    assert [each["pending"] for each in held] == [0] * 4
    assert [each["available"] for each in held] == [*nets, share]
    assert unit in {1, 100, 1000}
    await stage.audit()


async def test_a_capture_of_less_pays_each_its_part_of_that(stage: Stage) -> None:
    platform = await stage.open_account()
    one, two = [await seller(stage, platform) for _ in range(2)]
    ask = acting(stage, platform, one.id)
    body: dict[str, Any] = {"amount": "100.00", "currency": "usd", "payment_method": VISA}
    body |= {"capture": False, "application_fee_amount": "10.00"}
    body["splits"] = parts((one, "75.00"), (two, "25.00"))
    held = (await ask(CREATE, body)).json
    done = (await ask(f"POST /payments/{held['id']}/capture", {"amount": "50.00"})).json
    # 1.75 and 5.00 come off, of which each bears its part.
    assert (done["application_fee_amount"], done["fees"]) == ("5.00", {"processing_fee": "1.75"})
    assert [each["amount_captured"] for each in done["splits"]] == ["37.50", "12.50"]
    assert [each["net"] for each in done["splits"]] == ["32.44", "10.81"]
    assert done["net"] == "43.25"
    await stage.audit()


async def test_fees_that_are_more_than_all_leave_the_platform_less(stage: Stage) -> None:
    platform = await stage.open_account()
    one = await seller(stage, platform)
    body = {"amount": "0.50", "currency": "usd", "payment_method": VISA}
    reply = await acting(stage, platform, one.id)(
        CREATE, {**body, "application_fee_amount": "0.49"}
    )
    made = reply.json
    assert (made["application_fee_amount"], made["net"]) == ("0.19", "0.00")
    assert made["fees"] == {"processing_fee": "0.31"}
    assert (await seen(stage, one, made["id"]))["captured"] is True
    all_of_it = await acting(stage, platform, one.id)(
        CREATE, {**body, "application_fee_amount": "0.50"}
    )
    assert (all_of_it.status, all_of_it.error["param"]) == (400, "application_fee_amount")
    await stage.audit()


async def many(stage: Stage, count: int) -> list[Party]:
    return [await stage.open_account() for _ in range(count)]


async def test_fifty_recipients_cost_no_more_rounds_than_two(stage: Stage) -> None:
    merchant, tally = await funded(stage), stage.app.engine.tally
    rounds = []
    for count in (2, 50):
        friends = await many(stage, count)
        splits = parts(*[(friend, "1.00") for friend in friends])
        before = tally.rounds
        made = await charge(stage, merchant, amount=f"{count}.00", splits=splits)
        rounds.append(tally.rounds - before)
        assert len(made["splits"]) == count
        held = await pay(stage, merchant, f"{count}.00", splits=splits, capture=False)
        done = await stage.done(f"POST /payments/{held['id']}/capture", merchant.key)
        assert done["status"] == "succeeded"
    assert rounds[1] <= rounds[0]
    await stage.audit()
