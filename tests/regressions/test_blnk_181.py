"""blnk #181: what is held counts for nothing in the balance that the next hold is checked against.

Several transactions are held in a row, each of them less than the balance and all of them more, and
none is refused: what could be spent is told, and checked, as if nothing had been held.
"""

from __future__ import annotations

import asyncio

from tests.areas.payments.scene import CREATE, balances, funded, pay
from tests.stage import Stage

HELD = {"amount": "70.00", "currency": "ssusd", "capture": False}


async def test_what_is_held_cannot_be_held_or_spent_again(stage: Stage) -> None:
    party = await funded(stage, "100.00")
    await pay(stage, party, "70.00", capture=False)
    assert await balances(stage, party) == ("30.00", "70.00")
    held = (await stage.get("/balance", party.key))["locked"]
    assert held[0] == {"amount": "70.00", "currency": "ssusd"}

    for body in (HELD, HELD | {"capture": True}):
        refused = await stage.ask(CREATE, party.key, body)
        assert (refused.status, refused.error["code"]) == (402, "insufficient_funds")
    assert await balances(stage, party) == ("30.00", "70.00")
    await stage.audit()


async def test_of_holds_at_once_no_more_are_taken_than_there_is_money_for(stage: Stage) -> None:
    party = await funded(stage, "100.00")
    body = HELD | {"amount": "30.00"}
    replies = await asyncio.gather(*(stage.ask(CREATE, party.key, body) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [201] * 3 + [402] * 7
    assert await balances(stage, party) == ("10.00", "90.00")
    await stage.audit()
