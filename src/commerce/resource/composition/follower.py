"""Followers: what moves on with an object of a lower area, in the same transaction.

A payment names what it pays for, in a field such as `order`, and its area may not name that of
orders. So the higher area declares what follows that field, and the composition hands it over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx


class Need(Protocol):
    """Names what the others touch: `account` is whose object it is, `id_` what the field holds."""

    def __call__(self, needs: Needs, account: str, livemode: bool, id_: str, /) -> None:
        """Add rows and balances to what is loaded."""


class Begin(Protocol):
    """Looks at an object that is about to be made, as the caller's, and raises to refuse it."""

    def __call__(self, tx: Tx, thing: Any, /) -> None:
        """Guard, and change what follows if it changes now already."""


class Moved(Protocol):
    """Moves what follows on, after an object of `account`'s has moved."""

    def __call__(self, tx: Tx, thing: Any, move: str, /, *, account: str) -> None:
        """`thing` is the object after it, `move` the verb of its lifecycle."""


class Follower(NamedTuple):
    """What follows one field."""

    need: Need
    begin: Begin
    moved: Moved


Declared = TypeVar("Declared", bound=Callable[..., None])


def follows(field: str, *, need: Need, begin: Begin) -> Callable[[Declared], Declared]:
    """Declare what follows a field: `def follow(tx, payment, move, *, account) -> None`.

    It runs in the transaction that moves the payment, right after that, for each move of the
    payment's lifecycle, and with `refund` once some of it was given back. What it raises undoes
    the move, so it refuses nothing that happened outside already.
    """

    def declare(moved: Declared) -> Declared:
        moved.__follower__ = (field, Follower(need, begin, moved))  # type: ignore[attr-defined]
        return moved

    return declare


def followers_of(modules: Sequence[Any]) -> dict[str, Follower]:
    """The followers that modules declare, by the field they follow: one for each."""
    members = [member for module in modules for member in vars(module).values()]
    found = [getattr(member, "__follower__", None) for member in members]
    return dict(each for each in found if isinstance(each, tuple))
