"""The log: what an error may tell of, in both forms."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import structlog
from commerce import log

log.configure("info", {format!r})

def fail(key):
    bank = {{"account_number": "DE00" + "500105175407324931"}}
    raise LookupError("on purpose")

try:
    fail("sk_live_" + "secret" * 4)
except LookupError as error:
    structlog.get_logger("x").error("request_failed", exc_info=error)
    structlog.get_logger("x").exception("request_failed")
log.write_out()
"""


@pytest.mark.parametrize("format_", ["json", "console"])
def test_an_error_is_logged_with_its_lines_and_without_what_variables_held(format_: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(format=format_)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.count("LookupError: on purpose") == 2
    assert "in fail" in done.stderr
    assert "sk_live_secret" not in done.stderr
    assert "DE00500105175407324931" not in done.stderr
