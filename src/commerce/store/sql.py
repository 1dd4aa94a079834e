"""Every statement the store sends, written from the declarations of tables; values are bound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from commerce.store.table import Filter, Index, Key, Page, Row, Table, Wanted, Writing

Statement = tuple[str, list[Any]]


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[Any]:
    """Turn rows into one array per column, which is how many rows travel in one statement."""
    if not rows:
        return [[] for _ in range(count)]
    return [list(values) for values in zip(*rows, strict=True)]


def _arrays(types: Iterable[str], first: int) -> str:
    return ", ".join(f"${first + at}::{type_}[]" for at, type_ in enumerate(types))


@lru_cache(maxsize=512)
def _key_types(index: Index) -> tuple[str, ...]:
    return tuple(index.table.columns[at].type for at in index.positions)


@lru_cache(maxsize=2048)
def _find(index: Index, first: int, *, lock: bool) -> str:
    names = [f"k{at}" for at in range(len(index.columns))]
    matches = " AND ".join(
        f"t.{column} = k.{name}" for column, name in zip(index.columns, names, strict=True)
    )
    order = ", ".join(f"t.{column}" for column in index.columns)
    return (
        f"SELECT {', '.join(f't.{name}' for name in index.table.names)}"
        f" FROM {index.table.name} t"
        f" JOIN unnest({_arrays(_key_types(index), first)}) AS k({', '.join(names)})"
        f" ON {matches} ORDER BY {order}{' FOR UPDATE OF t' if lock else ''}"
    )


def find(index: Index, keys: Sequence[Key]) -> Statement:
    """Rows of one table by their keys, unlocked."""
    return _find(index, 1, lock=False), _columns(keys, len(index.columns))


def load(wanted: Wanted) -> tuple[str, list[Any], list[Index]]:
    """All rows a batch wants, in one statement, locked in the one global order.

    PostgreSQL evaluates the target list from left to right and each part by its ORDER BY, so
    the order of locks is the order written here: by rank, then key.
    """
    parts: list[str] = []
    values: list[Any] = []
    indexes: list[Index] = []
    for index in sorted(wanted, key=lambda index: (index.table.rank, index.name)):
        for lock in (False, True):
            keys = sorted(key for key, locked in wanted[index].items() if locked is lock)
            if not keys:
                continue
            parts.append(
                f"(SELECT array_agg(r) FROM ({_find(index, len(values) + 1, lock=lock)}) r)"
            )
            values += _columns(keys, len(index.columns))
            indexes.append(index)
    return f"SELECT {', '.join(parts)}", values, indexes


@lru_cache(maxsize=2048)
def _insert(table: Table, first: int) -> str:
    arrays = _arrays((column.type for column in table.columns), first)
    once = " ON CONFLICT DO NOTHING RETURNING 1" if table.once else ""
    return f"INSERT INTO {table.name} ({', '.join(table.names)}) SELECT * FROM unnest({arrays}){once}"


@lru_cache(maxsize=2048)
def _update(table: Table, first: int) -> str:
    keys = table.key.columns
    arrays = _arrays((column.type for column in table.columns), first)
    assignments = ", ".join(f"{name} = u.{name}" for name in table.names if name not in keys)
    matches = " AND ".join(f"t.{name} = u.{name}" for name in keys)
    return (
        f"UPDATE {table.name} t SET {assignments}"
        f" FROM unnest({arrays}) AS u({', '.join(table.names)}) WHERE {matches}"
    )


def write(writing: Writing) -> Statement:
    """All that a batch writes, in one statement; it answers the transaction's id."""
    parts: list[str] = []
    values: list[Any] = []
    once = "0"
    for rows, statement in ((writing.inserts, _insert), (writing.updates, _update)):
        for table in sorted(rows, key=lambda table: (table.rank, table.name)):
            name = f"w{len(parts)}"
            parts.append(f"{name} AS ({statement(table, len(values) + 1)})")
            values += _columns(rows[table], len(table.columns))
            if table.once:
                once = f"(SELECT count(*) FROM {name})"
    if writing.announcements:
        parts.append(
            f"n AS (SELECT pg_notify('commerce', m) FROM unnest(${len(values) + 1}::text[]) m)"
        )
        values.append(list(writing.announcements))
        once += " + 0 * (SELECT count(*) FROM n)"
    head = f"WITH {', '.join(parts)} " if parts else ""
    return f"{head}SELECT pg_current_xact_id()::text, {once}", values


def ensure(table: Table, rows: Sequence[Row]) -> Statement:
    """Make the rows of counters that do not exist yet."""
    arrays = _arrays((column.type for column in table.columns), 1)
    return (
        f"INSERT INTO {table.name} ({', '.join(table.names)})"
        f" SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING",
        _columns(rows, len(table.columns)),
    )


def page(page: Page) -> Statement:
    """One page of a list, newest first unless `ascending`, from the row after `after`."""
    values: list[Any] = []
    conditions: list[str] = []
    types = {column.name: column.type for column in page.table.columns}
    for condition in page.filters:
        conditions.append(_condition(condition, types[condition.column], values))
    if page.after is not None:
        start = len(values) + 1
        values += page.after
        marks = ", ".join(
            f"${start + at}::{types[name]}" for at, name in enumerate(page.order)
        )
        comparison = ">" if page.ascending else "<"
        conditions.append(f"({', '.join(page.order)}) {comparison} ({marks})")
    direction = "ASC" if page.ascending else "DESC"
    order = ", ".join(f"{name} {direction}" for name in page.order)
    values.append(page.limit)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {', '.join(page.table.names)} FROM {page.table.name}{where}"
        f" ORDER BY {order} LIMIT ${len(values)}",
        values,
    )


def sums(table: Table, amount: str, by: str, filters: Sequence[Filter]) -> Statement:
    """The sums of a column, by another one."""
    values: list[Any] = []
    types = {column.name: column.type for column in table.columns}
    conditions = [_condition(each, types[each.column], values) for each in filters]
    return (
        f"SELECT {by}, sum({amount})::bigint FROM {table.name}"
        f" WHERE {' AND '.join(conditions)} GROUP BY {by}",
        values,
    )


def _condition(condition: Filter, type_: str, values: list[Any]) -> str:
    values.append(condition.value)
    if condition.operator == "in":
        return f"{condition.column} = ANY(${len(values)}::{type_}[])"
    return f"{condition.column} {condition.operator} ${len(values)}::{type_}"


def forget(table: Table, keys: Sequence[Key]) -> Statement:
    """Delete rows by their primary keys."""
    names = [f"k{at}" for at in range(len(table.key.columns))]
    matches = " AND ".join(
        f"t.{column} = k.{name}" for column, name in zip(table.key.columns, names, strict=True)
    )
    return (
        f"DELETE FROM {table.name} t USING"
        f" unnest({_arrays(_key_types(table.key), 1)}) AS k({', '.join(names)}) WHERE {matches}",
        _columns(keys, len(names)),
    )
