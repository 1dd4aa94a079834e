"""Mutants of the sealer: blocks that hold, name or follow what they should not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from commerce.engine import sealer
from commerce.engine.money import Bookkeeper
from commerce.engine.sealer import Sealer
from commerce.ledger import block
from commerce.ledger.block import Block
from commerce.proofs import GENESIS, merkle_root

close = block.close


def the_running_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """A block ends at the sealer's own mark, whoever began before and has not ended."""
    closes = Sealer._next

    async def hasty(self: Sealer, livemode: bool, _: int) -> Any:
        assert self._session is not None
        return await closes(self, livemode, self._session.mark)

    patch.setattr(Sealer, "_next", hasty)


def a_block_forgets_its_last_transaction(patch: pytest.MonkeyPatch) -> None:
    """The last transaction of a block is in none."""

    def forgetful(last: Block | None, livemode: bool, hashes: Sequence[bytes], *rest: int) -> Any:
        return close(last, livemode, hashes[:-1] or hashes, *rest)

    patch.setattr(sealer, "close", forgetful)


def blocks_do_not_name_the_one_before(patch: pytest.MonkeyPatch) -> None:
    """Each block follows from nothing, at its height."""

    def unchained(last: Block | None, *rest: Any) -> Any:
        return close(None if last is None else last._replace(hash=GENESIS), *rest)

    patch.setattr(sealer, "close", unchained)


def a_tree_is_in_any_order(patch: pytest.MonkeyPatch) -> None:
    """The leaves of a block's tree are in the order of their hashes."""

    def sorted_(last: Block | None, livemode: bool, hashes: Sequence[bytes], *rest: int) -> Any:
        return close(last, livemode, sorted(hashes), *rest)

    patch.setattr(sealer, "close", sorted_)


def a_leaf_is_hashed_as_a_node(patch: pytest.MonkeyPatch) -> None:
    """The root of a block is a transaction's hash where it holds one alone."""

    def bare(hashes: Sequence[bytes]) -> bytes:
        return hashes[0] if len(hashes) == 1 else merkle_root(hashes)

    patch.setattr(block, "merkle_root", bare)


def a_block_begins_where_the_last_one_did(patch: pytest.MonkeyPatch) -> None:
    """What was in the last block is in this one again."""
    patch.setattr(sealer, "leaves", lambda livemode, _, *rest: block.leaves(livemode, 0, *rest))


def the_time_of_a_block_falls(patch: pytest.MonkeyPatch) -> None:
    """A block is of the time of whoever closes it, though the one before is of a later one."""

    def at_once(last: Block | None, *rest: Any) -> Any:
        return close(None if last is None else last._replace(created=0), *rest)

    patch.setattr(sealer, "close", at_once)


def a_mark_is_an_older_one(patch: pytest.MonkeyPatch) -> None:
    """What is booked bears the mark of a transaction that began long ago."""
    post = Bookkeeper.post

    def late(self: Any, *given: Any, **named: Any) -> Any:
        mark, self.mark = self.mark, self.mark - 40
        try:
            return post(self, *given, **named)
        finally:
            self.mark = mark

    patch.setattr(Bookkeeper, "post", late)


SEEDS: dict[Callable[[pytest.MonkeyPatch], None], int] = {
    the_running_are_not_waited_for: 0,
    a_block_forgets_its_last_transaction: 0,
    blocks_do_not_name_the_one_before: 0,
    a_tree_is_in_any_order: 0,
    a_leaf_is_hashed_as_a_node: 0,
    a_block_begins_where_the_last_one_did: 0,
    the_time_of_a_block_falls: 2,
    a_mark_is_an_older_one: 0,
}
