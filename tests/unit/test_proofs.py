"""Proofs against trees built another way, and every way to tamper with one."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce import proofs
from commerce.proofs import ProofError, verify

hashes = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


def root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, word by word."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    both = root_by_definition(leaves[:split]) + root_by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + both).digest()


def test_the_roots_are_those_of_the_test_vectors_of_certificate_transparency() -> None:
    """The first six leaves of certificate-transparency-go's tests of its Merkle tree."""
    leaves = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
    assert proofs.merkle_root([]).hex().startswith("e3b0c44298fc1c149afbf4c8996fb924")
    roots = [proofs.merkle_root(leaves[:count]).hex() for count in range(1, 7)]
    assert [root[:16] for root in roots] == [
        "6e340b9cffb37a98",
        "fac54203e7cc696c",
        "aeb6bcfe274b70a1",
        "d37ee418976dd957",
        "4e3bbb1f7b478dcf",
        "76e67dadbcdf1e10",
    ]


@given(hashes)
def test_the_root_is_that_of_the_definition(leaves: list[bytes]) -> None:
    assert proofs.merkle_root(iter(leaves)) == root_by_definition(leaves)


@given(hashes, st.data())
def test_the_path_of_each_leaf_leads_to_the_root_and_no_other_does(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = proofs.inclusion_path(leaves, index)
    root = root_by_definition(leaves)
    assert proofs.root_of(leaves[index], index, len(leaves), path) == root
    assert proofs.root_of(bytes(31), index, len(leaves), path) != root
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        bent = [bytes(32) if n == at else step for n, step in enumerate(path)]
        assert proofs.root_of(leaves[index], index, len(leaves), bent) != root
    with pytest.raises(ProofError, match="another length"):
        proofs.root_of(leaves[index], index, len(leaves), [*path, bytes(32)])


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_that_is_not_there_has_no_path(index: int) -> None:
    with pytest.raises(IndexError):
        proofs.inclusion_path([bytes(32)] * 3, index)
    with pytest.raises(ProofError, match="outside"):
        proofs.root_of(bytes(32), index, 3, [])


POSTING = ["acct_1", "wallet:a:available", "acct_2", "wallet:b:available", "ssusd", 5]


def proof_of(index: int = 1, size: int = 3) -> tuple[dict[str, Any], str]:
    """A good proof, and the hash of its block."""
    members = ["commerce.transaction.1", "acct_1", "txn_1", 7, "transfer", "tr_1", "transferred"]
    members += [5, "ssusd", "a", "b", None, [POSTING]]
    canonical = json.dumps(members, separators=(",", ":"))
    leaf = hashlib.sha256(canonical.encode()).digest()
    leaves = [leaf if at == index else bytes([at]) * 32 for at in range(size)]
    root = root_by_definition(leaves)
    block = {
        "height": 9,
        "previous_hash": "ab" * 32,
        "merkle_root": root.hex(),
        "created": 1_795_435_200,
        "transaction_count": size,
    }
    hashed = proofs.hash_of_block(9, bytes.fromhex("ab" * 32), root, 1_795_435_200, size)
    path = [step.hex() for step in proofs.inclusion_path(leaves, index)]
    proof = {
        "canonical": canonical,
        "tx_hash": leaf.hex(),
        "index": index,
        "path": path,
        "block": block,
    }
    return proof, hashed.hex()


def test_a_good_proof_gives_the_transaction() -> None:
    proof, block_hash = proof_of()
    assert verify(proof, block_hash.upper()) == {
        "account": "acct_1",
        "id": "txn_1",
        "created": 7,
        "type": "transfer",
        "source": "tr_1",
        "booking": "transferred",
        "amount": 5,
        "currency": "ssusd",
        "from": "a",
        "to": "b",
        "memo": None,
        "postings": [
            {
                "debit": {"owner": "acct_1", "code": "wallet:a:available"},
                "credit": {"owner": "acct_2", "code": "wallet:b:available"},
                "currency": "ssusd",
                "amount": 5,
            }
        ],
    }


def test_the_hash_of_a_block_is_over_these_bytes() -> None:
    text = b"commerce.block.1" + (1).to_bytes(8, "big") + b"p" * 32 + b"r" * 32
    text += (5).to_bytes(8, "big") + (2).to_bytes(8, "big")
    assert proofs.hash_of_block(1, b"p" * 32, b"r" * 32, 5, 2) == hashlib.sha256(text).digest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"canonical": "[]"}, "not the hash of the canonical form"),
        ({"tx_hash": "00" * 32}, "not the hash of the canonical form"),
        ({"index": 0}, "does not lead"),
        ({"index": 7}, "outside"),
        ({"path": []}, "another length"),
        ({"path": ["00" * 32] * 2}, "does not lead"),
        ({"path": ["x"]}, "malformed"),
        ({"path": None}, "malformed"),
        ({"block": {}}, "incomplete"),
        ({"block": {"merkle_root": "00" * 32}}, "does not lead"),
        ({"block": {"height": 8}}, "another hash"),
        ({"block": {"height": -1}}, "malformed"),
        ({"block": {"height": 2**64}}, "malformed"),
        ({"block": {"created": float("inf")}}, "malformed"),
        ({"block": {"transaction_count": 10**40}}, "malformed"),
        ({"index": float("inf")}, "malformed"),
        ({"block": {"created": 1}}, "another hash"),
        ({"block": {"previous_hash": "00" * 32}}, "another hash"),
    ],
)
def test_a_proof_that_was_tampered_with_does_not_hold(change: dict[str, Any], said: str) -> None:
    proof, block_hash = proof_of()
    block = {**proof["block"], **change["block"]} if change.get("block") else change.get("block")
    changed = {**proof, **change, "block": proof["block"] if block is None else block}
    with pytest.raises(ProofError, match=said):
        verify(changed, block_hash)


def test_a_proof_against_another_block_does_not_hold() -> None:
    proof, _ = proof_of()
    with pytest.raises(ProofError, match="another hash"):
        verify(proof, "00" * 32)


def test_a_canonical_form_of_another_version_is_not_read() -> None:
    with pytest.raises(ProofError, match="not known here"):
        proofs._read(b'["commerce.transaction.9",[]]')


def test_the_module_needs_nothing_but_python() -> None:
    source = str(Path(proofs.__file__).parents[1])
    code = "import commerce.proofs; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = [{source!r}]; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    ours = {name for name in ran.stdout.split() if name.startswith("commerce")}
    assert ours == {"commerce", "commerce.proofs"}
