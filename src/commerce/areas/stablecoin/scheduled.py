"""Scheduled transfers when their time comes, or when they are cancelled before it."""

from __future__ import annotations

from commerce.areas.identity.account import main_wallet
from commerce.areas.stablecoin import transaction, wallet
from commerce.areas.stablecoin.movement import EXECUTE, ExecuteTransfer, Transfer
from commerce.areas.stablecoin.transaction import summary
from commerce.books import chart, stablecoin
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.jobs.queue import task
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id

FAR_OFF = "2100-01-01T00:00:00Z"
"""A time to come, whenever an example is read."""


class OneTransfer(Params, frozen=True, kw_only=True):
    """Which transfer."""

    id: Id
    """The transfer's id."""


def _need_cancel(needs: Needs, caller: Caller, params: OneTransfer) -> None:
    key = (caller.account, caller.livemode, params.id)
    needs.row(Transfer.__noun__.table.key, key, lock=True)
    _need_wallet(needs, caller, main_wallet(caller.account, caller.livemode))


def _need_wallet(needs: Needs, caller: Caller, address: str) -> None:
    needs.balance(chart.available(caller.account, caller.livemode, address))
    needs.balance(chart.locked(caller.account, caller.livemode, address))


async def example(example: Example) -> dict[str, object]:
    """A transfer that was to be made much later."""
    await example.fund("100.00")
    made = await example.call(
        "POST /stablecoin/transfer",
        to=example.other_wallet,
        amount="5.00",
        scheduled_at=FAR_OFF,
    )
    return {"id": made["id"]}


@operation(
    Transfer,
    "POST /stablecoin/transfers/{id}/cancel",
    scope="stablecoin:transfer",
    params=OneTransfer,
    needs=_need_cancel,
    example=example,
)
def cancel(tx: Tx, params: OneTransfer) -> Transfer:
    """Take a scheduled transfer back while it has not been made: its money is free again."""
    transfer = tx.lock(Transfer, params.id)
    tx.require(transfer, "cancel")
    balance = _release(tx, transfer)
    return tx.advance(transfer, "cancel", balance_after=balance)


def _need_execute(needs: Needs, caller: Caller, params: ExecuteTransfer) -> None:
    key = (caller.account, caller.livemode, params.id)
    needs.row(Transfer.__noun__.table.key, key, lock=True)
    needs.address(caller.livemode, params.sender)
    _need_wallet(needs, caller, params.sender)
    wallet.need(needs, caller, params.recipient)
    needs.balance(chart.fees_network(caller.livemode))


@task(EXECUTE, params=ExecuteTransfer, needs=_need_execute)
def execute(tx: Tx, params: ExecuteTransfer) -> None:
    """Make a scheduled transfer whose time has come.

    One that was cancelled stays so. Where an address was blocked meanwhile it fails, and its
    money is the sender's again, who may spend it once nothing forbids that. Raises
    `state_invalid` before its time.
    """
    transfer = tx.lock(Transfer, params.id)
    if transfer.status != "scheduled":
        return
    assert transfer.scheduled_at is not None
    if tx.now < transfer.scheduled_at:
        raise ApiError("state_invalid", f"{transfer.id} is not due yet.")
    sender, recipient = tx.address(transfer.sender), tx.address(transfer.recipient)
    if sender.blocked or recipient.blocked:
        balance = _release(tx, transfer)
        tx.advance(transfer, "fail", balance_after=balance, failure_code="sanctioned_party")
        return
    booking = stablecoin.transferred(
        transfer.id,
        transfer.amount,
        transfer.fees.network_fee,
        payer=wallet.locked(sender),
        payee=wallet.available(recipient),
        sender=sender.address,
        recipient=recipient.address,
        memo=transfer.memo,
    )
    booked = tx.post(booking)
    transaction.tell_recipient(tx, booked, booking)
    tx.advance(
        transfer,
        "execute",
        event="stablecoin.transferred",
        transaction=summary(booked),
        balance_after=Money(tx.balance(wallet.available(sender)), SSUSD),
    )


def _release(tx: Tx, transfer: Transfer) -> Money:
    """Give back what was set aside; gives what is available then."""
    held = stablecoin.Wallet(tx.caller.account, transfer.livemode, transfer.sender)
    fee = transfer.fees.network_fee
    tx.post(stablecoin.released(transfer.id, transfer.amount, fee, wallet=held))
    return Money(tx.balance(chart.available(*held)), SSUSD)
