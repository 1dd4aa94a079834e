"""Where a noun is read from, if not from the rows of its owner alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from commerce.resource.noun import Noun
from commerce.resource.reading import Reading


class Shelf(NamedTuple):
    """A noun's own way to be listed and retrieved: `shelf: ClassVar = Shelf(…)` in its class."""

    parameters: Mapping[str, str]
    """What its list may be asked beside filters of fields, and what each means."""
    page: Callable[[Reading, Mapping[str, Sequence[str]], str], Awaitable[Any]]
    """Gives a page: what was asked, and where the list is."""
    get: Callable[[Reading, str], Awaitable[Any]]
    """Gives one object; raises `resource_missing`."""


def shelf_of(noun: type[Noun]) -> Shelf | None:
    """A noun's shelf, if it has one of its own."""
    return getattr(noun, "shelf", None)
