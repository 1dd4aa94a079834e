"""Ledger transactions as clients read them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec

from commerce.areas.stablecoin import history
from commerce.areas.stablecoin.chain.height import blocks_of
from commerce.engine.money import Booked
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD
from commerce.kernel.money import Money
from commerce.ledger.entry import TRANSACTION, Booking
from commerce.resource.noun import COMPUTED, HIDDEN, Hash, Noun, Part, noun
from commerce.resource.reading import Reading
from commerce.resource.ref import refers
from commerce.resource.shelf import Shelf

TransactionType = Literal[
    "issue",
    "redeem",
    "transfer",
    "payment",
    "refund",
    "reserve",
    "settlement",
    "payout",
    "fee",
    "finance",
    "agent",
    "stock",
    "dispute",
]


SOURCE = refers(
    "dispute",
    "payment",
    "payout",
    "product",
    "refund",
    "stablecoin_issuance",
    "stablecoin_redemption",
    "stablecoin_reserve_deposit",
    "stablecoin_transfer",
)
"""What causes transactions, by name: all of it is declared above this."""
TYPES: dict[str, TransactionType] = {name: name for name in get_args(TransactionType)}


class TransactionSummary(Part, frozen=True, kw_only=True):
    """The ledger transaction that moved the money."""

    __stands_for__ = "stablecoin_transaction"

    id: str
    """The transaction's id."""
    tx_hash: Hash
    """SHA-256 over the transaction's canonical form."""
    block_height: Annotated[int | None, COMPUTED] = None
    """The block that holds it. Null until one does, which takes less than a second; so it is in
    the answer that made it, and in events."""
    chain: Literal["stateset"] = "stateset"
    """The ledger it is on."""


async def placed(reading: Reading, found: list[Any]) -> list[Any]:
    """Transactions with the heights of their blocks."""
    blocks = await blocks_of(reading, [(each.livemode, each.mark) for each in found])
    heights = {mark: block.height for mark, block in blocks.items()}
    return [
        msgspec.structs.replace(each, block_height=heights.get((each.livemode, each.mark)))
        for each in found
    ]


@noun(
    prefix="txn",
    rank=2000,
    path="stablecoin/transactions",
    order=("id",),
    scope="stablecoin:read",
    filters=("type", "status", "source", "amount"),
    table=TRANSACTION,
)
class Transaction(Noun, tag="stablecoin_transaction", frozen=True, kw_only=True):
    """A movement in the ledger: never changed, all of it or none.

    You read those that you caused, and those by which one of your wallets was paid. Lists may be
    asked for an `address`, and for a `direction`, `in` or `out`, as that address or as you see it.

    `from` and `to` are the wallets whose holdings changed. What moves within one wallet or behind
    the scenes has neither, and so stands under no address and no direction: `reserve` is dollars
    that came into the reserves, or what a scheduled transfer or a payment will cost, fee included,
    set aside or given back (its `source` is that object); `settlement` is the dollars of a
    redemption, sent. So what left an address is the sum over `direction=out`, with the fees of its
    transfers and payments.

    A payment has one for each wallet that it paid (`payment`) and one for the platform's share
    (`fee`), a refund one for each wallet that gave back; `amount` is what that wallet got. A wallet
    that pays itself has none, but for the fee.

    Pieces of a product move in the same ledger. A list holds what moved in ssUSD, unless it is
    asked for `type=stock`: then `amount` is whole pieces, and `currency` is `unit:<product>`.
    """

    shelf: ClassVar[Shelf]

    emits: ClassVar[tuple[str, ...]] = ("stablecoin.received",)
    complete: ClassVar[Any] = placed

    type: TransactionType
    """What kind of movement it is."""
    booking: Annotated[str, HIDDEN]
    source: Annotated[str, SOURCE]
    """The object that caused it."""
    amount: Money
    """How much moved, fees apart; of what is set aside, its fee included. Of stock, how many
    pieces."""
    currency: str = SSUSD
    """`ssusd`; of stock, `unit:` and the product's id."""
    sender: str | None = msgspec.field(default=None, name="from")
    """The address it left; null where none did, as for what was minted."""
    recipient: str | None = msgspec.field(default=None, name="to")
    """The address it came to; null where it came to none, as for what was burned."""
    status: Literal["confirmed"] = "confirmed"
    """A transaction that exists is confirmed."""
    postings: Annotated[msgspec.Raw, HIDDEN]
    tx_hash: Hash
    """SHA-256 over the transaction's canonical form."""
    block_height: Annotated[int | None, COMPUTED] = None
    """The block that holds it. Null until one does, which takes less than a second; so it is in
    events."""
    chain: Literal["stateset"] = "stateset"
    """The ledger it is on."""
    payee: Annotated[str | None, HIDDEN] = None
    memo: str | None = None
    """The sender's words to the recipient; of stock that was adjusted, why."""
    mark: Annotated[int, HIDDEN] = 0


Transaction.shelf = history.shelf(Transaction)


def tell_recipient(tx: Tx, booked: Booked, booking: Booking) -> None:
    """Tell the account that owns the recipient that it was paid, by the transaction it may read.

    The transfer itself stays the sender's: it says what the sender has left.
    """
    if booking.payee is None:
        return
    received = Transaction(
        id=booked.id,
        livemode=tx.caller.livemode,
        created=tx.now,
        type=TYPES[booking.type],
        booking=booking.name,
        source=booking.source,
        amount=Money(booking.amount, booking.currency),
        currency=booking.currency,
        sender=booking.sender,
        recipient=booking.recipient,
        postings=_UNSEEN,
        tx_hash=booked.tx_hash.hex(),
        memo=booking.memo,
    )
    body = Transaction.__noun__.encode(received)
    tx.tell(booking.payee, "stablecoin.received", booked.id, body)


_UNSEEN = msgspec.Raw(b"null")
"""In place of what an event does not show."""


def summary(booked: Booked) -> TransactionSummary:
    """A booked transaction in the words of the object that caused it."""
    return TransactionSummary(id=booked.id, tx_hash=booked.tx_hash.hex())
