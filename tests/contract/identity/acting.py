"""A stage on which one account's key acts on behalf of an account connected to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from commerce.areas.identity import account
from tests.contract.surface import EVERYTHING, KEY, Rehearsal
from tests.stage import Party, Reply, Stage


class OnBehalf(Stage):
    """The same stage, where the parent's key names the child in every call."""

    def __init__(self, stage: Stage, key: str, child: str) -> None:
        super().__init__(stage.app, stage.url, stage.clock)
        self._connection = stage._connection
        self._names = stage._names
        self._key, self._child = key, child

    async def ask(
        self,
        route: str,
        key: str | None,
        body: Mapping[str, Any] | str | None = None,
        **headers: str,
    ) -> Reply:
        if key == self._key:
            headers.setdefault("X_Account_Id", self._child)
        return await super().ask(route, key, body, **headers)


class Family(NamedTuple):
    """A parent, its child, and the child's rehearsal by the parent's key."""

    parent: Party
    child: Party
    play: Rehearsal


async def connect(stage: Stage, parent: Party, *, capable: bool = True) -> Party:
    """An account connected to a parent, with a key of its own in the parent's mode."""
    made = await stage.done("POST /accounts", parent.key, name="Child")
    if capable:
        given: list[account.Capability] = [
            each for each in EVERYTHING if each != "reserves_operator"
        ]
        params = account.UpdateAccount(account=made["id"], plan="enterprise", capabilities=given)
        await stage.app.operate(account.update, params, account="", livemode=parent.livemode)
    return await stage.in_mode(made["id"], livemode=parent.livemode)


async def family(stage: Stage) -> Family:
    """A parent that owns nothing, and its child, for which every list has something in it."""
    parent, other = await stage.open_account(), await stage.open_account()
    child = await connect(stage, parent)
    on_behalf = OnBehalf(stage, parent.key, child.id)
    acting = Party(child.id, child.livemode, parent.key)
    play = Rehearsal(on_behalf, acting, other)
    await on_behalf.ask("POST /api_keys", parent.key, {"type": "public"}, Idempotency_Key=KEY)
    await play.call("POST /accounts")
    await play.call("POST /customers", name="Jenny Rosen")
    for number in range(2):
        await play.fund("1000.00")
        await play.call("POST /stablecoin/transfer", to=other.wallet, amount=f"{number + 1}.00")
    await play.call("POST /stablecoin/reserves/deposits", amount="10.00")
    issue = {"recipient": play.wallet, "amount": "100.00", "reference_id": stage.name()}
    await play.call("POST /stablecoin/issue", **issue)
    return Family(parent, child, play)


async def owned(stage: Stage, account_id: str) -> dict[str, int]:
    """How many rows of each table are an account's."""
    tables = [t for t in stage.app.registry.tables.values() if "account" in t.names]
    counts = {}
    for table in tables:
        query = f"SELECT count(*) AS rows FROM {table.name} WHERE account = $1"
        [row] = await stage.rows(query, account_id)
        counts[table.name] = row["rows"]
    return counts
