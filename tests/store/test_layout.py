"""Layout: values find their columns, whatever order the database has them in."""

from __future__ import annotations

import pytest

from commerce.store.layout import Layout
from commerce.store.table import Column, Table

TABLE = Table("thing", [Column("a", "text"), Column("b", "bigint")], key=("a",), rank=1)


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (["a", "b"], ("x", 1)),
        (["a", "b", "c"], ("x", 1, None)),
        (["b", "a"], (1, "x")),
        (["c", "b", "a"], (None, 1, "x")),
    ],
)
def test_values_stand_where_the_database_has_their_columns(
    columns: list[str], row: tuple[object, ...]
) -> None:
    layout = Layout({"thing": columns})
    assert list(layout.rows(TABLE, TABLE.names, [("x", 1)])) == [row]


def test_a_key_alone_is_a_row_of_nulls_beside() -> None:
    layout = Layout({"thing": ["a", "b", "c"]})
    assert list(layout.rows(TABLE, ("b",), [(1,)])) == [(None, 1, None)]
    assert list(layout.rows(TABLE, ("a",), [("x",)])) == [("x", None, None)]
