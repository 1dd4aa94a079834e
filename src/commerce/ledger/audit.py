"""The audit: the ledger's invariants, checked by what shares nothing with the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from commerce.ledger import sweep
from commerce.ledger.invariant import INVARIANTS, Invariant, Sweep
from commerce.ledger.recount import wrong

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

Told = Callable[[float], None]
FINDINGS_MAX = 20
"""How many violations of each invariant are named."""
CHAIN = "every hash is that of what it stands for, and every block follows from the one before"
SWEPT: dict[Sweep, str] = {
    "accounts": "the entries of every account lead to its balance",
    "transactions": "the entries of every transaction are its own",
}
"""What a sweep saw to be broken, where none of the invariants that it stands for says it."""
SETTINGS = (
    "SET LOCAL transaction_timeout = 0",
    # Whole tables are joined here. Where nobody has analysed them since they were small, a join
    # row by row would be planned, and never end.
    "SET LOCAL enable_nestloop = off",
    # What a cursor reads here is read to its end.
    "SET LOCAL cursor_tuple_fraction = 1",
    # A sort or a hash of entries takes this much of memory before it goes on on disk.
    "SET LOCAL work_mem = '32MB'",
)


class Report(NamedTuple):
    """What an audit found."""

    checked: int
    entries: int
    transactions: int
    blocks: int
    findings: list[str]
    live: list[str]
    """Those of the findings that are of live mode."""

    @property
    def summary(self) -> str:
        """The result in one line."""
        result = "all hold" if not self.findings else f"{len(self.findings)} violations"
        return (
            f"{self.checked} invariants over {self.transactions} transactions,"
            f" {self.entries} entries and {self.blocks} blocks: {result}"
        )

    def as_dict(self) -> dict[str, object]:
        """The result for machines."""
        return {"ok": not self.findings, **self._asdict()}


class _Found:
    """What is found, of each rule as much as is named, in either mode."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._live: set[str] = set()

    def add(self, name: str, what: Mapping[str, Any]) -> None:
        texts = self._texts.setdefault(name, [])
        if len(texts) < FINDINGS_MAX:
            texts.append(f"{name}: {dict(what)}")
            if what["livemode"]:
                self._live.add(texts[-1])

    def names(self, name: str) -> bool:
        return name in self._texts

    def texts(self) -> list[str]:
        """All of them, in the order of the invariants."""
        order = [each.name for each in INVARIANTS]
        order += [*SWEPT.values(), CHAIN]
        return [text for name in order for text in self._texts.get(name, ())]

    def live(self) -> list[str]:
        """Those of them that are of live mode."""
        return [text for text in self.texts() if text in self._live]


class _Progress:
    """How far the work is, which is done in two places at once."""

    def __init__(self, told: Told, transactions: int) -> None:
        self.step = transactions // len(INVARIANTS) + 1
        """About how much work an invariant is, in transactions that are looked at."""
        self._told = told
        # Transactions are swept, which is about twice the work of looking into the chain.
        self._all = 3 * transactions + self.step * len(INVARIANTS)
        self._done = 0
        told(0)

    def more(self, done: int) -> None:
        self._done += done
        self._told(min(self._done / self._all, 1))


async def audit(
    connection: Connection, told: Told = lambda _: None, *, beside: Connection | None = None
) -> Report:
    """Check every invariant in one snapshot, beside a server that goes on serving.

    `told` hears which part of the work is done, from 0 to 1, again and again. `beside` is another
    connection to the same database, by which half of the work is done at the same time.
    """
    async with _snapshots(connection, beside) as second:
        entries, transactions, blocks = [
            int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
            for table in ("ledger_entry", "ledger_transaction", "ledger_block")
        ]
        found, progress = _Found(), _Progress(told, transactions)
        seen = await _look(connection, second, found, progress)
        for invariant in INVARIANTS:
            if invariant.seen_by:
                if any(seen[each] for each in invariant.seen_by):
                    await _ask(connection, invariant, found)
                progress.more(progress.step)
        for name, what in seen.items():
            stood_for = [each.name for each in INVARIANTS if name in each.seen_by]
            if what is not None and not any(map(found.names, stood_for)):
                found.add(SWEPT[name], what)
    told(1)
    checked = len(INVARIANTS) + 1
    return Report(checked, entries, transactions, blocks, found.texts(), found.live())


@asynccontextmanager
async def _snapshots(
    connection: Connection, beside: Connection | None
) -> AsyncIterator[Connection]:
    """One snapshot in both connections; gives the second, which is the first where it is alone."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for setting in SETTINGS:
            await connection.execute(setting)
        if beside is None:
            yield connection
            return
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        async with beside.transaction(isolation="repeatable_read", readonly=True):
            await beside.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            for setting in SETTINGS:
                await beside.execute(setting)
            yield beside


Seen = dict[Sweep, Mapping[str, Any] | None]
"""The first thing that each sweep saw."""


async def _look(
    connection: Connection, second: Connection, found: _Found, progress: _Progress
) -> Seen:
    """Sweep, and check what no sweep sees: at once where there are two connections."""
    sweeping = asyncio.ensure_future(_transactions(second, found, progress))
    try:
        if second is connection:
            await sweeping
        accounts = await sweep.accounts(connection)
        for invariant in INVARIANTS:
            if not invariant.seen_by:
                await _ask(connection, invariant, found)
                progress.more(progress.step)
        await _chain(connection, found, progress)
        return {"accounts": accounts, "transactions": await sweeping}
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)


async def _ask(connection: Connection, invariant: Invariant, found: _Found) -> None:
    for row in await connection.fetch(f"{invariant.violations} LIMIT {FINDINGS_MAX}"):
        found.add(invariant.name, dict(row))


async def _transactions(
    connection: Connection, found: _Found, progress: _Progress
) -> Mapping[str, Any] | None:
    """The first transaction that is not booked as it says; all whose hashes are not theirs."""
    first = None
    told = lambda looked: progress.more(2 * looked)  # noqa: E731 - it has no other name
    async with aclosing(sweep.transactions(connection, told)) as sweeping:
        async for seen in sweeping:
            what = {"livemode": seen.livemode, "transaction": seen.id}
            if not seen.is_booked:
                first = first or what
            if not seen.is_hashed:
                found.add(CHAIN, {**what, "problem": "tx_hash"})
    return first


async def _chain(connection: Connection, found: _Found, progress: _Progress) -> None:
    async with aclosing(wrong(connection, progress.more)) as findings:
        async for finding in findings:
            found.add(CHAIN, finding)
