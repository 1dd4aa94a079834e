"""Transfers: ssUSD from one wallet to others, now or at a later time."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from commerce.areas.identity import account as accounts
from commerce.areas.identity import spending
from commerce.areas.stablecoin import batch, limit, wallet
from commerce.areas.stablecoin.batch import BatchTransfer, TransferRow
from commerce.areas.stablecoin.movement import (
    NETWORK_FEE,
    ROWS_MAX,
    Order,
    Priority,
    Terms,
    Transfer,
    make,
)
from commerce.books import chart
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.directory import Address
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import (
    Amount,
    Memo,
    Metadata,
    Moment,
    Rejected,
    kept,
    require_ssusd,
)

ROWS_A_TRANSFER = 10
"""About as many rows a transfer writes: itself, its transaction, three entries, two events."""
Rows = Annotated[list[TransferRow], msgspec.Meta(min_length=1, max_length=ROWS_MAX)]


class CreateTransfer(Params, frozen=True, kw_only=True):
    """A transfer to make, or a batch of them: `to` and `amount`, or `transfers`."""

    sender: str | None = msgspec.field(default=None, name="from")
    """The wallet that pays: one of your own, your main wallet by default."""
    recipient: str | UnsetType = msgspec.field(default=UNSET, name="to")
    """The wallet to be paid: any valid address. Required unless there are `transfers`."""
    amount: Amount | UnsetType = UNSET
    """How much, in ssUSD; or a coin, `{"denom": "ssusd", "amount": "<millionths>"}`. Required \
unless there are `transfers`."""
    transfers: Rows | UnsetType = UNSET
    """A batch of 1 to 500 transfers, of which all are made or none."""
    currency: str = SSUSD
    """`ssusd`, if given."""
    memo: Memo | None = None
    """Your words to the recipient, up to 256 characters."""
    priority: Priority = "medium"
    """Kept and returned; it does not change the order."""
    scheduled_at: Moment | None = None
    """When to make it, if not at once: a time in the future. What it will cost is set aside now."""
    idempotency_key: str | None = None
    """The same as the Idempotency-Key header."""
    metadata: Metadata = {}
    """Pairs of your own."""

    def __post_init__(self) -> None:
        """Refuse what is neither one transfer nor a batch of them, or both."""
        if self.transfers is UNSET:
            for name, value in (("to", self.recipient), ("amount", self.amount)):
                if value is UNSET:
                    raise _rejected(
                        "parameter_missing", f"The '{name}' parameter is required.", name
                    )
            return
        of_one = (
            ("to", self.recipient is not UNSET),
            ("amount", self.amount is not UNSET),
            ("memo", self.memo is not None),
            ("metadata", bool(self.metadata)),
        )
        for name, given in of_one:
            if given:
                message = f"'{name}' belongs in each of the 'transfers', or there are none."
                raise _rejected("parameter_invalid", message, name)


def _rejected(code: str, message: str, param: str) -> Rejected:
    return Rejected(ApiError(code, message, param=param))


class Request:
    """A request's rows, and how each of its parameters is called in a refusal."""

    def __init__(self, params: CreateTransfer) -> None:
        """Read either shape."""
        self.rows: list[TransferRow]
        if params.transfers is not UNSET:
            self.rows = params.transfers
            self._prefix = "transfers[{}]."
            return
        assert params.recipient is not UNSET
        assert params.amount is not UNSET
        row = TransferRow(
            recipient=params.recipient,
            amount=params.amount,
            memo=params.memo,
            metadata=params.metadata,
        )
        self.rows = [row]
        self._prefix = ""

    def param(self, at: int, name: str) -> str:
        """The name of a row's parameter."""
        return self._prefix.format(at) + name


def needs(needs: Needs, caller: Caller, params: CreateTransfer) -> None:
    """All that a transfer or a batch reads and writes."""
    accounts.need_own(needs, caller)
    wallet.need_own(needs, caller, params.sender)
    for row in Request(params).rows:
        wallet.need(needs, caller, row.recipient)
    limit.need(needs, caller)
    spending.need(needs, caller)
    needs.balance(chart.fees_network(caller.livemode))
    if params.scheduled_at is not None:
        wallet.need_own_locked(needs, caller, params.sender)


def weight(params: CreateTransfer) -> int:
    """About how many rows it will write."""
    return ROWS_A_TRANSFER * (1 if params.transfers is UNSET else len(params.transfers))


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
    weight=weight,
    example=example,
    also=BatchTransfer,
)
def transfer(tx: Tx, params: CreateTransfer) -> Transfer | BatchTransfer:
    """Move ssUSD from one of your wallets to any wallet, at once or later.

    With `transfers` it is a batch: all of them are made, or none, and a refusal names the row.
    Limits count when a transfer is asked for, also when it is scheduled, or cancelled later.
    """
    account = accounts.own(tx)
    request = Request(params)
    recipients = [
        wallet.any_of(tx, row.recipient, param=request.param(at, "to"))
        for at, row in enumerate(request.rows)
    ]
    sender = wallet.own(tx, account, params.sender, param="from")
    for at, recipient in enumerate(recipients):
        if recipient.address == sender.address:
            message = "A wallet cannot send to itself."
            raise ApiError("parameter_invalid", message, param=request.param(at, "to"))
    require_ssusd(params.currency)
    if params.scheduled_at is not None and params.scheduled_at <= tx.now:
        message = "'scheduled_at' must be in the future."
        raise ApiError("parameter_invalid", message, param="scheduled_at")
    _refuse_blocked(sender, recipients, request)
    amounts = [row.amount for row in request.rows]
    for at, (amount, recipient) in enumerate(zip(amounts, recipients, strict=True)):
        where = {"param": request.param(at, "amount"), "to": request.param(at, "to")}
        spending.use(tx, amount, recipient.address, **where)
    limit.use(tx, account, amounts, [request.param(at, "amount") for at in range(len(amounts))])
    _require_funds(tx, sender, amounts, request)
    terms = Terms(sender, params.priority, params.scheduled_at)
    orders = [
        Order(recipient, row.amount, row.memo, kept(row.metadata))
        for recipient, row in zip(recipients, request.rows, strict=True)
    ]
    if params.transfers is not UNSET:
        return batch.make(tx, terms, orders)
    return make(tx, terms, orders)[0]


def _refuse_blocked(sender: Address, recipients: list[Address], request: Request) -> None:
    wallet.refuse_blocked(sender, param="from")
    for at, recipient in enumerate(recipients):
        if recipient.blocked:
            where = request.param(at, "to")
            raise ApiError("sanctioned_party", f"'{recipient.address}' is blocked.", param=where)


def _require_funds(tx: Tx, sender: Address, amounts: list[Amount], request: Request) -> None:
    """Refuse what the sender cannot afford, naming the row at which it runs out."""
    available = tx.balance(wallet.available(sender))
    costs = [amount.minor + NETWORK_FEE.minor for amount in amounts]
    if sum(costs) <= available:
        return
    at = limit.first_beyond(available, costs)
    left = Money(available, SSUSD).text
    asked, fees = amounts[0].text, NETWORK_FEE.text
    if len(amounts) > 1:
        asked = Money(sum(amount.minor for amount in amounts), SSUSD).text
        fees = Money(NETWORK_FEE.minor * len(amounts), SSUSD).text
    message = f"{asked} ssUSD and the fee of {fees} are more than the available {left}."
    raise ApiError("insufficient_funds", message, param=request.param(at, "amount"))
