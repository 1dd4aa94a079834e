"""Heights: in which block a transaction is, and what a wallet held there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from commerce.ledger.account import BALANCE, LedgerAccount
from commerce.ledger.block import BY_MARK, MARKED, Block
from commerce.ledger.entry import ENTRY
from commerce.resource.reading import Reading
from commerce.store.table import Key

ENTRIES_AT, MARK_AT = 7, 8


async def heights(reading: Reading, keys: Sequence[Key]) -> dict[Key, int]:
    """The heights of those of these transactions that are in a block."""
    marks = {row[:3]: (row[1], row[3]) for row in await reading.find(MARKED, keys)}
    blocks = await blocks_of(reading, list(set(marks.values())))
    return {key: blocks[mark].height for key, mark in marks.items() if mark in blocks}


async def blocks_of(reading: Reading, marks: Sequence[Key]) -> dict[Key, Block]:
    """The blocks that hold these marks, each a mode and a mark; none for what is not sealed."""
    found = [Block.of(row) for row in await reading.above(BY_MARK, marks)]
    found.sort(key=lambda block: block.until)
    holders = ((mark, _first(found, mark)) for mark in marks)
    return {mark: block for mark, block in holders if block is not None}


def _first(blocks: list[Block], mark: Key) -> Block | None:
    return next((b for b in blocks if b.livemode == mark[0] and b.until > mark[1]), None)


async def with_heights(reading: Reading, things: list[Any]) -> list[Any]:
    """Objects with the height of the transaction that each of them names."""
    told = [thing.transaction for thing in things]
    keys = [reading.key(each.id) for each in told if each is not None]
    found = await heights(reading, keys) if keys else {}
    return [
        thing if each is None else _placed(thing, found.get(reading.key(each.id)))
        for thing, each in zip(things, told, strict=True)
    ]


def _placed(thing: Any, height: int | None) -> Any:
    replace = msgspec.structs.replace
    return replace(thing, transaction=replace(thing.transaction, block_height=height))


async def last_entry(reading: Reading, account: LedgerAccount, until: int) -> int:
    """The number of an account's last entry with a mark below `until`; 0 where there is none.

    Marks never fall from one entry to the next, so it is found by halves.
    """
    key = (account.owner, account.livemode, account.code, account.currency)
    row = await reading.point(BALANCE.key, key)
    low, high = 0, 0 if row is None else row[ENTRIES_AT]
    if row is None or row[MARK_AT] < until:
        return int(high)
    while low < high:
        middle = (low + high + 1) // 2
        entry = await reading.point(ENTRY.key, (*key, middle))
        assert entry is not None, "an account has all of its entries"
        if entry[-1] < until:
            low = middle
        else:
            high = middle - 1
    return int(low)
