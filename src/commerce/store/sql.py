"""Statements over rows, written from the declarations of tables; values are always bound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from commerce.store.layout import Layout
from commerce.store.table import Filter, Index, Key, Page, Row, Sum, Table, Wanted, Writing

Statement = tuple[str, list[Any]]

XID = "pg_current_xact_id()::text::bigint"
OLDEST_RUNNING = """
    SELECT CASE WHEN pg_try_advisory_xact_lock($1)
        THEN pg_snapshot_xmin(pg_current_snapshot())::text::bigint END"""
"""The oldest transaction that still runs, or the next to begin; for one session at a time."""

RUNNING = """
    SELECT transactionid::text FROM pg_locks
    WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted"""
"""The transactions that have written and still run: each locks its own id before its first row."""


@lru_cache(maxsize=2048)
def _find(index: Index, mark: int, *, lock: bool) -> str:
    """Look each key up, in the order given: a plan that no statistics can turn around.

    A plain join of few keys with a table that was small when it was analysed reads all of it,
    and a prepared statement keeps that plan while the table grows.
    """
    table = index.table.name
    matches = " AND ".join(f"{table}.{column} = k.{column}" for column in index.columns)
    return (
        f"SELECT t.* FROM unnest(${mark}::{table}[]) k CROSS JOIN LATERAL"
        f" (SELECT {', '.join(index.select)} FROM {table} WHERE {matches}"
        f" {'FOR UPDATE' if lock else 'OFFSET 0'}) t"
    )


def find(index: Index, keys: Sequence[Key], layout: Layout) -> Statement:
    """Rows of one table by their keys, unlocked."""
    return _find(index, 1, lock=False), [layout.rows(index.table, index.columns, sorted(keys))]


def load(wanted: Wanted, layout: Layout) -> tuple[str, list[Any], list[Index]]:
    """All rows a batch wants, in one statement, locked in the one global order.

    PostgreSQL evaluates the target list from left to right and each part key by key, so the
    order of locks is the order written here: by rank, then key. Last comes the transaction's id.
    """
    parts: list[str] = []
    values: list[Any] = []
    indexes: list[Index] = []
    for index in sorted(wanted, key=lambda index: index.order):
        for lock in (False, True):
            keys = sorted(key for key, locked in wanted[index].items() if locked is lock)
            if not keys:
                continue
            values.append(layout.rows(index.table, index.columns, keys))
            parts.append(f"(SELECT array_agg(r) FROM ({_find(index, len(values), lock=lock)}) r)")
            indexes.append(index)
    return f"SELECT {', '.join([*parts, XID])}", values, indexes


@lru_cache(maxsize=2048)
def _above(index: Index) -> str:
    table = index.table.name
    *prefix, last = index.columns
    matches = "".join(f"{table}.{column} = k.{column} AND " for column in prefix)
    return (
        f"SELECT t.* FROM unnest($1::{table}[]) k CROSS JOIN LATERAL"
        f" (SELECT {', '.join(index.select)} FROM {table}"
        f" WHERE {matches}{table}.{last} > k.{last} ORDER BY {last} LIMIT 1) t"
    )


def above(index: Index, keys: Sequence[Key], layout: Layout) -> Statement:
    """For each key the row next above it, that agrees with it in all columns but the last."""
    return _above(index), [layout.rows(index.table, index.columns, sorted(keys))]


@lru_cache(maxsize=2048)
def _insert(table: Table, mark: int) -> str:
    names = ", ".join(table.names)
    rows = f"unnest(${mark}::{table.name}[])"
    return f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {rows}"


def _update(table: Table, mark: int) -> str:
    return _change(table, table.key.columns, table.updated, mark)


@lru_cache(maxsize=2048)
def _change(table: Table, match: tuple[str, ...], changed: tuple[str, ...], mark: int) -> str:
    """Change rows, each looked up by its key first, for the reason that `_find` gives."""
    assignments = ", ".join(f"{name} = u.{name}" for name in changed)
    matches = " AND ".join(f"{table.name}.{column} = k.{column}" for column in match)
    return (
        f"UPDATE {table.name} t SET {assignments} FROM"
        f" (SELECT k.*, r.place FROM unnest(${mark}::{table.name}[]) k CROSS JOIN LATERAL"
        f" (SELECT ctid AS place FROM {table.name} WHERE {matches} OFFSET 0) r) u"
        f" WHERE t.ctid = u.place"
    )


def write(writing: Writing, layout: Layout) -> Statement:
    """All that a batch writes, in one statement; it gives the transaction's id.

    Which of the parts PostgreSQL runs first is its own affair: no part needs another's rows.
    """
    parts: list[str] = []
    values: list[Any] = []
    for part, written in ((_insert, writing.inserts), (_update, writing.updates)):
        for table, rows in sorted(written.items(), key=lambda each: each[0].order):
            values.append(layout.rows(table, table.names, rows))
            parts.append(f"w{len(parts)} AS ({part(table, len(values))})")
    for table, match, changed, given in writing.rewrites:
        values.append(layout.rows(table, (*match, *changed), given))
        parts.append(f"w{len(parts)} AS ({_change(table, match, changed, len(values))})")
    notified = ""
    if writing.announcements:
        values.append(list(writing.announcements))
        parts.append(
            f"n AS (SELECT pg_notify('commerce', m) FROM unnest(${len(values)}::text[]) m)"
        )
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
        f"SELECT {', '.join(page.select or page.table.names)} FROM {page.table.name}{where}"
        f" ORDER BY {order} LIMIT ${len(values)}"
    )
    return statement, values


def sums(asked: Sequence[Sum]) -> Statement:
    """Sums of columns, each by another one, beside their place in what was asked.

    One statement sees one snapshot, so that what is compared belongs together.
    """
    values: list[Any] = []
    parts: list[str] = []
    for number, (table, amount, by, filters) in enumerate(asked):
        types = {column.name: column.type for column in table.columns}
        conditions = [_condition(each, types[each.column], values) for each in filters]
        parts.append(
            f"SELECT {number}, {by}, sum({amount})::bigint FROM {table.name}"
            f" WHERE {' AND '.join(conditions)} GROUP BY {by}"
        )
    return " UNION ALL ".join(parts), values


def _condition(condition: Filter, type_: str, values: list[Any]) -> str:
    if condition.operator == "null":
        return f"{condition.column} IS NULL"
    values.append(condition.value)
    if condition.operator == "in":
        return f"{condition.column} = ANY(${len(values)}::{type_}[])"
    if condition.operator == "@>":
        # Said for the indexes of metadata, which leave out what has none.
        some = f"{condition.column} <> '{{}}'::jsonb"
        return f"{condition.column} @> ${len(values)}::jsonb AND {some}"
    return f"{condition.column} {condition.operator} ${len(values)}::{type_}"


def purge(table: Table, created_before: int, at_most: int) -> Statement:
    """Delete some old rows, found wherever they are; it gives how many."""
    statement = (
        f"WITH gone AS (DELETE FROM {table.name} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table.name} WHERE created < $1 LIMIT $2)) RETURNING 1)"
        " SELECT count(*) FROM gone"
    )
    return statement, [created_before, at_most]


def forget(table: Table, keys: Sequence[Key], created_before: int, layout: Layout) -> Statement:
    """Delete rows by their primary keys, but not one that has been made anew meanwhile."""
    matches = " AND ".join(f"t.{column} = k.{column}" for column in table.key.columns)
    statement = (
        f"DELETE FROM {table.name} t USING unnest($1::{table.name}[]) k"
        f" WHERE {matches} AND t.created < $2"
    )
    return statement, [layout.rows(table, table.key.columns, keys), created_before]
