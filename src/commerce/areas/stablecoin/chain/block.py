"""Blocks as clients read them: the ledger's public record."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from commerce.kernel.errors import ApiError
from commerce.ledger.block import BLOCK, last_block
from commerce.ledger.block import Block as Closed
from commerce.resource.example import Example
from commerce.resource.listing import LIMIT_DEFAULT, LIMIT_MAX
from commerce.resource.operation import Params, view
from commerce.resource.reading import Reading
from commerce.store.table import Filter, Page

Height = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class Block(msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="stablecoin_block"):
    """A closed stretch of the ledger: what is in it can be proved, and never changes.

    Its hash is SHA-256 over `commerce.block.1`, then height, previous hash, root, time and number
    of transactions: the hashes as 32 bytes, the numbers as 8 bytes, the most significant first.
    """

    livemode: bool
    """False in test mode, which has a chain of its own."""
    height: int
    """Its number: 1 for the first block."""
    hash: str
    """Its hash, hexadecimal. Whoever keeps it can check all that came before."""
    previous_hash: str
    """The hash of the block before it; zeros before the first."""
    merkle_root: str
    """The RFC 9162 root over the hashes of its transactions."""
    transaction_count: int
    """How many transactions it holds: of all accounts, in this mode."""
    created: int
    """When it was closed, Unix seconds."""


class BlockList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of blocks, newest first."""

    object: Literal["list"] = "list"
    """Always `list`."""
    url: str
    """Where this list is."""
    has_more: bool
    """Whether there are more blocks beyond this page, in the direction it was asked in."""
    data: list[Block]
    """The blocks."""


class ListBlocks(Params, frozen=True, kw_only=True):
    """Which blocks."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT
    """How many, 1 to 100."""
    starting_after: Height | None = None
    """A height: the blocks below it."""
    ending_before: Height | None = None
    """A height: the blocks above it, the nearest ones."""


class OneBlock(Params, frozen=True, kw_only=True):
    """Which block."""

    height: Height
    """Its height."""


def shown(closed: Closed) -> Block:
    """A block in the words of the API."""
    return Block(
        livemode=closed.livemode,
        height=closed.height,
        hash=closed.hash.hex(),
        previous_hash=closed.previous_hash.hex(),
        merkle_root=closed.merkle_root.hex(),
        transaction_count=closed.transaction_count,
        created=closed.created,
    )


async def closed(reading: Reading, *filters: Filter) -> Closed | None:
    """The last block of the caller's mode of which these conditions hold."""
    rows = await reading.everyones(last_block(reading.caller.livemode, *filters))
    return Closed.of(rows[0]) if rows else None


async def example(example: Example) -> dict[str, object]:
    """The first block, which is there once anything is proved."""
    await example.fund("100.00")
    page = await example.call("GET /stablecoin/transactions", limit=1)
    await example.call("GET /stablecoin/transactions/{id}/proof", id=page["data"][0]["id"])
    return {"height": 1}


@view(BlockList, "GET /stablecoin/blocks", scope="stablecoin:read", params=ListBlocks)
async def blocks(reading: Reading, params: ListBlocks) -> BlockList:
    """The blocks of this mode, newest first. They are everybody's, and say nothing of accounts."""
    if params.starting_after is not None and params.ending_before is not None:
        message = "Send 'starting_after' or 'ending_before', not both."
        raise ApiError("cursor_invalid", message, param="ending_before")
    ascending = params.ending_before is not None
    cursor = params.ending_before if ascending else params.starting_after
    page = Page(
        BLOCK,
        [Filter("livemode", "=", reading.caller.livemode)],
        ("height",),
        params.limit + 1,
        None if cursor is None else (cursor,),
        ascending,
    )
    rows = await reading.everyones(page)
    data = [shown(Closed.of(row)) for row in rows[: params.limit]]
    if ascending:
        data.reverse()
    return BlockList(url="/v1/stablecoin/blocks", has_more=len(rows) > params.limit, data=data)


@view(
    Block,
    "GET /stablecoin/blocks/{height}",
    scope="stablecoin:read",
    params=OneBlock,
    example=example,
)
async def block(reading: Reading, params: OneBlock) -> Block:
    """One block of this mode."""
    found = await closed(reading, Filter("height", "=", params.height))
    if found is None:
        raise ApiError("resource_missing", f"No such block: {params.height}.", param="height")
    return shown(found)
