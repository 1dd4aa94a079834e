"""Jobs on money that are run once more than they should be move nothing the second time."""

from __future__ import annotations

from typing import Any

from commerce.areas.payments.card.settling import SETTLE
from commerce.areas.payments.repayment import RUN
from commerce.engine.outside.call import Heard
from commerce.gateways.cards import port
from tests.areas.payments.card.scene import VISA, charge, heard, recover, silence
from tests.areas.payments.funds.scene import funds
from tests.areas.payments.returns.scene import (
    DISPUTED,
    REFUND,
    booked,
    has,
    merchant_of,
    parts,
    pass_days,
    run_all,
    seller_of,
)
from tests.areas.payments.scene import HOUR, seen
from tests.stage import Party, Stage

WINNING = {"uncategorized_text": "winning_evidence"}


async def job_of(stage: Stage, task: str, subject: str) -> dict[str, Any]:
    """A job that is still to be run."""
    query = "SELECT * FROM job WHERE task = $1 AND subject = $2"
    (found,) = await stage.rows(query, task, subject)
    return found


async def run_again(stage: Stage, job: dict[str, Any]) -> None:
    """Have a job run that was run before."""
    names, places = ", ".join(job), ", ".join(f"${at}" for at in range(1, len(job) + 1))
    again = job | {"due_at": stage.clock.now_ms() // 1000}
    await stage.rows("DELETE FROM job WHERE subject = $1", job["subject"])
    await stage.rows(f"INSERT INTO job ({names}) VALUES ({places})", *again.values())
    await run_all(stage)


async def test_a_payment_settles_once(stage: Stage) -> None:
    merchant = await merchant_of(stage)
    paid = await charge(stage, merchant)
    job = await job_of(stage, SETTLE, paid["id"])
    await pass_days(stage)
    before = await funds(stage, merchant), await booked(stage, paid["id"])
    await run_again(stage, job)
    assert (await funds(stage, merchant), await booked(stage, paid["id"])) == before


async def test_a_refund_that_waited_is_given_once(stage: Stage) -> None:
    merchant = await merchant_of(stage)
    charged = await charge(stage, merchant)
    waiting = await stage.done(REFUND, merchant.key, payment=charged["id"])
    job = await job_of(stage, RUN, waiting["id"])
    await has(stage, merchant, "10.00")
    stage.clock.advance(HOUR)
    await run_all(stage)
    assert (await seen(stage, waiting, merchant))["status"] == "succeeded"
    before = await funds(stage, merchant), await booked(stage, waiting["id"])
    await run_again(stage, job)
    assert (await funds(stage, merchant), await booked(stage, waiting["id"])) == before


async def test_a_refund_that_waited_until_its_payment_had_settled_is_given_then(
    stage: Stage,
) -> None:
    merchant = await merchant_of(stage)
    paid = await charge(stage, merchant)
    waiting = await stage.done(REFUND, merchant.key, payment=paid["id"])
    await pass_days(stage)
    assert (await seen(stage, waiting, merchant))["status"] == "pending"
    await has(stage, merchant, "10.00")
    stage.clock.advance(HOUR)
    await run_all(stage)
    done = await seen(stage, waiting, merchant)
    assert (done["status"], done["sources"][0]["unsettled"]) == ("succeeded", "0.00")


async def absent(_: port.Find) -> Heard:
    """A processor that has never seen the call, and will not take it."""
    return Heard.ABSENT


async def test_a_refund_that_the_processor_never_saw_has_failed_and_its_money_is_back(
    stage: Stage,
) -> None:
    merchant = await merchant_of(stage)
    paid = await charge(stage, merchant)
    await has(stage, merchant, "50.00")
    before = await funds(stage, merchant)
    with heard(stage, silence, port.Refund):
        made = await stage.done(REFUND, merchant.key, payment=paid["id"], amount="20.00")
    assert (made["status"], made["unknown_since"]) == ("pending", made["created"])
    with heard(stage, absent, port.Find):
        await recover(stage, 61)
    failed = await seen(stage, made, merchant)
    assert (failed["status"], failed["failure_code"]) == ("failed", "processing_error")
    assert failed["processor_response"] is None
    assert await funds(stage, merchant) == before
    assert (await seen(stage, paid, merchant))["amount_refunded"] == "0.00"


async def test_two_parts_of_one_wallet_draw_on_it_together(stage: Stage) -> None:
    merchant = await merchant_of(stage)
    splits = parts((merchant, "60.00"), (merchant, "40.00"))
    paid = await charge(stage, merchant, splits=splits)
    await pass_days(stage)
    # Each part alone is there, and both together are not.
    assert (await funds(stage, merchant))["usd"][0] == "96.80"
    waiting = await stage.done(REFUND, merchant.key, payment=paid["id"])
    assert waiting["status"] == "pending"
    assert await booked(stage, waiting["id"]) == []


async def shared(stage: Stage, card: str) -> tuple[list[Party], dict[str, Any]]:
    """Seven yen to seven sellers, less a fee of one, which is all that one of them would get."""
    platform = await merchant_of(stage)
    sellers = [await seller_of(stage, platform) for _ in range(7)]
    splits = parts(*((seller, "1") for seller in sellers))
    paid = await charge(stage, platform, card, "7", currency="jpy", splits=splits)
    return [platform, *sellers], paid


async def yen(stage: Stage, parties: list[Party], part: int) -> list[str]:
    """What parties have: available, pending or locked."""
    held = [await funds(stage, party) for party in parties]
    return [each.get("jpy", ("0", "0", "0"))[part] for each in held]


async def test_a_part_that_the_fee_takes_whole_is_not_booked(stage: Stage) -> None:
    [_, *sellers], paid = await shared(stage, VISA)
    nets = [each["net"] for each in paid["splits"]]
    assert sorted(nets) == ["0", *["1"] * 6]
    assert len(await booked(stage, paid["id"])) == 6
    await pass_days(stage)
    assert await yen(stage, sellers, 0) == nets


async def test_who_had_nothing_gives_nothing_and_gets_nothing_when_it_is_won(stage: Stage) -> None:
    [platform, *sellers], paid = await shared(stage, DISPUTED)
    dispute = await stage.get(f"/disputes/{paid['dispute']}", platform.key)
    nets = [each["net"] for each in paid["splits"]]
    taken = [each["transaction"] for each in dispute["withdrawals"]]
    assert [id_ is None for id_ in taken] == [net == "0" for net in nets]
    assert await yen(stage, sellers, 1) == ["0"] * 7
    route = f"POST /disputes/{dispute['id']}"
    assert (await stage.done(route, platform.key, evidence=WINNING))["status"] == "won"
    assert await yen(stage, sellers, 1) == nets


async def test_every_movement_of_this_module_balances(stage: Stage) -> None:
    await stage.audit()
