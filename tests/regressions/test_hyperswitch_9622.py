"""hyperswitch #9622: a payment is `pending` although nothing was ever sent to the processor.

The call fails before it leaves, and the payment is left in a state that says that the processor is
at it. It is not, so nothing will ever come of it: a synchronisation finds no such payment there.
"""

from __future__ import annotations

from commerce.gateways.cards import port
from tests.areas.payments.card.scene import ask, heard, notes, recover, seen, silence
from tests.stage import Stage


async def test_a_payment_of_which_nothing_was_sent_is_failed_and_not_pending(stage: Stage) -> None:
    merchant = await stage.open_account()
    with heard(stage, silence, port.Charge):
        begun = await ask(stage, merchant, idempotency_key="never-sent")
    assert (begun.status, begun.json["status"]) == (201, "processing")
    assert begun.json["unknown_since"] == begun.json["created"]
    assert await notes(stage, merchant) == []

    await recover(stage, 61)
    found = await seen(stage, merchant, begun.json["id"])
    assert (found["status"], found["failure_code"]) == ("failed", "processing_error")
    assert found["unknown_since"] is None
    query = "SELECT verdict FROM test_call WHERE account = $1 AND id = $2"
    assert [row["verdict"] for row in await stage.rows(query, merchant.id, found["id"])] == [None]
    assert (await stage.get("/balance", merchant.key))["pending"][-1]["amount"] == "0.00"
    await stage.audit()
