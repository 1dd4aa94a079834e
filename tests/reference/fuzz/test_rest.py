"""Schemathesis finds nothing in all other operations."""

from pathlib import Path

from tests.process import Server
from tests.reference.fuzz.scene import MONEY, STABLECOIN, finds_nothing


def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    finds_nothing(server, tmp_path, "--exclude-path-regex", f"{STABLECOIN}|{MONEY}")
