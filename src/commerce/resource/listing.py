"""Lists: filters and cursors read off a noun's declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from commerce.kernel.errors import ApiError
from commerce.resource.filter import filters, single
from commerce.resource.noun import Noun, Spec
from commerce.resource.reading import Reading, completed
from commerce.store.table import Filter, Key, Page

LIMIT_DEFAULT = 10
LIMIT_MAX = 100
_LIMITS = {str(limit) for limit in range(1, LIMIT_MAX + 1)}
CONTROLS = ("limit", "starting_after", "ending_before")


class ListOf(msgspec.Struct, frozen=True, kw_only=True):
    """A page of objects, newest first."""

    object: Literal["list"] = "list"
    """`list`."""
    url: str
    """Where this list is."""
    has_more: bool
    """Whether there are more objects beyond this page, in the direction it was asked in."""
    data: list[Any]
    """The objects."""


class Query(msgspec.Struct, frozen=True):
    """What a list is asked for."""

    filters: Sequence[Filter]
    limit: int
    starting_after: str | None
    ending_before: str | None


def parse(spec: Spec, query: Mapping[str, Sequence[str]]) -> Query:
    """Read a list's query string, already split into names and their values.

    Raises `cursor_invalid`, and what `filters` raises.
    """
    controls = single({name: query[name] for name in CONTROLS if name in query})
    rest = {name: values for name, values in query.items() if name not in CONTROLS}
    wanted = filters(spec, rest, (*CONTROLS, "expand[]"))
    after, before = controls.get("starting_after"), controls.get("ending_before")
    if after is not None and before is not None:
        raise ApiError(
            "cursor_invalid",
            "Send 'starting_after' or 'ending_before', not both.",
            param="ending_before",
        )
    return Query(wanted, _limit(controls.get("limit")), after, before)


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if text not in _LIMITS:
        message = f"'limit' must be an integer from 1 to {LIMIT_MAX}."
        raise ApiError("parameter_invalid", message, param="limit")
    return int(text)


async def list_things(reading: Reading, noun: type[Noun], query: Query, url: str) -> ListOf:
    """A page of the caller's objects of one noun."""
    spec = noun.__noun__
    ascending = query.ending_before is not None
    cursor = query.ending_before if ascending else query.starting_after
    after: Key | None = None
    if cursor is not None:
        name = "ending_before" if ascending else "starting_after"
        row = await reading.row(spec, cursor, listed=True)
        if row is None:
            message = f"'{name}' names no {spec.name} of this list: '{cursor[:64]}'."
            raise ApiError("cursor_invalid", message, param=name)
        after = tuple(row[spec.table.names.index(column)] for column in spec.order)
    there = [Filter("deleted", "=", value=False)] if "deleted" in spec.types else []
    wanted = [*query.filters, *there]
    page = Page(spec.table, wanted, spec.order, query.limit + 1, after, ascending)
    rows = await reading.page(page, under=spec.listed_under)
    has_more = len(rows) > query.limit
    rows = rows[: query.limit]
    if ascending:
        rows.reverse()
    data = [spec.wire(thing) for thing in await completed(reading, spec, rows)]
    return ListOf(url=url, has_more=has_more, data=data)
