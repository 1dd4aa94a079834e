"""The bank's side: a payment counts once, dollars come in cents, test dollars a daily limit."""

from __future__ import annotations

import asyncio

import pytest

from commerce.books import stablecoin
from commerce.ledger.cap import COUNT_MAX, Cap, CapReached, count
from tests.ladder import refused
from tests.stage import ISSUER, NOW, Party, Stage

DEPOSITS = "POST /stablecoin/reserves/deposits"
ISSUE = "POST /stablecoin/issue"
REDEEM = "POST /stablecoin/redeem"
BANK = {"type": "ach", "account_number": "123456789012", "routing_number": "021000021"}
DAY = 24 * 3600


@pytest.fixture
async def issuer(stage: Stage) -> Party:
    return await stage.open_account(capabilities=ISSUER)


async def announced(stage: Stage, issuer: Party, reference: str | None) -> tuple[str, str]:
    """A deposit's id, and the route by which it is verified."""
    body = {"amount": "500.00", "bank_reference": reference}
    deposit = await stage.done(DEPOSITS, issuer.key, **body)
    return deposit["id"], f"{DEPOSITS}/{deposit['id']}/verify"


async def test_a_payment_is_verified_in_one_deposit_only(stage: Stage, issuer: Party) -> None:
    first, route = await announced(stage, issuer, "FT 26-1")
    await stage.done(route, issuer.key)
    reserves = await stage.get("/stablecoin/reserves", issuer.key)
    for reference in ("FT 26-1", "ft26-1", " FT\t26 -1 "):
        _, route = await announced(stage, issuer, reference)
        await refused(stage, route, issuer.key, {}, 409, "duplicate_reference", first)
    assert await stage.get("/stablecoin/reserves", issuer.key) == reserves
    _, other = await announced(stage, issuer, "FT 26-2")
    assert (await stage.done(other, issuer.key))["status"] == "verified"


@pytest.mark.parametrize("mark", ["\u200b", "\u00ad", "\u2010", "\uff11", "\u0410", "\n"])
async def test_a_reference_holds_nothing_that_only_looks_like_another(
    stage: Stage, issuer: Party, mark: str
) -> None:
    body = {"amount": "500.00", "bank_reference": f"FT{mark} 28"}
    says = "'bank_reference' must be at most 128 ASCII characters, or null."
    await refused(stage, DEPOSITS, issuer.key, body, 400, "parameter_invalid", says)


async def test_a_deposit_that_is_verified_says_so_rather_than_name_itself(
    stage: Stage, issuer: Party
) -> None:
    _, route = await announced(stage, issuer, "FT 27")
    await stage.done(route, issuer.key)
    await refused(stage, route, issuer.key, {}, 400, "state_invalid", "'verified'")


@pytest.mark.parametrize("reference", [None, "", "  "])
async def test_without_a_reference_there_is_nothing_to_compare(
    stage: Stage, issuer: Party, reference: str | None
) -> None:
    for _ in range(2):
        _, route = await announced(stage, issuer, reference)
        assert (await stage.done(route, issuer.key))["status"] == "verified"


async def test_in_live_mode_a_payment_counts_once_for_all_accounts(stage: Stage) -> None:
    operator = await stage.open_account(livemode=True, capabilities=["reserves_operator"])
    one, two = [await stage.open_account(livemode=True, capabilities=ISSUER) for _ in range(2)]
    first, route = await announced(stage, one, "WIRE-9")
    await stage.done(route, operator.key, account=one.id)
    _, route = await announced(stage, two, "WIRE-9")
    body = {"account": two.id}
    await refused(stage, route, operator.key, body, 409, "duplicate_reference", first)


async def test_in_test_mode_each_account_makes_its_references_up(
    stage: Stage, issuer: Party
) -> None:
    another = await stage.open_account(capabilities=ISSUER)
    for party in (issuer, another, await stage.in_mode(issuer.id, livemode=False)):
        _, route = await announced(stage, party, f"MADE-UP-{party.id == another.id}")
        reply = await stage.ask(route, party.key)
        assert reply.status == (409 if party not in (issuer, another) else 200)


async def test_two_verifications_at_once_count_a_payment_once(stage: Stage, issuer: Party) -> None:
    routes = [(await announced(stage, issuer, "AT-ONCE"))[1] for _ in range(4)]
    replies = await asyncio.gather(*(stage.ask(route, issuer.key) for route in routes))
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]


async def test_dollars_come_and_go_in_whole_cents(stage: Stage, issuer: Party) -> None:
    await refused(stage, DEPOSITS, issuer.key, {"amount": "5.001"}, 400, "amount_precision")
    assert (await stage.done(DEPOSITS, issuer.key, amount="5.010"))["amount"] == "5.01"
    await stage.fund(issuer.wallet, "100.00")
    body = {"reference_id": stage.name(), "destination": BANK}
    for amount in ("1.000001", {"denom": "ssusd", "amount": "1009999"}):
        order = {"amount": amount, **body}
        await refused(stage, REDEEM, issuer.key, order, 400, "amount_precision", "2 fraction")
    assert (await stage.done(REDEEM, issuer.key, amount="1.010000", **body))["amount"] == "1.01"


async def test_an_issue_of_less_than_a_cent_makes_a_deposit_of_whole_cents(
    stage: Stage, issuer: Party
) -> None:
    body = {"recipient": issuer.wallet, "amount": "100.000001", "reference_id": stage.name()}
    issued = await stage.done(ISSUE, issuer.key, **body)
    path = f"/stablecoin/reserves/deposits/{issued['source']['deposit']}"
    assert (await stage.get(path, issuer.key))["amount"] == "100.01"
    assert issued["amount"] == await stage.available(issuer) == "100.000001"
    await stage.audit()


async def test_a_source_of_another_type_than_its_deposit_is_refused(
    stage: Stage, issuer: Party
) -> None:
    deposit = await stage.done(DEPOSITS, issuer.key, amount="500.00", type="ach")
    await stage.done(f"{DEPOSITS}/{deposit['id']}/verify", issuer.key)
    source = {"type": "bank_wire", "deposit": deposit["id"]}
    body = {"recipient": issuer.wallet, "amount": "100.00", "reference_id": stage.name()}
    reply = await stage.ask(ISSUE, issuer.key, {**body, "source": source})
    assert (reply.status, reply.error["code"]) == (400, "parameter_invalid")
    assert reply.error["param"] == "source.type"
    for type_ in ("ach", None):
        said = {"deposit": deposit["id"]} | ({} if type_ is None else {"type": type_})
        issued = await stage.done(ISSUE, issuer.key, **body, source=said)
        assert issued["source"] == {"type": "ach", "deposit": deposit["id"]}
    again = {**body, "source": source}
    await refused(stage, ISSUE, issuer.key, again, 409, "duplicate_reference")


async def test_the_type_of_test_dollars_is_one_of_the_terms(stage: Stage, issuer: Party) -> None:
    body = {"recipient": issuer.wallet, "amount": "100.00", "reference_id": stage.name()}
    await stage.done(ISSUE, issuer.key, **body, source={"type": "ach"})
    assert (await stage.ask(ISSUE, issuer.key, {**body, "source": {"type": "ach"}})).status == 200
    await refused(stage, ISSUE, issuer.key, body, 409, "duplicate_reference")


async def test_one_issuer_does_not_fill_the_ledger_with_test_dollars(
    stage: Stage, issuer: Party
) -> None:
    async def verified() -> str:
        made = await stage.done(DEPOSITS, issuer.key, amount="100000000.00")
        return f"{DEPOSITS}/{made['id']}/verify"

    for _ in range(10):
        await stage.done(await verified(), issuer.key)
    says = "at most 1000000000.00 test dollars a day; 0.00 is left"
    route = await verified()
    await refused(stage, route, issuer.key, {}, 402, "limit_exceeded", says)
    body = {"recipient": issuer.wallet, "amount": "100.00", "reference_id": stage.name()}
    await refused(stage, ISSUE, issuer.key, body, 402, "limit_exceeded", says)
    another = await stage.open_account(capabilities=ISSUER)
    await stage.fund(another.wallet, "100.00")
    stage.clock.advance(DAY)
    await stage.done(route, issuer.key)
    stage.clock.advance(-DAY)
    days = COUNT_MAX // stablecoin.TEST_DOLLARS_DAILY_MAX.minor
    assert days > 25 * 365


async def test_live_dollars_have_no_such_limit(stage: Stage) -> None:
    operator = await stage.open_account(livemode=True, capabilities=["reserves_operator"])
    live = await stage.open_account(livemode=True, capabilities=ISSUER)
    for _ in range(11):
        made = await stage.done(DEPOSITS, live.key, amount="100000000.00")
        await stage.done(f"{DEPOSITS}/{made['id']}/verify", operator.key, account=live.id)


def test_a_meter_that_is_full_does_not_tell_how_large_its_column_is() -> None:
    meter = Cap("network", livemode=False, meter="m")
    row = count(meter, None, COUNT_MAX, NOW)
    with pytest.raises(CapReached) as reached:
        count(meter, row, 1, NOW)
    assert str(COUNT_MAX) not in reached.value.message
