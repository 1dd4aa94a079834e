"""Proofs: that a transaction is in a block, and a block in the chain, checked without a server.

This module needs nothing but Python. Hash trees are those of RFC 9162 (Certificate Transparency),
section 2.1: a leaf is hashed with a byte 0x00 before it and a node with 0x01, so that neither can
be taken for the other; the tree of n leaves is split at the largest power of two below n.

    proof = requests.get(f"{url}/v1/stablecoin/transactions/{id}/proof", ...).json()
    transaction = commerce.proofs.verify(proof, block_hash)

where `block_hash` came from somewhere you trust: that is what the proof is against.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BLOCK_VERSION = b"commerce.block.1"
"""What the bytes of a block begin with."""
TRANSACTION_VERSION = "commerce.transaction.1"
"""What the canonical form of a transaction begins with."""
GENESIS = bytes(32)
"""The hash before the first block's."""

_MEMBERS = (
    "account",
    "id",
    "created",
    "type",
    "source",
    "booking",
    "amount",
    "currency",
    "from",
    "to",
    "memo",
)


class ProofError(ValueError):
    """The proof does not hold; the message says where it breaks."""


def verify(proof: Mapping[str, Any], block_hash: str) -> dict[str, Any]:
    """Check an inclusion proof against the hash of its block, and give what it proves.

    That is the transaction in its canonical form: `account`, `id`, `created` (Unix seconds),
    `type`, `source`, `booking`, `amount`, `currency`, `from`, `to`, `memo` and `postings`, each of
    which is `debit` and `credit` (an account's owner and its code), `currency` and `amount`, in
    the smallest unit. Raises `ProofError`.
    """
    try:
        canonical = str(proof["canonical"]).encode()
        tx_hash, block = bytes.fromhex(proof["tx_hash"]), proof["block"]
        path = [bytes.fromhex(step) for step in proof["path"]]
        index, size = int(proof["index"]), int(block["transaction_count"])
        root = bytes.fromhex(block["merkle_root"])
        previous = bytes.fromhex(block["previous_hash"])
        height, created = int(block["height"]), int(block["created"])
        hashed = hash_of_block(height, previous, root, created, size)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ProofError(f"the proof is incomplete or malformed: {error}") from None
    if hashlib.sha256(canonical).digest() != tx_hash:
        raise ProofError("tx_hash is not the hash of the canonical form")
    if root_of(tx_hash, index, size, path) != root:
        raise ProofError("the path does not lead from the transaction to the block's root")
    if hashed.hex() != block_hash.lower():
        raise ProofError("the block in the proof has another hash")
    return _read(canonical)


def _read(canonical: bytes) -> dict[str, Any]:
    version, *members, postings = json.loads(canonical)
    if version != TRANSACTION_VERSION:
        raise ProofError(f"this version of the canonical form is not known here: {version}")
    read = dict(zip(_MEMBERS, members, strict=True))
    read["postings"] = [
        {
            "debit": {"owner": debtor, "code": debit},
            "credit": {"owner": creditor, "code": credit},
            "currency": currency,
            "amount": amount,
        }
        for debtor, debit, creditor, credit, currency, amount in postings
    ]
    return read


def hash_of_block(
    height: int, previous_hash: bytes, merkle_root: bytes, created: int, count: int
) -> bytes:
    """SHA-256 of a block: its version, height, previous hash, root, time and number of leaves.

    The numbers are 8 bytes each, the most significant first; the time is Unix seconds.
    """
    numbers = [number.to_bytes(8, "big") for number in (height, created, count)]
    joined = BLOCK_VERSION + numbers[0] + previous_hash + merkle_root + numbers[1] + numbers[2]
    return hashlib.sha256(joined).digest()


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The root of the tree over leaves, in memory that grows with the depth of the tree alone."""
    stack: list[bytes] = []
    for count, leaf in enumerate(leaves, 1):
        stack.append(_leaf(leaf))
        # Each time a subtree of a power of two is full it is one node.
        for _ in range((count & -count).bit_length() - 1):
            right = stack.pop()
            stack.append(_node(stack.pop(), right))
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack.pop()
    while stack:
        root = _node(stack.pop(), root)
    return root


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path from a leaf to the root: the other half of each split, the lowest first.

    Raises IndexError for a leaf that is not there.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} of {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if index < split:
        return [*inclusion_path(left, index), merkle_root(right)]
    return [*inclusion_path(right, index - split), merkle_root(left)]


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a path leads to from a leaf of a tree of that size.

    Raises `ProofError` where the path has another length than such a leaf's.
    """
    if not 0 <= index < size:
        raise ProofError("the index is outside of the block")
    sides: list[bool] = []
    while size > 1:
        split = _split(size)
        sides.append(index >= split)
        index, size = (index - split, size - split) if index >= split else (index, split)
    if len(sides) != len(path):
        raise ProofError("the path has another length than its place in the block asks for")
    node = _leaf(leaf)
    for is_right, other in zip(reversed(sides), path, strict=True):
        node = _node(other, node) if is_right else _node(node, other)
    return node


def _split(size: int) -> int:
    """The largest power of two below a size of at least two."""
    return 1 << (size - 1).bit_length() - 1


def _leaf(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
