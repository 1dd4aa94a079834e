"""The programs of PostgreSQL: what one that fails says."""

import sys
from pathlib import Path

import pytest

from commerce.store.binary import EmbeddedError, Programs, programs


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("sleep", "9"), "sleep did not end within 0.05 s"),
        (("no-such-program",), "no-such-program cannot be run: No such file or directory"),
        (("sh", "-c", "exit 3"), "sh failed: it said nothing"),
        (("sh", "-c", "echo a; echo; echo ' b  c' >&2; exit 1"), "sh failed: a | b c"),
    ],
)
def test_a_program_that_fails_says_why_in_one_line(command: tuple[str, ...], reason: str) -> None:
    limit = 0.05 if command[0] == "sleep" else 30
    with pytest.raises(EmbeddedError) as caught:
        Programs(Path("/bin"), None).run(*command, timeout_seconds=limit)
    assert str(caught.value) == reason


def test_a_missing_installation_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(EmbeddedError, match="is not installed: set COMMERCE_DATABASE_URL"):
        programs(None, tmp_path)
