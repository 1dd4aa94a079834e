"""hyperswitch #3751: after a timeout, a refund learns its status and never the processor's id.

A refund call that the processor does not answer in time leaves the refund without the processor's
id, and what comes later brings its status alone. The id is lost, and with it the way to ask for the
refund, or to find it in the processor's reports.
"""

from __future__ import annotations

from commerce.gateways.cards import port
from commerce.gateways.cards.sandbox import Sandbox
from tests.areas.payments.card.scene import charge, heard, recover
from tests.areas.payments.returns.scene import REFUND
from tests.areas.payments.scene import seen
from tests.stage import Stage


async def test_a_refund_whose_answer_was_lost_learns_the_processors_id_of_it(stage: Stage) -> None:
    merchant = await stage.open_account()
    paid = await charge(stage, merchant)
    processor = stage.app.engine.outside._ways[port.Refund]

    async def lose_the_answer(call: port.Refund) -> None:
        """The processor gives back, and its answer does not arrive."""
        await processor(call)
        raise TimeoutError

    with heard(stage, lose_the_answer, port.Refund):
        made = await stage.done(REFUND, merchant.key, payment=paid["id"], amount="20.00")
    assert (made["status"], made["processor_response"]) == ("pending", None)
    assert made["unknown_since"] == made["created"]

    await recover(stage, 61)
    done = await seen(stage, made, merchant)
    assert (done["status"], done["unknown_since"]) == ("succeeded", None)
    assert done["processor_response"] == {
        "processor": Sandbox.name,
        "reference": f"rf_{made['id']}",
        "status": "succeeded",
    }
    query = "SELECT count(*) AS asked FROM test_call WHERE id = $1"
    assert (await stage.rows(query, made["id"]))[0]["asked"] == 1
    await stage.audit()
