"""How redemptions end: the dollars are sent, or the tokens are minted back."""

from __future__ import annotations

from typing import Any

from commerce.areas.identity.account import main_wallet
from commerce.areas.stablecoin import redemption as redemptions
from commerce.areas.stablecoin.deposit import need_operator, require_operator
from commerce.areas.stablecoin.redemption import HELD_ACCOUNT_NUMBER, Redemption, Words
from commerce.books import chart, stablecoin
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id


class OneRedemption(Params, frozen=True, kw_only=True):
    """A redemption of your own."""

    id: Id
    """The redemption's id."""


class SettleRedemption(Params, frozen=True, kw_only=True):
    """A redemption, and whose it is."""

    id: Id
    """The redemption's id."""
    account: Id | None = None
    """Whose redemption it is, if not your own. Required in live mode, where it never is."""


class FailRedemption(SettleRedemption, frozen=True, kw_only=True):
    """A redemption whose dollars could not be sent."""

    reason: Words | None = None
    """Why, for its holder to read."""


def _need(
    needs: Needs, caller: Caller, params: SettleRedemption | OneRedemption, *, back: bool
) -> None:
    owner = getattr(params, "account", None) or caller.account
    if isinstance(params, SettleRedemption):
        need_operator(needs, caller, owner)
    livemode = caller.livemode
    needs.row(Redemption.__noun__.table.key, (owner, livemode, params.id), lock=True)
    needs.balance(chart.redemptions_payable(livemode))
    if back:
        # Which wallet it was is known once the redemption is read: almost always this one.
        needs.balance(chart.available(owner, livemode, main_wallet(owner, livemode)))
        needs.cap(stablecoin.supply(livemode))
    else:
        needs.balance(chart.reserves_cash(livemode))


def _need_process(needs: Needs, caller: Caller, params: SettleRedemption) -> None:
    _need(needs, caller, params, back=False)


def _need_back(needs: Needs, caller: Caller, params: SettleRedemption | OneRedemption) -> None:
    _need(needs, caller, params, back=True)


async def _held(example: Example) -> str:
    """A redemption that is still to be paid; gives its id."""
    await example.fund("1000.00")
    bank = {"type": "ach", "account_number": HELD_ACCOUNT_NUMBER, "routing_number": "021000021"}
    route, name = "POST /stablecoin/redeem", example.name()
    made = await example.call(route, amount="50.00", reference_id=name, destination=bank)
    return str(made["id"])


async def example(example: Example) -> dict[str, object]:
    """A redemption that is still to be paid."""
    return {"id": await _held(example)}


async def failing_example(example: Example) -> dict[str, object]:
    """A redemption that the bank returned."""
    return {"id": await _held(example), "reason": "The account is closed."}


@operation(
    Redemption,
    "POST /stablecoin/redemptions/{id}/process",
    scope="reserves:operate",
    params=SettleRedemption,
    needs=_need_process,
    example=example,
)
def process(tx: Tx, params: SettleRedemption) -> Redemption:
    """Say that the dollars are on their way: its holder cannot cancel it any more.

    In live mode only an account that operates the reserves may, for others than itself.
    """
    owner, redemption = _operated(tx, params)
    return tx.advance(redemption, "process", account=owner)


@operation(
    Redemption,
    "POST /stablecoin/redemptions/{id}/complete",
    scope="reserves:operate",
    params=SettleRedemption,
    needs=_need_process,
    example=example,
)
def complete(tx: Tx, params: SettleRedemption) -> Redemption:
    """Say that the dollars have been sent.

    In live mode only an account that operates the reserves may, and for none that it is connected
    with.
    """
    owner, redemption = _operated(tx, params)
    return redemptions.complete(tx, redemption, account=owner)


@operation(
    Redemption,
    "POST /stablecoin/redemptions/{id}/fail",
    scope="reserves:operate",
    params=FailRedemption,
    needs=_need_back,
    example=failing_example,
)
def fail(tx: Tx, params: FailRedemption) -> Redemption:
    """Say that the dollars could not be sent: the tokens are minted back to where they were.

    In live mode only an account that operates the reserves may, and for none that it is connected
    with.
    """
    owner, redemption = _operated(tx, params)
    return _mint_back(tx, redemption, "fail", owner, failure_reason=params.reason)


@operation(
    Redemption,
    "POST /stablecoin/redemptions/{id}/cancel",
    scope="stablecoin:redeem",
    params=OneRedemption,
    needs=_need_back,
    example=example,
)
def cancel(tx: Tx, params: OneRedemption) -> Redemption:
    """Take a redemption back while it is pending: the tokens are minted back."""
    redemption = tx.lock(Redemption, params.id)
    return _mint_back(tx, redemption, "cancel", tx.caller.account)


def _operated(tx: Tx, params: SettleRedemption) -> tuple[str, Redemption]:
    """An account's redemption, for who may settle it."""
    owner = require_operator(tx, params.account)
    return owner, tx.lock(Redemption, params.id, account=owner)


def _mint_back(tx: Tx, redemption: Redemption, verb: str, owner: str, **fields: Any) -> Redemption:
    amount, address = redemption.amount, redemption.sender
    holder = chart.available(owner, redemption.livemode, address)
    name = Redemption.lifecycle.move(redemption.status, verb)
    booking = stablecoin.returned(
        redemption.id, amount, name=name, wallet=holder, recipient=address
    )
    tx.post(booking, account=owner)
    tx.use(stablecoin.supply(redemption.livemode), amount.minor)
    return tx.advance(redemption, verb, account=owner, **fields)
