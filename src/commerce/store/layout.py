"""How rows travel: in arrays of each table's own row type, in the order of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from commerce.store.table import Row, Table

_COLUMNS = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
        AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY c.relname"""


class Layout:
    """The columns of each table in the database's own order, which migrations append to.

    One array of rows is an eighth of the work of an array for each column, on both sides.
    """

    def __init__(self, columns: Mapping[str, Sequence[str]]) -> None:
        self._columns = columns
        self._places: dict[tuple[str, tuple[str, ...]], list[int | None] | int] = {}

    @classmethod
    async def read(cls, connection: asyncpg.Connection[asyncpg.Record]) -> Layout:
        """Ask the database."""
        rows = await connection.fetch(_COLUMNS)
        return cls({row[0]: row[1] for row in rows})

    def rows(self, table: Table, names: tuple[str, ...], values: Sequence[Row]) -> Sequence[Row]:
        """Values of the columns `names` as rows of the table's type; the others are null."""
        key = (table.name, names)
        places = self._places.get(key)
        if places is None:
            places = self._places[key] = self._place(table.name, names)
        if places == 0:
            return values
        if isinstance(places, int):
            rest = (None,) * places
            return [(*row, *rest) for row in values]
        return [tuple([None if at is None else row[at] for at in places]) for row in values]

    def _place(self, table: str, names: tuple[str, ...]) -> list[int | None] | int:
        """How many nulls follow; where the order is another one, where each value stands."""
        columns = tuple(self._columns[table])
        if columns[: len(names)] == names:
            return len(columns) - len(names)
        return [names.index(name) if name in names else None for name in columns]
