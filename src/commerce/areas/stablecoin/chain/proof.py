"""Proofs of transactions: what it takes to check one against a block, without this server."""

from __future__ import annotations

import asyncio

import msgspec

from commerce.areas.stablecoin import history
from commerce.areas.stablecoin.chain import height
from commerce.areas.stablecoin.chain.block import Block, closed, shown
from commerce.areas.stablecoin.transaction import Transaction
from commerce.kernel import address as addresses
from commerce.kernel.errors import ApiError
from commerce.ledger.block import Block as Closed
from commerce.ledger.block import leaves
from commerce.ledger.entry import canonical_of
from commerce.proofs import inclusion_path
from commerce.resource.example import Example
from commerce.resource.operation import Params, view
from commerce.resource.reading import Reading
from commerce.resource.ref import Ref
from commerce.store.table import Filter, Row

WAIT_SECONDS = 2.0
"""How long a proof waits for the transaction's block, which is closed within a second."""
LOOK_SECONDS = 0.1


class Proof(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="stablecoin_proof"):
    """That a transaction is in a block, for `commerce.proofs.verify` or anybody's own check.

    The SHA-256 of `canonical` is `tx_hash`, a leaf of the block's tree; `path` leads from it to
    the block's `merkle_root` as RFC 9162 says; and the block's hash is over the root.
    """

    transaction: Ref[Transaction]
    """The transaction."""
    livemode: bool
    """False in test mode."""
    tx_hash: str
    """SHA-256 over the canonical form, hexadecimal."""
    canonical: str
    """The canonical form: compact JSON of version, account, id, created, type, source, booking, \
amount, currency, from, to, memo, and postings of debit owner, debit code, credit owner, credit \
code, currency and amount. Amounts are integers of the smallest unit."""
    index: int
    """The transaction's place among those of the block, the first is 0."""
    path: list[str]
    """The hashes beside the way to the root, hexadecimal, the lowest first."""
    block: Block
    """The block."""


class OneTransaction(Params, frozen=True, kw_only=True):
    """Which transaction."""

    id: str
    """Its id: one that you caused, or that paid you."""


async def example(example: Example) -> dict[str, object]:
    """A transfer, and the transaction that made it."""
    await example.fund("100.00")
    outside = addresses.encode(bytes(addresses.BYTES))
    await example.call("POST /stablecoin/transfer", to=outside, amount="1.00")
    page = await example.call("GET /stablecoin/transactions", limit=1)
    return {"id": page["data"][0]["id"]}


@view(
    Proof,
    "GET /stablecoin/transactions/{id}/proof",
    scope="stablecoin:read",
    params=OneTransaction,
    example=example,
)
async def proof(reading: Reading, params: OneTransaction) -> Proof:
    """Prove that a transaction is in a block, to anybody who knows that block's hash.

    It waits for the block, which is closed within a second; `unavailable` if it is not.
    """
    row = await history.row_of(reading, params.id)
    if row is None:
        raise await reading.missing(Transaction.__noun__, params.id)
    block = await _block(reading, row)
    before = await closed(reading, Filter("height", "<", block.height))
    begin = 0 if before is None else before.until
    page = leaves(block.livemode, begin, block.until, block.transaction_count)
    rows = await reading.everyones(page)
    index = next(at for at, leaf in enumerate(rows) if leaf[1:3] == (row[0], row[2]))
    path = inclusion_path([leaf[3] for leaf in rows], index)
    return Proof(
        transaction=Ref[Transaction](params.id),
        livemode=block.livemode,
        tx_hash=rows[index][3].hex(),
        canonical=canonical_of(row).decode(),
        index=index,
        path=[step.hex() for step in path],
        block=shown(block),
    )


async def _block(reading: Reading, row: Row) -> Closed:
    """The block of a transaction, waited for."""
    mark = (row[1], row[-1])
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        found = await height.blocks_of(reading, [mark])
        if mark in found:
            return found[mark]
        if asyncio.get_running_loop().time() > deadline:
            message = "The transaction's block is not closed yet: sealing is behind."
            raise ApiError("unavailable", message, headers={"Retry-After": "1"})
        await asyncio.sleep(LOOK_SECONDS)
