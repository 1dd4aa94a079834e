"""Conditions: what must be so of an object is asked of it alone, wherever it is changed."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.areas.identity.account import Account
from commerce.engine.condition import Condition, require_met, state_of
from commerce.engine.overlay import Held
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from tests.engine.world import World, codes, command


def held(version: int = 1, **changes: Any) -> Held:
    given: dict[str, Any] = {"id": "acct_1", "livemode": False, "created": 1, "plan": "free"}
    given |= {"verification": "basic", "capabilities": [], "wallet": "w"}
    return Held(Account.__noun__, "acct_1", version, Account(**given | changes))


def test_a_condition_on_one_object_says_nothing_of_another() -> None:
    condition = Condition("acct_1", frozenset((state_of(held()),)))
    assert condition.look("acct_2", held(2)) is condition
    assert condition.look("acct_1", held()) is None
    assert Condition("acct_1", None).look("acct_1", held(2)) is None
    for other in (held(2), held(livemode=True), held(id="acct_3")):
        with pytest.raises(ApiError) as refused:
            condition.look("acct_1", other)
        assert (refused.value.code, refused.value.status) == ("version_conflict", 412)
        assert refused.value.param == "If-Match"
        assert "'acct_1' is not" in refused.value.message


def test_a_state_is_named_in_sixteen_digits() -> None:
    assert state_of(held()) == state_of(held(plan="growth"))
    assert len(state_of(held())) == 16


def test_a_condition_that_was_never_looked_at_is_not_met() -> None:
    require_met(None)
    with pytest.raises(ApiError) as refused:
        require_met(Condition("acct_1", None))
    assert (refused.value.code, refused.value.status) == ("version_conflict", 412)


async def test_a_condition_is_looked_at_where_an_object_is_changed_unlocked(world: World) -> None:
    party = await world.open()

    def change(tx: Tx) -> str:
        tx.condition = Condition(party.id, frozenset(("0" * 16,)))
        return str(tx.change(tx.get(Account, party.id), name="New").name)

    def change_any(tx: Tx) -> str:
        tx.condition = Condition(party.id, None)
        name = tx.change(tx.get(Account, party.id), name="Newer").name
        require_met(tx.condition)
        return str(name)

    answers = await world.submit(
        command(change, account=party.id), command(change_any, account=party.id)
    )
    assert codes(answers) == ["version_conflict", "200"]
