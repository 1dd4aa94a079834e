"""Examples: each operation owes one, which tests, fixtures and the reference pages run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Example(Protocol):
    """What an example may use to set its stage: other operations, called as a client would."""

    wallet: str
    """The caller's main wallet."""
    other_wallet: str
    """The main wallet of another account."""

    def call(self, operation: str, /, **params: Any) -> Awaitable[dict[str, Any]]:
        """Call an operation by its route, `POST /stablecoin/issue`, and give its answer."""

    def fund(self, amount: str) -> Awaitable[None]:
        """Give the main wallet at least so much ssUSD."""

    def name(self) -> str:
        """A name not used before, for references and keys."""


Staged = Callable[[Example], Awaitable[dict[str, object]]]
"""Sets the stage of an example and gives the parameters to call the operation with."""
