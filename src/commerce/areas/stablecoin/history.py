"""Reading transactions: those that an account caused, and those that paid it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from commerce.kernel import address as addresses
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.ledger.entry import TRANSACTION
from commerce.resource import listing
from commerce.resource.filter import single
from commerce.resource.listing import ListOf, Query
from commerce.resource.noun import Noun
from commerce.resource.reading import Reading, completed
from commerce.resource.shelf import Shelf
from commerce.store.table import Filter, Page, Row

PARAMETERS = {
    "address": "Only transactions from or to this address.",
    "direction": "`in` or `out`, as that address sees it; as you do, without one.",
}
DIRECTIONS = ("in", "out")
STOCK = "stock"
"""The type of transactions in which pieces move, not money."""


class Stream(NamedTuple):
    """Rows in the order of ids: an account's own, or those by which it was paid."""

    owner: str
    filters: tuple[Filter, ...]


def shelf(noun: type[Noun]) -> Shelf:
    """The shelf of ledger transactions.

    They stand under the account that caused them. Whoever owns the recipient reads them too, by
    an index of their own: a row more for each party would cost a transfer more than that.
    """

    async def page(reading: Reading, given: Mapping[str, Sequence[str]], url: str) -> ListOf:
        rest = {name: values for name, values in given.items() if name not in PARAMETERS}
        asked = _of_one_book(listing.parse(noun.__noun__, rest), rest)
        own = {name: values for name, values in given.items() if name in PARAMETERS}
        streams = _streams(reading, single(own))
        return await merged(reading, asked, Merged(noun, streams, url))

    async def get(reading: Reading, id_: str) -> Noun:
        row = await row_of(reading, id_)
        if row is None:
            raise await reading.missing(noun.__noun__, id_)
        (thing,) = await completed(reading, noun.__noun__, [row])
        return thing  # type: ignore[no-any-return]

    return Shelf(PARAMETERS, page, get)


def _of_one_book(asked: Query, given: Mapping[str, Sequence[str]]) -> Query:
    """What is asked for of money, or of stock if that is asked for.

    Amounts of stock are whole pieces: they were read as ssUSD is. Raises `parameter_invalid` for
    amounts of both, and `amount_precision`.
    """
    types = {*given.get("type", ()), *given.get("type[]", ())}
    filters = list(asked.filters)
    if STOCK not in types:
        filters.append(Filter("currency", "=", SSUSD))
    for at, each in enumerate(filters):
        if STOCK in types and each.column == "amount":
            if len(types) > 1:
                message = "Amounts of stock are pieces: ask for them with 'type=stock' alone."
                raise ApiError("parameter_invalid", message, param="amount")
            filters[at] = each._replace(value=_pieces(each.value))
    return msgspec.structs.replace(asked, filters=filters)


def _pieces(millionths: Any) -> Any:
    if isinstance(millionths, list):
        return [_pieces(each) for each in millionths]
    pieces, rest = divmod(millionths, UNIT[SSUSD])
    if rest:
        raise ApiError("amount_precision", "Amounts of stock are whole pieces.", param="amount")
    return pieces


def _streams(reading: Reading, given: Mapping[str, str]) -> list[Stream]:
    """What to read for an address and a direction, as that address sees it, or as you do.

    A transaction may come in two streams, and is shown once.
    """
    direction, text = given.get("direction"), given.get("address")
    if direction not in {None, *DIRECTIONS}:
        message = f"'direction' must be one of: {', '.join(DIRECTIONS)}."
        raise ApiError("parameter_invalid", message, param="direction")
    if text is not None:
        livemode = reading.caller.livemode
        address = addresses.check(text, livemode=livemode, param="address")
        ends = {"in": ("recipient",), "out": ("sender",)}.get(
            direction or "", ("sender", "recipient")
        )
        at = [(Filter(end, "=", address),) for end in ends]
        return [Stream(owner, filters) for owner in ("account", "payee") for filters in at]
    own, paid = Stream("account", ()), Stream("payee", ())
    if direction == "in":
        return [paid]
    return [Stream("account", (Filter("sender", ">", ""),))] if direction == "out" else [own, paid]


async def row_of(reading: Reading, id_: str) -> Row | None:
    """The row of a transaction that the caller caused, or that paid it."""
    own = await reading.point(TRANSACTION.key, reading.key(id_))
    if own is not None:
        return own
    paid = Page(TRANSACTION, [Filter("id", "=", id_)], ("id",), 1)
    rows = await reading.page(paid, under="payee")
    return rows[0] if rows else None


class Merged(NamedTuple):
    """A list of several streams."""

    noun: type[Noun]
    streams: Sequence[Stream]
    url: str
    find: Callable[[Reading, str], Awaitable[Row | None]] = row_of
    """Gives the row that a cursor names, if it is one of this list."""


async def merged(reading: Reading, asked: Query, found: Merged) -> ListOf:
    """A page of a list of several streams, each of which is in the order of ids."""
    noun, streams, url, find = found
    spec = noun.__noun__
    ascending = asked.ending_before is not None
    cursor = asked.ending_before if ascending else asked.starting_after
    if cursor is not None and await find(reading, cursor) is None:
        name = "ending_before" if ascending else "starting_after"
        message = f"'{name}' names no {spec.name} of this list: '{cursor[:64]}'."
        raise ApiError("cursor_invalid", message, param=name)
    after = None if cursor is None else (cursor,)
    page = Page(TRANSACTION, asked.filters, ("id",), asked.limit + 1, after, ascending)
    pages = await asyncio.gather(
        *(
            reading.page(
                page._replace(filters=[*asked.filters, *stream.filters]), under=stream.owner
            )
            for stream in streams
        )
    )
    by_id = {row[2]: row for rows in pages for row in rows}
    ids = sorted(by_id, reverse=not ascending)
    shown = ids[: asked.limit]
    if ascending:
        shown.reverse()
    things = await completed(reading, spec, [by_id[id_] for id_ in shown])
    data = [spec.wire(thing) for thing in things]
    return ListOf(url=url, has_more=len(ids) > asked.limit, data=data)
