"""The rehearsal says which example is wrong, rather than leave it out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from commerce.resource.example import Example
from commerce.resource.noun import Noun
from commerce.resource.operation import Nothing, Params, view
from commerce.resource.registry import Registry
from commerce.resource.rehearsal import Rehearsal, Unstaged, Wallets
from tests.contract.surface import REGISTRY

WALLETS = Wallets("w1", "w2")


class OneThing(Params, frozen=True, kw_only=True):
    """Which thing, and how."""

    thing: str
    colour: str


async def example(_: Example) -> dict[str, object]:
    """A red one."""
    return {"thing": "t1", "colour": "red"}


def registry(path: str, params: type[Params] = Nothing, **given: Any) -> Registry:
    """A registry of one view."""

    @view(Noun, f"GET {path}", scope="events:read", params=params, **given)
    async def read(*_: object) -> Noun:
        raise AssertionError

    return Registry([], [], [read])


async def refusing(*_: object) -> tuple[int, Any]:
    return 402, {"error": {"code": "insufficient_funds"}}


async def empty(*_: object) -> tuple[int, Any]:
    return 200, {"object": "list", "data": []}


async def test_an_example_that_is_refused_is_named_with_its_refusal() -> None:
    with pytest.raises(Unstaged, match=r"GET /things in get-things: 402 .*insufficient_funds"):
        await Rehearsal(registry("/things"), refusing, WALLETS).run()


async def test_a_parameter_of_a_path_that_nobody_knows_needs_an_example() -> None:
    with pytest.raises(Unstaged, match=r"GET /things/{thing} owes an example for 'thing'"):
        await Rehearsal(registry("/things/{thing}"), empty, WALLETS).run()


async def test_an_example_of_a_read_fills_in_its_path_and_its_query() -> None:
    made = registry("/things/{thing}", OneThing, example=example)
    shown = await Rehearsal(made, empty, WALLETS).run()
    assert shown["GET /things/{thing}"].call.path == "/things/t1?colour=red"


async def test_a_list_that_the_examples_leave_empty_is_named() -> None:
    events = [noun for noun in REGISTRY.nouns if noun.__noun__.name == "event"]
    module = cast("Any", type("module", (), {"Event": events[0]}))
    made = Registry([module], [], [])
    with pytest.raises(Unstaged, match=r"GET /events/{id}: its list is empty"):
        await Rehearsal(made, empty, WALLETS).run()
