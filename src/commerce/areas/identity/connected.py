"""Connected accounts: opened by an account of its own accord, and changed as far as it may."""

from __future__ import annotations

from typing import Any

import msgspec

from commerce.areas.identity import account as accounts
from commerce.areas.identity.account import Account
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx, kind_of, missing
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id, Metadata, Name, changed, kept


class CreateConnectedAccount(Params, frozen=True, kw_only=True):
    """An account to be connected to yours."""

    name: Name | None = None
    """What it is to be called, in both modes at first."""
    metadata: Metadata = {}
    """Pairs of your own, in both modes at first."""


class UpdateConnectedAccount(Params, frozen=True, kw_only=True):
    """What is to change of an account, in the mode of the key; what is left out stays."""

    id: Id
    """The account: a connected one, or your own."""
    name: Name | msgspec.UnsetType | None = msgspec.UNSET
    """What it is to be called in the mode of the key; null takes the name away. The other mode
    keeps the name it has."""
    metadata: Metadata = {}
    """Pairs to set in the mode of the key; an empty string or null removes a pair."""


async def example(example: Example) -> dict[str, object]:
    """An account for a seller on your market."""
    return {"name": "Corner Shop", "metadata": {"shop": example.name()}}


async def update_example(example: Example) -> dict[str, object]:
    """Another name for a connected account."""
    account = await example.call("POST /accounts", name="Corner Shop")
    return {"id": account["id"], "name": "Corner Shop Ltd."}


def _need_create(needs: Needs, caller: Caller, _: CreateConnectedAccount) -> None:
    accounts.need_own(needs, caller)
    needs.furnish()


@operation(
    Account,
    "POST /accounts",
    scope="accounts:write",
    params=CreateConnectedAccount,
    needs=_need_create,
    example=example,
)
def create(tx: Tx, params: CreateConnectedAccount) -> Account:
    """Open an account connected to yours, with a wallet in each mode.

    It starts on the free plan, without capabilities: these and its verification level are the
    operator's to set. Act on its behalf with its id in the `X-Account-Id` header.
    """
    return accounts.open_connected(tx, params.name, kept(params.metadata))


def _need_update(needs: Needs, caller: Caller, params: UpdateConnectedAccount) -> None:
    needs.row(accounts.TABLE.key, (params.id, caller.livemode, params.id), lock=True)


@operation(
    Account,
    "PATCH /accounts/{id}",
    scope="accounts:write",
    params=UpdateConnectedAccount,
    needs=_need_update,
    example=update_example,
)
def update(tx: Tx, params: UpdateConnectedAccount) -> Account:
    """Change the name and the metadata of a connected account, or of your own.

    In the mode of the key alone: each mode has a name and metadata of its own.
    """
    # Whose it is comes first: to compare a stranger's with `If-Match` would say that it is there.
    account = tx.get(Account, params.id, account=params.id)
    if tx.caller.account not in (account.id, account.parent):
        raise missing(kind_of(Account), params.id)
    account = tx.lock(Account, params.id, account=params.id)
    fields: dict[str, Any] = {}
    if params.name is not msgspec.UNSET:
        fields["name"] = params.name
    if params.metadata:
        fields["metadata"] = changed(account.metadata, params.metadata)
    return accounts.change(tx, account, **fields) if fields else account
