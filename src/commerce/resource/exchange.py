"""Exchanges: requests and the answers they got, kept to be shown in the reference."""

from __future__ import annotations

from typing import Any, NamedTuple


class Exchange(NamedTuple):
    """A request and its answer."""

    method: str
    path: str
    """Below the API's root, filled in, with its query."""
    body: dict[str, Any] | None
    idempotency_key: str | None
    status: int
    answer: dict[str, Any]


class Shown(NamedTuple):
    """An operation's example: what sets its stage, and the exchange itself."""

    setup: tuple[Exchange, ...]
    call: Exchange
    wallet: str
    """The main wallet of the account that called."""
