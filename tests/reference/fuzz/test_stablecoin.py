"""Schemathesis finds nothing in the operations of the stablecoin."""

from pathlib import Path

from tests.process import Server
from tests.reference.fuzz.scene import STABLECOIN, finds_nothing


def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    finds_nothing(server, tmp_path, "--include-path-regex", STABLECOIN)
