"""Structured logs: one object a line, gathered for a moment so that a line costs little."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any, BinaryIO

import msgspec
import structlog

GATHERED_SECONDS = 0.05
GATHERED_BYTES_MAX = 64 * 1024


class GatheredLines:
    """A file that is written to in larger pieces; what is gathered is out within a moment."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lines: list[bytes] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, line: bytes) -> None:
        """Take a line, or a part of one."""
        self._lines.append(line)
        self._bytes += len(line)

    def flush(self) -> None:
        """Write when enough was gathered, or soon."""
        if self._bytes >= GATHERED_BYTES_MAX:
            self.write_out()
            return
        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self.write_out()
                return
            self._timer = loop.call_later(GATHERED_SECONDS, self.write_out)

    def write_out(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            try:
                self._file.write(b"".join(lines))
                self._file.flush()
            except (OSError, ValueError):
                return  # Nobody reads the log any more, or its disk is full; the server goes on.


class _Library(logging.Handler):
    """Passes on what libraries log by the standard library's way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as a line of ours."""
        structlog.get_logger().log(
            record.levelno,
            "library",
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


_FILE: GatheredLines | None = None
_LEVEL = logging.INFO
_FORMAT = "json"


def configure(level: str, format_: str | None) -> None:
    """Log to standard error, as JSON for machines or in columns for people.

    Without a format it is the one for whoever reads there: people, at a terminal.
    """
    global _FILE, _FORMAT, _LEVEL  # noqa: PLW0603 - the process has one log
    format_ = format_ or ("console" if sys.stderr.isatty() else "json")
    _FILE, _FORMAT = GatheredLines(sys.stderr.buffer), format_
    _LEVEL = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_time,
    ]
    if format_ == "json":
        processors += [structlog.processors.format_exc_info, _render_json]
    else:
        # The renderer's own tracebacks show the values of variables: keys, and numbers of banks.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=plain)
        processors += [renderer, lambda _, __, text: text.encode()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVEL),
        logger_factory=structlog.BytesLoggerFactory(_FILE),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    # Libraries that log by themselves speak of trouble only, in the same place and form.
    logging.basicConfig(level=logging.WARNING, handlers=[_Library()])
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def request_line(**members: object) -> None:
    """Write the line of one request, at level info.

    It is the one line on the hot path: the processors of structlog cost three times as much.
    """
    if _FILE is None or _LEVEL > logging.INFO:
        return
    if _FORMAT == "json":
        line = {"event": "request", "level": "info", "time": round(time.time(), 3), **members}
        _FILE.write(msgspec.json.encode(line) + b"\n")
        _FILE.flush()
    else:
        structlog.get_logger("commerce.http").info("request", **members)


def write_out() -> None:
    """Write what was gathered, before the process ends."""
    if _FILE is not None:
        _FILE.write_out()


def _add_time(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    event["time"] = round(time.time(), 3)
    return event


def _render_json(_: object, __: str, event: dict[str, Any]) -> bytes:
    return msgspec.json.encode({k: v for k, v in event.items() if v is not None}, enc_hook=repr)
