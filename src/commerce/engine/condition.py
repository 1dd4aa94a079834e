"""Conditions: a change that is wanted only if the object is still as its client has seen it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from commerce.kernel.errors import ApiError

if TYPE_CHECKING:
    from commerce.engine.overlay import Held

_DIGEST_BYTES = 8


class Condition(NamedTuple):
    """The object that must not have changed, and the states in which its client has seen it."""

    id: str
    states: frozenset[str] | None
    """As `state_of` gives them, or versions in digits; None: any will do, if it is there."""

    def look(self, id_: str, held: Held) -> Condition | None:
        """Compare with a row that was just locked; gives what is left to be decided.

        Raises `version_conflict` (412).
        """
        if id_ != self.id:
            return self
        if self.states is not None and self.states.isdisjoint((state_of(held), str(held.version))):
            raise _conflict(f"'{id_[:64]}' is not, or no longer, as 'If-Match' says.")
        return None


def require_met(left: Condition | None) -> None:
    """Refuse where nothing was compared: the client asked that nothing be done unseen.

    Raises `version_conflict` (412).
    """
    if left is not None:
        raise _conflict("'If-Match' says something of an object that this does not change.")


def state_of(held: Held) -> str:
    """A name for an object in one of its versions, which no other object or version has.

    It is of the version alone, not of the JSON: that also shows what is computed when it is
    read, such as the height of a block, which changes without anybody changing the object.
    """
    thing = held.thing
    named = f"{held.kind.name}\n{held.account}\n{thing.livemode}\n{thing.id}\n{held.version}"
    return hashlib.blake2b(named.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _conflict(message: str) -> ApiError:
    return ApiError("version_conflict", message, status=412, param="If-Match")
