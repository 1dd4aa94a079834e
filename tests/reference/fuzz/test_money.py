"""Schemathesis finds nothing in payments and what comes of them."""

from pathlib import Path

from tests.process import Server
from tests.reference.fuzz.scene import MONEY, finds_nothing


def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    finds_nothing(server, tmp_path, "--include-path-regex", MONEY)
