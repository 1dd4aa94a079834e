"""The guides' snippets work, in the order they stand in, and every answer is what they say."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commerce.proofs import GENESIS, hash_of_block, merkle_root
from commerce.web.reference import guides
from tests.contract.surface import ENDPOINTS
from tests.process import Server
from tests.reference import shell

BLOCK = re.compile(r"^```sh ?(.*?)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"^```python (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
WITH_SNIPPETS = sorted(name for name, text in guides().items() if BLOCK.search(text))


def test_the_guides_of_the_contract_are_there() -> None:
    assert {
        *("first-transfer", "idempotency-and-retries", "connected-accounts", "keys-and-scopes"),
        "watch-a-server",
        "back-up-and-restore",
        "prove-a-transfer",
        "products-and-stock",
        "sell-a-product",
        "hold-money-until-delivery",
        *("take-a-payment", "refunds-and-disputes"),
    } <= set(WITH_SNIPPETS)


def check(said: shell.Said, expects: str) -> None:
    """See that an answer is what the guide says of it: a success, unless it names a refusal."""
    what, _, code = expects.partition("=")
    if what == "text":
        assert said.text.strip(), said
        assert not said.text.lstrip().startswith("{"), said
        return
    if what == "refused":
        assert said.answer["error"]["code"] == code, said
        return
    assert "error" not in said.answer, said
    if what == "replayed":
        assert "idempotent-replayed: true" in said.text.lower(), said


def is_there(name: str) -> bool:
    """Whether the product has what a guide is about."""
    return name != "connected-accounts" or "POST /accounts" in {each.name for each in ENDPOINTS}


@pytest.mark.parametrize("name", [name for name in WITH_SNIPPETS if is_there(name)])
def test_the_snippets_of_a_guide_work(server: Server, name: str) -> None:
    for file, text in PROGRAM.findall(guides()[name]):
        (server.data_dir.parent / file).write_text(text)
    blocks = BLOCK.findall(guides()[name])
    lines = [(line, expects) for expects, text in blocks for line in text.splitlines()]
    venv = server.data_dir.parent / ".venv"
    if not venv.exists():
        venv.symlink_to(sys.prefix)
    said = shell.run([line for line, _ in lines], server.data_dir.parent)
    assert len(said) == len(lines)
    answers = [(each, lines[at][1]) for at, each in enumerate(said) if "curl" in each.line[:5]]
    assert len(answers) >= 4
    for each, expects in answers:
        check(each, expects)


@pytest.mark.parametrize(("times", "said"), [(1, "proved: 5.00 ssUSD"), (2, "is there twice")])
def test_a_statement_that_counts_a_payment_twice_proves_nothing(
    tmp_path: Path, times: int, said: str
) -> None:
    posting = ["acct_2", "wallet:b:available", "acct_1", "wallet:a:available", "ssusd", 5_000_000]
    members = ["acct_2", "txn_1", 7, "transfer", "tr_1", "transferred", 5_000_000, "ssusd"]
    canonical = json.dumps(["commerce.transaction.1", *members, "b", "a", None, [posting]])
    leaf = hashlib.sha256(canonical.encode()).digest()
    root = merkle_root([leaf])
    block = {
        "height": 1,
        "created": 8,
        "transaction_count": 1,
        "previous_hash": GENESIS.hex(),
        "merkle_root": root.hex(),
    }
    proof = {
        "canonical": canonical,
        "tx_hash": leaf.hex(),
        "index": 0,
        "path": [],
        "block": block,
    }
    balance = {
        "address": "a",
        "block_height": 1,
        "transaction_count": times,
        "balances": {"available": f"{5 * times}.00"},
    }
    statement = {"balance": balance, "proofs": [proof] * times, "blocks": [block]}
    programs = dict(PROGRAM.findall(guides()["prove-a-transfer"]))
    (tmp_path / "prove.py").write_text(programs["prove.py"])
    (tmp_path / "statement.json").write_text(json.dumps(statement))
    published = hash_of_block(1, GENESIS, root, 8, 1).hex()
    ran = subprocess.run(
        [sys.executable, "prove.py", "statement.json", published],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in ran.stdout + ran.stderr
    assert ran.returncode == times - 1
