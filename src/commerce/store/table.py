"""What the store knows of a table: its columns, its keys and how its rows are locked."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

Key = tuple[Any, ...]
Row = tuple[Any, ...]


class Column(NamedTuple):
    """One column: its name and its PostgreSQL type."""

    name: str
    type: str
    nullable: bool = False


class Index:
    """Columns of a table that find at most one row: the primary key, or another unique key.

    With `select` it gives only those columns of the row, which begin with the key's.
    """

    __slots__ = ("columns", "name", "of", "order", "part", "select", "table")

    def __init__(
        self, table: Table, columns: tuple[str, ...], *, select: tuple[str, ...] | None = None
    ) -> None:
        assert select is None or select[: len(columns)] == columns, "the key comes first"
        self.table = table
        self.columns = columns
        self.select = select or table.names
        self.name = f"{table.name}({','.join(columns)}){','.join(select or ())}"
        self.order = (table.rank, self.name)
        """The index's place in the order in which rows are locked."""
        self.of: Callable[[Row], Key] = _picking(table, columns)
        """Gives a whole row's key in this index."""
        self.part = None if select is None else _picking(table, select)
        """Gives the part of a whole row that this index selects, if it is not all of it."""

    def __repr__(self) -> str:
        return f"Index({self.name})"


def _picking(table: Table, names: tuple[str, ...]) -> Callable[[Row], Row]:
    """Give the function from a whole row to some of its values."""
    at = [table.names.index(name) for name in names]
    if at == list(range(len(at))):
        return itemgetter(slice(len(at)))
    return itemgetter(*at) if len(at) > 1 else lambda row: (row[at[0]],)


class Table:
    """A table and its place in the one global order in which rows are locked.

    `rank` is that place: rows of a lower rank are locked first, rows of one rank by key.
    """

    __slots__ = (
        "announced",
        "columns",
        "key",
        "name",
        "names",
        "order",
        "rank",
        "unique",
        "updated",
    )

    def __init__(  # noqa: PLR0913 - a declaration, always called by keyword
        self,
        name: str,
        columns: Iterable[Column],
        *,
        key: tuple[str, ...],
        rank: int,
        unique: Sequence[tuple[str, ...]] = (),
        updated: tuple[str, ...] | None = None,
        announced: bool = False,
    ) -> None:
        self.name = name
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in self.columns)
        """The column names, in the order of a row."""
        self.rank = rank
        self.order = (rank, name)
        self.updated = updated or tuple(name for name in self.names if name not in key)
        """The columns that may change."""
        self.announced = announced
        """Other processes cache these rows, so a change of one is announced to them."""
        self.key = Index(self, key)
        self.unique = {columns: Index(self, columns) for columns in unique}

    def index(self, *columns: str) -> Index:
        """The unique index over the owner columns and `columns`."""
        return self.unique[("account", "livemode", *columns)]

    def __repr__(self) -> str:
        return f"Table({self.name})"


Wanted = Mapping[Index, Mapping[Key, bool]]
"""Rows to load: by index, the keys and whether each is to be locked."""


class Rewrite(NamedTuple):
    """New values for all rows of a table that agree in some columns, however many there are.

    It sees what was committed before it is written, and no row of its own batch's.
    """

    table: Table
    match: tuple[str, ...]
    changed: tuple[str, ...]
    values: Sequence[Row]
    """Of the columns of `match`, and then of `changed`; each of other rows."""

    def over(self, rows: Iterable[Row]) -> list[Row]:
        """What becomes of rows: each stays as it is unless it is meant."""
        of, count = _picking(self.table, self.match), len(self.match)
        named = {
            given[:count]: dict(zip(self.changed, given[count:], strict=True))
            for given in self.values
        }
        return [
            tuple((dict(zip(self.table.names, row, strict=True)) | named[of(row)]).values())
            if of(row) in named
            else row
            for row in rows
        ]


class Writing(NamedTuple):
    """All that one batch writes; rows are whole rows in the order of their table's columns."""

    inserts: Mapping[Table, list[Row]]
    updates: Mapping[Table, list[Row]]
    announcements: Sequence[str]
    rewrites: Sequence[Rewrite] = ()


class Rows:
    """The rows of one table in memory, by each index that anybody has asked for."""

    def __init__(self, table: Table) -> None:
        self._key = table.key
        self._by: dict[Index, dict[Key, Row]] = {table.key: {}}

    def all(self) -> list[Row]:
        """All of them."""
        return list(self._by[self._key].values())

    def at(self, index: Index, key: Key) -> Row | None:
        """The row of a key in an index; None where there is none."""
        if index not in self._by:
            self._by[index] = {index.of(row): row for row in self.all()}
        return self._by[index].get(key)

    def put(self, key: Key, row: Row | None) -> None:
        """Keep a row, or nothing, in place of what was there."""
        old = self.at(self._key, key)
        for index, rows in self._by.items():
            if old is not None:
                rows.pop(index.of(old), None)
            # NULLs are distinct: a row without a value is in no unique index over it.
            if row is not None and None not in index.of(row):
                rows[index.of(row)] = row


class Filter(NamedTuple):
    """A condition on one column: the operator is one of `=`, `<>`, `in`, `>`, `>=`, `<`, `<=`.

    `@>` is of `jsonb`, that it holds the members of the value, which is JSON as well: an object's
    pairs, or an array's elements;
    `null`, that there is nothing, takes no value.
    """

    column: str
    operator: str
    value: Any


class Sum(NamedTuple):
    """The sums of the column `amount` over a table's rows, by the column `by`."""

    table: Table
    amount: str
    by: str
    filters: Sequence[Filter]


class Page(NamedTuple):
    """A page of a table in the order of `order` (columns, newest first unless `ascending`)."""

    table: Table
    filters: Sequence[Filter]
    order: tuple[str, ...]
    limit: int
    after: Key | None = None
    ascending: bool = False
    select: tuple[str, ...] | None = None
    """The columns to read, if not all of them."""


def parts(index: Index, rows: Iterable[Row | None]) -> list[Row]:
    """The rows there are, or what an index selects of them."""
    there = [row for row in rows if row is not None]
    return there if index.part is None else [index.part(row) for row in there]


_COMPARE: dict[str, Callable[..., bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda value, values: value in values,
    "@>": lambda value, held: _members(held) <= _members(value),
}


def _members(text: str) -> set[Any]:
    """The pairs of a JSON object, or the elements of an array, that hold texts alone."""
    found = json.loads(text)
    return set(found.items() if isinstance(found, dict) else found)


def filtered(table: Table, rows: list[Row], filters: Sequence[Filter]) -> list[Row]:
    """The rows that meet all conditions, as a database would find them."""
    for column, compare, value in filters:
        at = table.names.index(column)
        if compare == "null":
            rows = [row for row in rows if row[at] is None]
            continue
        matches = _COMPARE[compare]
        rows = [row for row in rows if row[at] is not None and matches(row[at], value)]
    return rows
