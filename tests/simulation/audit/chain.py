"""The chain: every transaction in exactly one block, or newer than the last one, proved anew."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import NamedTuple

from tests.simulation.audit.facts import Row, agree

GENESIS = bytes(32)
"""What the first block names as the hash of the one before it."""


class Leaf(NamedTuple):
    """A transaction that waits for its block, in the order of the block's tree."""

    mark: int
    account: str
    id: str
    tx_hash: bytes


class _Chain:
    """The blocks of one mode, and what is in none of them yet."""

    def __init__(self) -> None:
        self.height = 0
        self.hash = GENESIS
        self.created = 0
        self.until = 0
        self.waiting: list[Leaf] = []


class Chains:
    """The chain of each mode."""

    def __init__(self) -> None:
        self._chains: defaultdict[bool, _Chain] = defaultdict(_Chain)
        self._marks: defaultdict[tuple[str, bool, str], int] = defaultdict(int)
        """The mark of the last entry on each account."""

    def commit(self, rows: dict[str, list[Row]], latest: int) -> None:
        """Take in what was booked, and what was closed over it. Raises `Disagreement`.

        `latest` is the latest time that any clock here has shown.
        """
        marks: dict[str, int] = {}
        for row in rows.get("ledger_transaction", ()):
            chain, mark = self._chains[row["livemode"]], row["mark"]
            agree(mark >= chain.until, "{} came behind block {}", row["id"], chain.height)
            chain.waiting.append(Leaf(mark, row["account"], row["id"], row["tx_hash"]))
            marks[row["id"]] = mark
        for row in rows.get("ledger_entry", ()):
            place, mark = (row["account"], row["livemode"], row["code"]), row["mark"]
            agree(mark == marks[row["transaction"]], "{}: an entry is marked {}", row["code"], mark)
            agree(mark >= self._marks[place], "{}: its marks fall to {}", row["code"], mark)
            self._marks[place] = mark
        for row in rows.get("ledger_block", ()):
            self._close(row, latest)

    def _close(self, row: Row, latest: int) -> None:
        """See that a block follows from the one before, and holds what it is to hold."""
        chain, name = self._chains[row["livemode"]], f"block {row['height']}"
        agree(row["height"] == chain.height + 1, "{} follows block {}", name, chain.height)
        agree(row["previous_hash"] == chain.hash, "{} follows another block", name)
        agree(row["until"] > chain.until, "{} ends before it begins", name)
        agree(chain.created <= row["created"] <= latest, "{}: of {}", name, row["created"])
        held = sorted(leaf for leaf in chain.waiting if leaf.mark < row["until"])
        agree(bool(held), "{} holds nothing", name)
        found = row["transaction_count"]
        agree(found == len(held), "{} counts {} transactions of {}", name, found, len(held))
        root = merkle_root([leaf.tx_hash for leaf in held])
        agree(row["merkle_root"] == root, "{}: its root is another's", name)
        numbers = [row["height"], row["created"], row["transaction_count"]]
        height, created, count = (number.to_bytes(8, "big") for number in numbers)
        parts = [b"commerce.block.1", height, row["previous_hash"], root, created, count]
        hash_ = hashlib.sha256(b"".join(parts)).digest()
        agree(row["hash"] == hash_, "{}: its hash is another's", name)
        chain.waiting = [leaf for leaf in chain.waiting if leaf.mark >= row["until"]]
        chain.height, chain.hash = row["height"], hash_
        chain.created, chain.until = row["created"], row["until"]

    def settled(self) -> None:
        """See that nothing waits for a block any more. Raises `Disagreement`."""
        for livemode, chain in self._chains.items():
            left = [leaf.id for leaf in chain.waiting]
            agree(not left, "live {}: in no block: {}", livemode, left)


def merkle_root(leaves: list[bytes]) -> bytes:
    """The root of RFC 9162, section 2.1.1, as its definition says it."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = merkle_root(leaves[:split]), merkle_root(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()
