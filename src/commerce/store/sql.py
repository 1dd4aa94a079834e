"""Statements over rows, written from the declarations of tables; values are always bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
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


@lru_cache(maxsize=2048)
def _find(index: Index, first: int, *, lock: bool) -> str:
    names = [f"k{at}" for at in range(len(index.columns))]
    matches = " AND ".join(
        f"t.{column} = k.{name}" for column, name in zip(index.columns, names, strict=True)
    )
    order = ", ".join(f"t.{column}" for column in index.columns)
    return (
        f"SELECT {', '.join(f't.{name}' for name in index.select)}"
        f" FROM {index.table.name} t"
        f" JOIN unnest({_arrays(index.types, first)}) AS k({', '.join(names)})"
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
def _update(table: Table, first: int) -> str:
    keys = table.key.columns
    names = [*keys, *table.updated]
    types = {column.name: column.type for column in table.columns}
    assignments = ", ".join(f"{name} = u.{name}" for name in table.updated)
    matches = " AND ".join(f"t.{name} = u.{name}" for name in keys)
    return (
        f"UPDATE {table.name} t SET {assignments}"
        f" FROM unnest({_arrays((types[name] for name in names), first)})"
        f" AS u({', '.join(names)}) WHERE {matches}"
    )


@lru_cache(maxsize=512)
def _changing(table: Table) -> Callable[[Row], Row]:
    return itemgetter(*(table.names.index(name) for name in (*table.key.columns, *table.updated)))


def write(writing: Writing) -> Statement:
    """The changes and announcements of a batch, in one statement; it gives the transaction's id."""
    parts: list[str] = []
    values: list[Any] = []
    for table, rows in sorted(writing.updates.items(), key=lambda each: each[0].order):
        parts.append(f"w{len(parts)} AS ({_update(table, len(values) + 1)})")
        changing = _changing(table)
        values += _columns([changing(row) for row in rows], 0)
    notified = ""
    if writing.announcements:
        parts.append(
            f"n AS (SELECT pg_notify('commerce', m) FROM unnest(${len(values) + 1}::text[]) m)"
        )
        values.append(list(writing.announcements))
        notified = ", (SELECT count(*) FROM n)"
    head = f"WITH {', '.join(parts)} " if parts else ""
    return f"{head}SELECT pg_current_xact_id()::text{notified}", values


def claim(table: Table, row: Row) -> Statement:
    """Insert one row unless there is one: it waits while another transaction is about to."""
    marks = ", ".join(f"${at}" for at in range(1, len(row) + 1))
    names = ", ".join(table.names)
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", [*row]


def page(page: Page) -> Statement:
    """One page of a list, newest first unless `ascending`, from the row after `after`."""
    values: list[Any] = []
    conditions: list[str] = []
    types = {column.name: column.type for column in page.table.columns}
    conditions += [_condition(each, types[each.column], values) for each in page.filters]
    if page.after is not None:
        start = len(values) + 1
        values += page.after
        marks = ", ".join(f"${start + at}::{types[name]}" for at, name in enumerate(page.order))
        comparison = ">" if page.ascending else "<"
        conditions.append(f"({', '.join(page.order)}) {comparison} ({marks})")
    direction = "ASC" if page.ascending else "DESC"
    order = ", ".join(f"{name} {direction}" for name in page.order)
    values.append(page.limit)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    statement = (
        f"SELECT {', '.join(page.table.names)} FROM {page.table.name}{where}"
        f" ORDER BY {order} LIMIT ${len(values)}"
    )
    return statement, values


def sums(table: Table, amount: str, by: str, filters: Sequence[Filter]) -> Statement:
    """The sums of a column, by another one."""
    values: list[Any] = []
    types = {column.name: column.type for column in table.columns}
    conditions = [_condition(each, types[each.column], values) for each in filters]
    statement = (
        f"SELECT {by}, sum({amount})::bigint FROM {table.name}"
        f" WHERE {' AND '.join(conditions)} GROUP BY {by}"
    )
    return statement, values


def _condition(condition: Filter, type_: str, values: list[Any]) -> str:
    values.append(condition.value)
    if condition.operator == "in":
        return f"{condition.column} = ANY(${len(values)}::{type_}[])"
    return f"{condition.column} {condition.operator} ${len(values)}::{type_}"


def forget(table: Table, keys: Sequence[Key], created_before: int) -> Statement:
    """Delete rows by their primary keys, but not one that has been made anew meanwhile."""
    names = [f"k{at}" for at in range(len(table.key.columns))]
    matches = " AND ".join(
        f"t.{column} = k.{name}" for column, name in zip(table.key.columns, names, strict=True)
    )
    statement = (
        f"DELETE FROM {table.name} t USING"
        f" unnest({_arrays(table.key.types, 1)}) AS k({', '.join(names)}) WHERE {matches}"
        f" AND t.created < ${len(names) + 1}"
    )
    return statement, [*_columns(keys, len(names)), created_before]
