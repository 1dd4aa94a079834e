"""The sealer: closes blocks over what was committed, one leader at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import structlog

from commerce.ledger.block import BLOCK, Block, close, first_unsealed, last_block, leaves
from commerce.store.session import CommitUnknown, Conflict, StoreUnavailable
from commerce.store.table import Row, Writing

if TYPE_CHECKING:
    from commerce.store.session import Session, Store

TURN_SECONDS = 0.25
"""How often a block may be closed."""
BLOCK_TRANSACTIONS_MAX = 10_000
"""About as many transactions a block holds; all of one mark stay together."""
LOCK = 7_233_102
"""The advisory lock by which one sealer at a time leads. The unique height is what guards."""

log = structlog.get_logger("commerce.sealer")


class Sealed(NamedTuple):
    """How far a mode is sealed."""

    height: int
    """The last block's; 0 before the first."""
    lag_seconds: int
    """How long the oldest transaction that is in no block has been there."""


class Sealer:
    """Closes blocks, beside any number of other sealers on the same store."""

    def __init__(self, store: Store, now: Callable[[], int], modes: Sequence[bool]) -> None:
        self.modes = modes
        self._store = store
        self._now = now
        self._session: Session | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Close blocks until told to stop; a store that is away is waited for."""
        while not self._stopping.is_set():
            try:
                await self.turn()
            except (StoreUnavailable, CommitUnknown, Conflict) as error:
                log.warning("sealing_waits", reason=str(error))
                await self._hang_up()
            except Exception:
                log.exception("sealing_failed")
                await self._hang_up()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TURN_SECONDS)
        await self._hang_up()

    def stop(self) -> None:
        """Finish the block that is being closed, and close no other."""
        self._stopping.set()

    async def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def turn(self) -> list[Block]:
        """Close at most one block a mode; gives those that were closed.

        Raises what the store raises.
        """
        session = self._session = self._session or await self._store.session()
        await session.begin()
        horizon = await session.horizon(LOCK)
        rows = []
        if horizon is not None:
            rows = [row for mode in self.modes if (row := await self._next(mode, horizon))]
        if not rows:
            await session.rollback()
            return []
        try:
            await session.write(Writing({BLOCK: rows}, {}, ()))
        except BaseException:
            await session.rollback()
            raise
        await session.commit()
        return [Block.of(row) for row in rows]

    async def state(self, livemode: bool) -> Sealed:
        """How far a mode is sealed, by whichever process. Raises what the store raises."""
        last = await self._last(livemode)
        waiting = await self._store.page(first_unsealed(last, livemode))
        lag = max(0, self._now() - waiting[0][0]) if waiting else 0
        return Sealed(0 if last is None else last.height, lag)

    async def _last(self, livemode: bool) -> Block | None:
        found = await self._store.page(last_block(livemode))
        return Block.of(found[0]) if found else None

    async def _next(self, livemode: bool, horizon: int) -> Row | None:
        """The row of a mode's next block, if there is anything to seal."""
        last = await self._last(livemode)
        begin = 0 if last is None else last.until
        page = leaves(livemode, begin, horizon, BLOCK_TRANSACTIONS_MAX + 1)
        rows = await self._store.page(page)
        if not rows:
            return None
        until = horizon
        if len(rows) > BLOCK_TRANSACTIONS_MAX:
            rows, until = await self._cut(livemode, rows)
        return close(last, livemode, [row[3] for row in rows], until, self._now())

    async def _cut(self, livemode: bool, rows: list[Row]) -> tuple[list[Row], int]:
        """Of more than a block holds, all with marks below the last one's; at least one mark."""
        until = rows[-1][0]
        if rows[0][0] < until:
            return [row for row in rows if row[0] < until], until
        while True:
            page = leaves(livemode, until, until + 1, BLOCK_TRANSACTIONS_MAX, rows[-1])
            more = await self._store.page(page)
            if not more:
                return rows, until + 1
            rows += more
