"""Tables: what the code declares is what the migrations made."""

from __future__ import annotations

import pytest

from commerce.resource.registry import Endpoint
from commerce.store.table import Table
from tests.contract.surface import LISTS, REGISTRY, named
from tests.stage import Stage

TABLES = sorted(REGISTRY.tables.values(), key=lambda table: table.name)
OF_THE_DATABASE = {"xid"}
"""Columns that the database fills in by itself."""


def of_table(table: Table) -> str:
    return table.name


@pytest.mark.parametrize("table", TABLES, ids=of_table)
async def test_columns_types_and_nulls_are_those_of_the_migrations(
    stage: Stage, table: Table
) -> None:
    query = """
        SELECT column_name, data_type, is_nullable = 'YES' AS nullable,
            column_default, collation_name
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = $1"""
    found = {row["column_name"]: row for row in await stage.rows(query, table.name)}
    extra = found.keys() - set(table.names)
    assert extra <= OF_THE_DATABASE
    assert all(found[name]["column_default"] for name in extra)
    kept = {name: (row["data_type"], row["nullable"]) for name, row in found.items()}
    declared = {column.name: (column.type, column.nullable) for column in table.columns}
    assert {name: kept[name] for name in kept if name not in extra} == declared
    texts = [row for row in found.values() if row["data_type"] == "text"]
    assert {row["collation_name"] for row in texts} <= {"C"}


@pytest.mark.parametrize("table", TABLES, ids=of_table)
async def test_keys_and_unique_columns_are_those_of_the_migrations(
    stage: Stage, table: Table
) -> None:
    query = """
        SELECT i.indisprimary AS primary, array(
            SELECT attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY place
        ) AS columns
        FROM pg_index i WHERE i.indrelid = $1::text::regclass AND i.indisunique"""
    found = await stage.rows(query, table.name)
    primary = [tuple(row["columns"]) for row in found if row["primary"]]
    assert primary == [table.key.columns]
    unique = {tuple(row["columns"]) for row in found if not row["primary"]}
    assert set(table.unique) <= unique


@pytest.mark.parametrize("endpoint", LISTS, ids=named)
async def test_every_listed_noun_has_an_index_in_the_order_of_its_list(
    stage: Stage, endpoint: Endpoint
) -> None:
    assert endpoint.noun is not None
    spec = endpoint.noun.__noun__
    query = """
        SELECT array(
            SELECT attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY place
        ) AS columns FROM pg_index i WHERE i.indrelid = $1::text::regclass"""
    indexes = [tuple(row["columns"]) for row in await stage.rows(query, spec.table.name)]
    assert (spec.listed_under, "livemode", *spec.order) in indexes


async def test_the_database_has_no_table_that_the_code_does_not_know(stage: Stage) -> None:
    query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    found = {row["table_name"] for row in await stage.rows(query)}
    apart = {"master_key", "ledger_epoch", "rate_budget", "schema_migration"}
    assert found - {table.name for table in TABLES} == apart


def test_no_two_tables_share_a_rank() -> None:
    ranks = [table.rank for table in TABLES]
    assert len(set(ranks)) == len(ranks)
