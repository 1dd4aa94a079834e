"""The guides' snippets work, in the order they stand in, and every answer is what they say."""

from __future__ import annotations

import re
import sys

import pytest

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
        "payments-and-refunds",
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
