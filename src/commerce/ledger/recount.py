"""The chain, counted again from hashes, by code that shares nothing with the sealer's."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

ROWS_AT_ONCE = 5_000

_TRANSACTIONS = """
    SELECT mark, tx_hash FROM ledger_transaction WHERE livemode = $1 ORDER BY mark, account, id"""
_BLOCKS = """
    SELECT height, created, previous_hash, merkle_root, transaction_count, until, hash
    FROM ledger_block WHERE livemode = $1 ORDER BY height"""


class _Tree:
    """A Merkle tree that grows leaf by leaf: the roots of its whole subtrees, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        self.size += 1
        node, height = hashlib.sha256(b"\0" + leaf).digest(), 0
        while self._roots and self._roots[-1][0] == height:
            left = self._roots.pop()[1]
            node, height = hashlib.sha256(b"\1" + left + node).digest(), height + 1
        self._roots.append((height, node))

    def root(self) -> bytes:
        node = self._roots[-1][1]
        for _, left in reversed(self._roots[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


async def wrong(
    connection: Connection, told: Callable[[int], None] = lambda _: None
) -> AsyncGenerator[dict[str, Any], None]:
    """What does not agree between the hashes of transactions and the blocks that hold them.

    `told` hears of every few thousand transactions that were looked at. Reads by cursor, in
    memory that does not grow; the connection must be in a transaction.
    """
    for livemode in (False, True):
        async for finding in _wrong_in(connection, livemode, told):
            yield {"livemode": livemode, **finding}


async def _wrong_in(
    connection: Connection, livemode: bool, told: Callable[[int], None]
) -> AsyncGenerator[dict[str, Any], None]:
    blocks = connection.cursor(_BLOCKS, livemode, prefetch=ROWS_AT_ONCE).__aiter__()
    last: Any = None
    block = await anext(blocks, None)
    tree = _Tree()
    looked = 0
    async for mark, tx_hash in connection.cursor(_TRANSACTIONS, livemode, prefetch=ROWS_AT_ONCE):
        looked += 1
        if looked % ROWS_AT_ONCE == 0:
            told(ROWS_AT_ONCE)
        while block is not None and mark >= block["until"]:
            for finding in _of_block(block, last, tree):
                yield finding
            last, block, tree = block, await anext(blocks, None), _Tree()
        tree.add(tx_hash)
    while block is not None:
        for finding in _of_block(block, last, tree):
            yield finding
        last, block, tree = block, await anext(blocks, None), _Tree()


def _of_block(block: asyncpg.Record, last: Any, tree: _Tree) -> Iterator[dict[str, Any]]:
    height = block["height"]
    before = bytes(32) if last is None else last["hash"]
    if height != (1 if last is None else last["height"] + 1):
        yield {"block": height, "problem": "height"}
    if block["previous_hash"] != before:
        yield {"block": height, "problem": "previous_hash"}
    if last is not None and block["created"] < last["created"]:
        yield {"block": height, "problem": "created"}
    if block["transaction_count"] != tree.size:
        yield {"block": height, "problem": "transaction_count", "found": tree.size}
    elif block["merkle_root"] != tree.root():
        yield {"block": height, "problem": "merkle_root"}
    numbers = (height, block["created"], block["transaction_count"])
    first, second, third = (number.to_bytes(8, "big") for number in numbers)
    joined = b"commerce.block.1" + first + block["previous_hash"] + block["merkle_root"]
    if hashlib.sha256(joined + second + third).digest() != block["hash"]:
        yield {"block": height, "problem": "hash"}
