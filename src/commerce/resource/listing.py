"""Lists: filters and cursors read off a noun's declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

import msgspec

from commerce.kernel.clock import parse_time
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.noun import HIDDEN, Noun, Spec, _bare, _marks
from commerce.resource.reading import Reading, things
from commerce.store.table import Filter, Key, Page

LIMIT_DEFAULT = 10
LIMIT_MAX = 100
_LIMITS = {str(limit) for limit in range(1, LIMIT_MAX + 1)}
TEXT_LENGTH_MAX = 500
OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
CONTROLS = ("limit", "starting_after", "ending_before")


class ListOf(msgspec.Struct, frozen=True, kw_only=True):
    """A page of objects, newest first."""

    object: Literal["list"] = "list"
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


def filter_names(spec: Spec) -> tuple[str, ...]:
    """The fields a noun's list may be filtered by."""
    return (*spec.filters, "created")


def parse(spec: Spec, query: Mapping[str, Sequence[str]]) -> Query:
    """Read a list's query string, already split into names and their values.

    Raises `parameter_unknown`, `parameter_invalid`, `cursor_invalid`.
    """
    single = {name: query[name][-1] for name in CONTROLS if name in query}
    filters = [
        made
        for name, values in query.items()
        if name not in CONTROLS
        for made in _filters(spec, name, values)
    ]
    after, before = single.get("starting_after"), single.get("ending_before")
    if after is not None and before is not None:
        raise ApiError(
            "cursor_invalid",
            "Send 'starting_after' or 'ending_before', not both.",
            param="ending_before",
        )
    return Query(filters, _limit(single.get("limit")), after, before)


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if text not in _LIMITS:
        message = f"'limit' must be an integer from 1 to {LIMIT_MAX}."
        raise ApiError("parameter_invalid", message, param="limit")
    return int(text)


def _filters(spec: Spec, name: str, values: Sequence[str]) -> list[Filter]:
    shown, bracket, rest = name.partition("[")
    known = filter_names(spec)
    operator = rest.removesuffix("]")
    if shown not in known or (bracket and not rest.endswith("]")):
        raise unknown(name, [*known, *CONTROLS])
    field = spec.field_of[shown]
    read = _reader(spec, field)
    if not bracket:
        made = Filter(field, "=", read(values[-1], name))
    elif operator == "":
        made = Filter(field, "in", [read(value, name) for value in values])
    elif operator in OPERATORS and field == "created":
        made = Filter(field, OPERATORS[operator], read(values[-1], name))
    else:
        raise unknown(name, [*known, *CONTROLS])
    # A field with one possible value has no column, and no value that would leave a row out.
    return [made] if field in spec.table.names else []


def unknown(name: str, known: Sequence[str]) -> ApiError:
    """A parameter nobody knows, with the nearest one somebody does."""
    near = get_close_matches(name[:64], known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    message = f"Unknown parameter '{name[:64]}'.{hint}"
    return ApiError("parameter_unknown", message, param=name[:64])


def _reader(spec: Spec, field: str) -> Any:
    hint = spec.types[field]
    bare, _ = _bare(hint)
    assert HIDDEN not in _marks(hint), f"{field} is hidden and cannot be filtered by"
    if field == "created":
        return lambda text, param: parse_time(text, param=param)
    if get_origin(bare) is Literal:
        return _choice(get_args(bare))
    if bare is Money:
        raise TypeError(f"{spec.name}: filtering by money is not supported yet")
    return _text


def _choice(choices: Sequence[str]) -> Any:
    def read(text: str, param: str) -> str:
        if text not in choices:
            listed = ", ".join(choices)
            message = f"'{param}' must be one of: {listed}."
            raise ApiError("parameter_invalid", message, param=param)
        return text

    return read


def _text(text: str, param: str) -> str:
    if len(text) > TEXT_LENGTH_MAX:
        raise ApiError("parameter_invalid", f"'{param}' is too long.", param=param)
    return text


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
    page = Page(spec.table, query.filters, spec.order, query.limit + 1, after, ascending)
    rows = await reading.page(page, under=spec.listed_under)
    has_more = len(rows) > query.limit
    rows = rows[: query.limit]
    if ascending:
        rows.reverse()
    data = [spec.wire(thing) for thing in things(spec, rows)]
    return ListOf(url=url, has_more=has_more, data=data)
