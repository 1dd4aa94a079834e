"""Transfers as objects, and how one is made: paid now, or set aside for later."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import msgspec

from commerce.areas.stablecoin import transaction, wallet
from commerce.areas.stablecoin.chain.height import with_heights
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import stablecoin
from commerce.engine.money import Booked
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.ledger.directory import Address
from commerce.resource.noun import Noun, Part, Time, noun
from commerce.resource.ref import Wallet

NETWORK_FEE = Money(10_000, SSUSD)
"""0.01 ssUSD a transfer, whatever its amount."""
ROWS_MAX = 500
"""The most transfers of one batch."""
EXECUTE = "stablecoin.transfer.execute"
"""The job that makes a scheduled transfer."""

Priority = Literal["low", "medium", "high"]


class TransferFees(Part, frozen=True, kw_only=True):
    """What the sender paid on top."""

    network_fee: Money
    """The network's fee."""


_FEES = TransferFees(network_fee=NETWORK_FEE)


@noun(
    prefix="tr",
    rank=310,
    path="stablecoin/transfers",
    order=("id",),
    scope="stablecoin:read",
    event="stablecoin.transfer",
    filters=("status", "from", "to", "amount", "batch", "scheduled_at"),
)
class Transfer(Noun, tag="stablecoin_transfer", frozen=True, kw_only=True):
    """A transfer of ssUSD between two wallets."""

    lifecycle: ClassVar = Lifecycle(
        "stablecoin_transfer",
        """
        scheduled  execute  confirmed
        scheduled  cancel   cancelled
        scheduled  fail     failed
        """,
    )

    emits: ClassVar = ("stablecoin.transferred", "stablecoin.transfer.scheduled")
    complete: ClassVar = with_heights

    amount: Money
    """What the recipient gets."""
    currency: str = SSUSD
    """Always `ssusd`."""
    sender: Wallet = msgspec.field(name="from")
    """The wallet that pays."""
    recipient: Wallet = msgspec.field(name="to")
    """The wallet that is paid."""
    memo: str | None = None
    """Your words to the recipient, who reads them in the transaction."""
    priority: Priority
    """As you sent it; it does not change the order."""
    fees: TransferFees
    """What the sender pays on top."""
    balance_after: Money
    """What was available to the sender right after this last changed."""
    transaction: TransactionSummary | None = None
    """The ledger transaction that paid the recipient; null while there is none."""
    status: Literal["scheduled", "confirmed", "cancelled", "failed"] = "confirmed"
    """Whether the money has moved (`confirmed`), is set aside, or is the sender's again."""
    scheduled_at: Time | None = None
    """When it is to be made, Unix seconds; null for one that was made at once."""
    batch: str | None = None
    """The batch it came in."""
    failure_code: str | None = None
    """Why a scheduled transfer failed: `sanctioned_party`, an address had been blocked."""


class Order(NamedTuple):
    """One transfer that was asked for and may be made."""

    recipient: Address
    amount: Money
    memo: str | None
    metadata: dict[str, str]


class Terms(NamedTuple):
    """What all transfers of one request share."""

    sender: Address
    priority: Priority
    scheduled_at: int | None = None
    batch: str | None = None


class ExecuteTransfer(msgspec.Struct, frozen=True):
    """A scheduled transfer whose time has come."""

    id: str
    sender: str
    recipient: str


def make(tx: Tx, terms: Terms, orders: list[Order]) -> list[Transfer]:
    """Make transfers that were found to be in order, and affordable together."""
    sender = terms.sender
    payer = wallet.available(sender)
    left = tx.balance(payer)
    made: list[Transfer] = []
    for recipient, amount, memo, metadata in orders:
        left -= amount.minor + NETWORK_FEE.minor
        id_ = tx.new_id("tr")
        booked = None
        if terms.scheduled_at is None:
            booking = stablecoin.transferred(
                id_,
                amount,
                NETWORK_FEE,
                payer=payer,
                payee=wallet.available(recipient),
                sender=sender.address,
                recipient=recipient.address,
                memo=memo,
            )
            booked = tx.post(booking)
            transaction.tell_recipient(tx, booked, booking)
        else:
            _set_aside(tx, terms, id_, amount, recipient)
        transfer = Transfer(
            id=id_,
            livemode=sender.livemode,
            created=tx.now,
            metadata=metadata,
            amount=amount,
            sender=sender.address,
            recipient=recipient.address,
            memo=memo,
            priority=terms.priority,
            fees=_FEES,
            balance_after=Money(left, SSUSD),
            transaction=None if booked is None else summary(booked),
            status="scheduled" if booked is None else "confirmed",
            scheduled_at=terms.scheduled_at,
            batch=terms.batch,
        )
        event = "stablecoin.transferred" if booked else "stablecoin.transfer.scheduled"
        made.append(tx.add(transfer, event=event))
    return made


def _set_aside(tx: Tx, terms: Terms, id_: str, amount: Money, recipient: Address) -> Booked:
    """Lock what a transfer will cost, and have it made when its time comes."""
    assert terms.scheduled_at is not None
    sender = terms.sender
    held = stablecoin.Wallet(tx.caller.account, sender.livemode, sender.address)
    booked = tx.post(stablecoin.scheduled(id_, amount, NETWORK_FEE, wallet=held))
    params = msgspec.json.encode(ExecuteTransfer(id_, sender.address, recipient.address))
    tx.defer(EXECUTE, id_, params, at=terms.scheduled_at)
    return booked
