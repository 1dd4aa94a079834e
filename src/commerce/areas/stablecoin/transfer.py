"""Transfers: ssUSD from one wallet to another."""

from __future__ import annotations

from typing import Literal

import msgspec

from commerce.areas.identity import account as accounts
from commerce.areas.identity import spending
from commerce.areas.stablecoin import limit, wallet
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import chart, stablecoin
from commerce.engine.overlay import Needs
from commerce.engine.tx import Caller, Tx
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.noun import Noun, Part, noun
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Amount, Memo, Metadata, kept, require_ssusd

NETWORK_FEE = Money(10_000, SSUSD)
"""0.01 ssUSD a transfer, whatever its amount."""

Priority = Literal["low", "medium", "high"]


class TransferFees(Part, frozen=True, kw_only=True):
    """What the sender paid on top."""

    network_fee: Money
    """The network's fee."""


@noun(
    prefix="tr",
    rank=310,
    path="stablecoin/transfers",
    order=("id",),
    scope="stablecoin:read",
    filters=("status", "from", "to", "amount"),
)
class Transfer(Noun, tag="stablecoin_transfer", frozen=True, kw_only=True):
    """A transfer of ssUSD between two wallets."""

    amount: Money
    """What the recipient got."""
    currency: str = SSUSD
    """Always `ssusd`."""
    sender: str = msgspec.field(name="from")
    """The wallet that paid."""
    recipient: str = msgspec.field(name="to")
    """The wallet that was paid."""
    status: Literal["confirmed"] = "confirmed"
    """A transfer that was made is confirmed."""
    memo: str | None = None
    """Your words to it."""
    priority: Priority
    """As you sent it; it does not change the order."""
    fees: TransferFees
    """What the sender paid on top."""
    balance_after: Money
    """What was available to the sender right after."""
    transaction: TransactionSummary
    """The ledger transaction."""


class CreateTransfer(Params, frozen=True, kw_only=True):
    """A transfer to make."""

    sender: str | None = msgspec.field(default=None, name="from")
    """The wallet that pays: one of your own, your main wallet by default."""
    recipient: str = msgspec.field(name="to")
    """The wallet to be paid: any valid address."""
    amount: Amount
    """How much, in ssUSD; or a coin, `{"denom": "ssusd", "amount": "<millionths>"}`."""
    currency: str = SSUSD
    """`ssusd`, if given."""
    memo: Memo | None = None
    """Your words to it, up to 256 characters."""
    priority: Priority = "medium"
    """Kept and returned; it does not change the order."""
    idempotency_key: str | None = None
    """The same as the Idempotency-Key header."""
    metadata: Metadata = {}
    """Pairs of your own."""


def needs(needs: Needs, caller: Caller, params: CreateTransfer) -> None:
    """All that a transfer reads and writes."""
    accounts.need_own(needs, caller)
    wallet.need_own(needs, caller, params.sender)
    wallet.need(needs, caller, params.recipient)
    limit.need(needs, caller)
    spending.need(needs, caller)
    needs.balance(chart.fees_network(caller.livemode))


async def example(example: Example) -> dict[str, object]:
    """Some ssUSD to another account."""
    await example.fund("100.00")
    return {"to": example.other_wallet, "amount": "25.00", "memo": "Invoice 42"}


@operation(
    Transfer,
    "POST /stablecoin/transfer",
    alias="POST /stablecoin/transfers",
    scope="stablecoin:transfer",
    params=CreateTransfer,
    needs=needs,
    example=example,
)
def transfer(tx: Tx, params: CreateTransfer) -> Transfer:
    """Move ssUSD from one of your wallets to any wallet, at once."""
    account = accounts.own(tx)
    recipient = wallet.any_of(tx, params.recipient, param="to")
    sender = wallet.own(tx, account, params.sender, param="from")
    if sender.address == recipient.address:
        message = "A wallet cannot send to itself."
        raise ApiError("parameter_invalid", message, param="to")
    require_ssusd(params.currency)
    wallet.refuse_blocked(sender, recipient)
    amount, fee = params.amount, NETWORK_FEE
    spending.use(tx, amount, recipient.address)
    limit.use(tx, account, amount)
    payer = wallet.available(sender)
    available = tx.balance(payer)
    left = available - amount.minor - fee.minor
    if left < 0:
        raise _insufficient(amount, fee, Money(available, SSUSD))
    id_ = tx.new_id("tr")
    booked = tx.post(
        stablecoin.transferred(
            id_,
            amount,
            fee,
            payer=payer,
            payee=wallet.available(recipient),
            sender=sender.address,
            recipient=recipient.address,
        )
    )
    return tx.add(
        Transfer(
            id=id_,
            livemode=tx.caller.livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            amount=amount,
            sender=sender.address,
            recipient=recipient.address,
            memo=params.memo,
            priority=params.priority,
            fees=TransferFees(network_fee=fee),
            balance_after=Money(left, SSUSD),
            transaction=summary(booked),
        ),
        event="stablecoin.transferred",
    )


def _insufficient(amount: Money, fee: Money, available: Money) -> ApiError:
    message = (
        f"{amount.text} ssUSD and the fee of {fee.text} are more than the available"
        f" {available.text}."
    )
    return ApiError("insufficient_funds", message, param="amount")
