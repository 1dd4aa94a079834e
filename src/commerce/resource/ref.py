"""References: ids that lead to objects of a noun, and that clients may expand into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, NamedTuple, TypeVar

Target = TypeVar("Target")


class Refers(NamedTuple):
    """What an id leads to: a noun, or nouns by their names."""

    targets: tuple[Any, ...]


if TYPE_CHECKING:

    class Ref(str, Generic[Target]):
        """The id of an object of one noun; a checker refuses the id of another."""

        __slots__ = ()

else:

    class Ref:
        """The id of an object of one noun: text, which clients may expand into the object."""

        def __class_getitem__(cls, target: type) -> Any:
            """`Ref[Deposit]`: text that leads to a deposit."""
            return Annotated[str, Refers((target,))]


def refers(*names: str) -> Refers:
    """Mark an id as leading to nouns of higher areas, which are known by name alone.

    `payment: Annotated[str, refers("payment")]`. With several names, ids are told apart by
    their prefixes.
    """
    return Refers(names)


ADDRESS: Final = "address"
"""The mark of a text that is the address of a wallet, anybody's."""
Wallet = Annotated[str, ADDRESS]
