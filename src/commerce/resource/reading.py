"""Reading: points and pages of committed rows, many requests' points in one query."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from commerce.engine.caller import Caller
from commerce.engine.condition import state_of
from commerce.engine.overlay import Held, Kind
from commerce.engine.tx import kind_of, missing
from commerce.store.session import IN_VAIN_SECONDS, Store
from commerce.store.table import Filter, Index, Key, Page, Row, Sum

Thing = TypeVar("Thing")
QUERIES_AT_ONCE_MAX = 2


class Reader:
    """Points asked for while a query runs share the next query."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._waiting: dict[Index, dict[Key, asyncio.Future[Row | None]]] = {}
        self._running: dict[Index, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def point(self, index: Index, key: Key) -> Row | None:
        """The committed row of this key; None where there is none."""
        waiting = self._waiting.setdefault(index, {})
        future = waiting.get(key)
        if future is None:
            future = waiting[key] = asyncio.get_running_loop().create_future()
            if self._running.get(index, 0) < QUERIES_AT_ONCE_MAX:
                self._running[index] = self._running.get(index, 0) + 1
                task = asyncio.create_task(self._drain(index))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(future)

    async def _drain(self, index: Index) -> None:
        try:
            while waiting := self._waiting.pop(index, None):
                await self._query(index, waiting)
        finally:
            self._running[index] -= 1

    async def _query(self, index: Index, waiting: dict[Key, asyncio.Future[Row | None]]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            rows = {index.of(row): row for row in await self.store.find(index, list(waiting))}
        except Exception as error:  # noqa: BLE001 - it is everyone's error who waits
            in_vain = loop.time() - began > IN_VAIN_SECONDS
            line = self._waiting.pop(index, {}) if in_vain else {}
            for future in (*waiting.values(), *line.values()):
                future.set_exception(error)
                future.exception()
            return
        for key, future in waiting.items():
            future.set_result(rows.get(key))


class Reading:
    """What a read may see: the committed rows of one caller."""

    def __init__(self, reader: Reader, caller: Caller, now: int) -> None:
        self._reader = reader
        self.caller = caller
        self.now = now
        """The time, Unix seconds."""
        self._got: dict[tuple[str, str], Held] = {}

    def key(self, id_: str) -> Key:
        """The key of the caller's object with this id."""
        return (self.caller.account, self.caller.livemode, id_)

    async def point(self, index: Index, key: Key) -> Row | None:
        """One row by its key."""
        return await self._reader.point(index, key)

    async def get(self, noun: type[Thing], id_: str) -> Thing:
        """The caller's object. Raises `resource_missing`, saying so if it is in the other mode."""
        kind = kind_of(noun)
        row = await self.row(kind, id_)
        if row is None:
            raise await self.missing(kind, id_)
        self._got[(kind.name, id_)] = kind.held(row)
        (thing,) = await completed(self, kind, [row])
        return thing  # type: ignore[no-any-return]

    async def many(self, kind: Kind, ids: Sequence[str]) -> dict[str, Any]:
        """Those of the caller's objects that there are, by id, in one query."""
        keys = [self.key(id_) for id_ in ids]
        rows = await self._reader.store.find(kind.table.key, keys)
        return {thing.id: thing for thing in await completed(self, kind, rows)}

    def state(self, thing: Any) -> str | None:
        """The state in which `get` has read an object; None for what was read otherwise."""
        held = self._got.get((kind_of(thing).name, thing.id))
        return None if held is None else state_of(held)

    async def row(self, kind: Kind, id_: str, *, listed: bool = False) -> Row | None:
        """The row of an object that is the caller's, or stands in its list.

        `listed`: only the latter.
        """
        if kind.listed_under == "account":
            return await self.point(kind.table.key, self.key(id_))
        row = await self.point(kind.table.key, (id_, self.caller.livemode, id_))
        if row is None:
            return None
        mine = self.caller.account
        under = row[kind.table.names.index(kind.listed_under)]
        return row if under == mine or (id_ == mine and not listed) else None

    async def missing(self, kind: Kind, id_: str) -> Exception:
        """That there is no such object, or that it is in the other mode."""
        other = (self.caller.account, not self.caller.livemode, id_)
        elsewhere = await self.point(kind.table.key, other)
        return missing(kind, id_, self.caller.livemode if elsewhere else None)

    async def page(
        self, page: Page, *, under: str = "account", livemode: bool | None = None
    ) -> list[Row]:
        """Rows of the caller's, in both meanings: its account and its mode.

        `under` is another column that names an account which may read a row.
        """
        own = [
            Filter(under, "=", self.caller.account),
            Filter("livemode", "=", self.caller.livemode if livemode is None else livemode),
        ]
        return await self._reader.store.page(page._replace(filters=[*own, *page.filters]))

    async def find(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """Rows by their keys, whoever's they are; a key without a row gives none."""
        return await self._reader.store.find(index, keys)

    async def above(self, index: Index, keys: Sequence[Key]) -> list[Row]:
        """For each key the row next above it in the index's last column."""
        return await self._reader.store.above(index, keys)

    async def everyones(self, page: Page) -> list[Row]:
        """Rows of what belongs to nobody."""
        return await self._reader.store.page(page)

    async def sums(self, *asked: Sum) -> list[dict[Any, int]]:
        """Sums over committed rows, each by another column, all of them from one snapshot."""
        return await self._reader.store.sums(*asked)


async def completed(reading: Reading, kind: Kind, rows: list[Row]) -> list[Any]:
    """Rows as objects, whole: a noun with computed fields may say how they are filled in.

    It does with `complete: ClassVar`, which takes what reads and objects, and gives those objects.
    """
    things = [kind.held(row).thing for row in rows]
    complete = getattr(type(things[0]), "complete", None) if things else None
    return things if complete is None else await complete(reading, things)
