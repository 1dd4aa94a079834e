"""Examples and fixtures: what operations are shown with, and what a new account begins with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx


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

Fixture = Callable[[Tx, Any], None]
"""Puts something into a new test account, which is given as its own noun, in its transaction."""
Declared = TypeVar("Declared", bound=Fixture)


def fixture(planted: Declared) -> Declared:
    """Declare what every new test account has: `def plant(tx: Tx, account: Account) -> None`.

    It is pure, as verbs are, and runs wherever a test account is opened, after those of lower
    areas. Whoever opens the account may be another one, in live mode: what it adds is of
    `account` (`tx.add(..., account=account.id)`) and `livemode=False`.
    """
    planted.__fixture__ = True  # type: ignore[attr-defined]
    return planted


def needing(needs: Callable[[Needs], None]) -> Callable[[Declared], Declared]:
    """Say what a fixture touches beside what is new with the account."""

    def declare(planted: Declared) -> Declared:
        planted.__needs__ = needs  # type: ignore[attr-defined]
        return planted

    return declare


def fixtures_of(modules: Sequence[Any]) -> list[Fixture]:
    """The fixtures that modules declare, in the modules' order."""
    members = [
        (module, member)
        for module in modules
        for member in vars(module).values()
        if getattr(member, "__fixture__", False)
    ]
    return [member for module, member in members if member.__module__ == module.__name__]
