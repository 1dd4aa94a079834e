"""The log: for machines, or for whoever reads it at a terminal."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from commerce import log


class Stderr(io.TextIOWrapper):
    """Standard error, on a terminal or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__(io.BytesIO())
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("format_", "terminal", "is_json"),
    [
        (None, True, False),
        (None, False, True),
        ("json", True, True),
        ("console", False, False),
    ],
)
def test_lines_are_for_people_at_a_terminal_unless_a_format_is_set(
    monkeypatch: pytest.MonkeyPatch, format_: str | None, terminal: bool, is_json: bool
) -> None:
    monkeypatch.setattr(log, "_FILE", None)
    monkeypatch.setattr(log, "_FORMAT", "json")
    stderr = Stderr(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    log.configure("info", format_)
    try:
        log.request_line(path="/v1/account", status=200)
        structlog.get_logger("test").info("stopped")
    finally:
        structlog.reset_defaults()
    log.write_out()
    assert isinstance(stderr.buffer, io.BytesIO)
    lines = stderr.buffer.getvalue().splitlines()
    assert len(lines) == 2
    assert [line.startswith(b"{") for line in lines] == [is_json] * 2
