"""Blocks: stretches of the ledger's transactions, closed for good and chained by their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from commerce.ledger.entry import TRANSACTION
from commerce.proofs import GENESIS, hash_of_block, merkle_root
from commerce.store.table import Column, Filter, Index, Page, Row, Table

BLOCK = Table(
    "ledger_block",
    [
        Column("livemode", "boolean"),
        Column("height", "bigint"),
        Column("created", "bigint"),
        Column("previous_hash", "bytea"),
        Column("merkle_root", "bytea"),
        Column("transaction_count", "bigint"),
        Column("until", "bigint"),
        Column("hash", "bytea"),
    ],
    key=("livemode", "height"),
    rank=2150,
)
"""Each mode's chain of blocks: only ever added to."""

BY_MARK = Index(BLOCK, ("livemode", "until"))
"""The block of a mark is the first one that ends above it."""

MARKED = Index(
    TRANSACTION,
    ("account", "livemode", "id"),
    select=("account", "livemode", "id", "mark"),
)
"""Transactions by their ids, of which nothing but the mark is read."""

LEAVES = ("mark", "account", "id", "tx_hash")
"""What is read of a block's transactions: their order, which is that of the tree, and its leaves.
"""


class Block(NamedTuple):
    """A closed block."""

    livemode: bool
    height: int
    """1 for the first of a mode."""
    created: int
    """When it was closed, Unix seconds; never before the block before it."""
    previous_hash: bytes
    merkle_root: bytes
    """The RFC 9162 root over the hashes of its transactions, in the order of `LEAVES`."""
    transaction_count: int
    until: int
    """The mark at which it ends, which is not in it any more."""
    hash: bytes

    @classmethod
    def of(cls, row: Row) -> Self:
        """A row as a block."""
        return cls(*row)


def close(last: Block | None, livemode: bool, hashes: Sequence[bytes], until: int, now: int) -> Row:
    """The row of the block that follows the last one, over the hashes of its transactions."""
    height = 1 if last is None else last.height + 1
    previous = GENESIS if last is None else last.hash
    created = now if last is None else max(now, last.created)
    root = merkle_root(hashes)
    hashed = hash_of_block(height, previous, root, created, len(hashes))
    return (livemode, height, created, previous, root, len(hashes), until, hashed)


def leaves(livemode: bool, begin: int, until: int, limit: int, after: Row | None = None) -> Page:
    """A page of the transactions with marks from `begin` to below `until`, in the tree's order."""
    filters = [
        Filter("livemode", "=", livemode),
        Filter("mark", ">=", begin),
        Filter("mark", "<", until),
    ]
    order = ("mark", "account", "id")
    place = None if after is None else after[:3]
    return Page(TRANSACTION, filters, order, limit, place, ascending=True, select=LEAVES)


def first_unsealed(last: Block | None, livemode: bool) -> Page:
    """When the first transaction was made that is in no block, if there is one."""
    begin = 0 if last is None else last.until
    filters = [Filter("livemode", "=", livemode), Filter("mark", ">=", begin)]
    order = ("mark", "account", "id")
    return Page(TRANSACTION, filters, order, 1, ascending=True, select=("created",))


def last_block(livemode: bool, *filters: Filter) -> Page:
    """The last block of a mode of which these conditions hold."""
    conditions = [Filter("livemode", "=", livemode), *filters]
    return Page(BLOCK, conditions, ("height",), 1)
