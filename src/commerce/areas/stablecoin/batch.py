"""Batches: many transfers in one request, of which all are made or none."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from commerce.areas.stablecoin import movement
from commerce.areas.stablecoin.movement import Order, Priority, Terms, Transfer, TransferFees
from commerce.engine.tx import Tx, missing
from commerce.kernel.currency import SSUSD
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.noun import Time
from commerce.resource.operation import Params, view
from commerce.resource.parameter import Amount, Id, Memo, Metadata
from commerce.resource.reading import Reading, completed
from commerce.store.table import Filter, Page


class TransferRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One transfer of a batch."""

    recipient: str = msgspec.field(name="to")
    """The wallet to be paid: any valid address."""
    amount: Amount
    """How much, in ssUSD; or a coin, `{"denom": "ssusd", "amount": "<millionths>"}`."""
    memo: Memo | None = None
    """Your words to the recipient, up to 256 characters."""
    metadata: Metadata = {}
    """Pairs of your own."""


class BatchTransfer(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="stablecoin_batch_transfer"
):
    """Transfers that were made together.

    What they have in common stands here; each is a transfer of its own, with its own ledger
    transaction and event, and is found in the list of transfers by its `batch`.
    """

    id: str
    """The batch's id."""
    livemode: bool
    """False in test mode."""
    created: Time
    """When it was made, Unix seconds."""
    metadata: dict[str, str] = {}
    """Always empty: pairs of your own belong to the transfers."""
    currency: str = SSUSD
    """Always `ssusd`."""
    sender: str = msgspec.field(name="from")
    """The wallet that pays all of them."""
    total_amount: Money
    """What the recipients get in all."""
    fees: TransferFees
    """What the sender pays on top, in all."""
    priority: Priority
    """As you sent it; it does not change the order."""
    scheduled_at: Time | None = None
    """When they are to be made, Unix seconds; null for those that were made at once."""
    balance_after: Money
    """What was available to the sender right after the last of them."""
    transfers: list[Transfer]
    """The transfers, in the order in which you sent them."""


class OneBatch(Params, frozen=True, kw_only=True):
    """Which batch."""

    id: Id
    """The batch's id."""


def make(tx: Tx, terms: Terms, orders: list[Order]) -> BatchTransfer:
    """Make transfers that were found to be in order together."""
    id_ = tx.new_id("bat")
    tx.added.add(id_)
    made = movement.make(tx, terms._replace(batch=id_), orders)
    # Each transfer's JSON stands in its event already.
    bodies = [msgspec.Raw(tx.emitted[transfer.id].body) for transfer in made]
    return msgspec.structs.replace(_of(id_, made), transfers=bodies)


def _of(id_: str, transfers: list[Transfer]) -> BatchTransfer:
    first, last = transfers[0], transfers[-1]
    total = sum(each.amount.minor for each in transfers)
    fees = sum(each.fees.network_fee.minor for each in transfers)
    return BatchTransfer(
        id=id_,
        livemode=first.livemode,
        created=first.created,
        sender=first.sender,
        total_amount=Money(total, SSUSD),
        fees=TransferFees(network_fee=Money(fees, SSUSD)),
        priority=first.priority,
        scheduled_at=first.scheduled_at,
        balance_after=last.balance_after,
        transfers=transfers,
    )


async def example(example: Example) -> dict[str, object]:
    """A batch of two."""
    await example.fund("100.00")
    rows = [{"to": example.other_wallet, "amount": "5.00", "memo": name} for name in ("a", "b")]
    made = await example.call("POST /stablecoin/transfer", transfers=rows)
    return {"id": made["id"]}


@view(
    BatchTransfer,
    "GET /stablecoin/batch_transfers/{id}",
    scope="stablecoin:read",
    params=OneBatch,
    example=example,
)
async def batch_transfer(reading: Reading, params: OneBatch) -> BatchTransfer:
    """A batch of transfers, as its transfers are now."""
    kind = Transfer.__noun__
    filters = [Filter("batch", "=", params.id)]
    page = Page(kind.table, filters, ("id",), movement.ROWS_MAX, ascending=True)
    rows = await reading.page(page)
    if rows:
        return _of(params.id, await completed(reading, kind, rows))
    livemode = reading.caller.livemode
    elsewhere = await reading.page(page._replace(limit=1), livemode=not livemode)
    raise missing(_BATCH, params.id, livemode if elsewhere else None)


class _Named(NamedTuple):
    name: str


_BATCH = _Named("stablecoin_batch_transfer")
