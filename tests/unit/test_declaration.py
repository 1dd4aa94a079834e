"""Declarations: what a noun, a filter, a schema and an expansion make of every kind of field."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any, Literal, cast

import msgspec
import pytest

from commerce.engine.overlay import Held, Miss, Overlay, WorkingSet
from commerce.engine.tx import Tx
from commerce.http.form import parse_form
from commerce.http.openapi.parameter import body
from commerce.http.openapi.schema import _custom, components
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource import noun as nouns
from commerce.resource.expansion import DEPTH_MAX, NOTHING, Expander, Step, _places, expanded_in
from commerce.resource.filter import filters
from commerce.resource.noun import Noun, Part, encode_money, noun
from commerce.resource.operation import Operation, Params
from commerce.resource.parameter import decode
from commerce.resource.registry import Registry
from commerce.store.memory import Memory
from commerce.store.table import Filter
from tests.engine.world import World


@noun(
    prefix="gift",
    rank=1,
    filters=("wrapped", "price", "currency"),
    unique=("code",),
    announced=True,
)
class Gift(Noun, tag="gift", frozen=True, kw_only=True):
    """What nobody retrieves: it has no path."""

    price: Money | None = None
    currency: str
    wrapped: bool = False
    code: str | None = None
    either: int | str = 0
    status: Literal["given", "kept"] = "given"


SPEC = Gift.__noun__


def row(number: int, price: int | None, version: int = 1) -> tuple[Any, ...]:
    head = ("acct_1", False, f"gift_{number}", version, 7, "{}")
    return (*head, price, "usd", True, None, '"x"', "kept")


def gift(number: int, price: int | None) -> Gift:
    money = None if price is None else Money(price, "usd")
    return Gift(
        id=f"gift_{number}",
        livemode=False,
        created=7,
        price=money,
        currency="usd",
        wrapped=True,
        either="x",
        status="kept",
    )


@pytest.mark.parametrize("price", [None, 0, 250])
def test_an_object_is_read_back_from_its_row_with_an_amount_or_without(price: int | None) -> None:
    made = gift(1, price)
    assert SPEC.row(Held(SPEC, "acct_1", 1, made)) == row(1, price)
    assert SPEC.thing(row(1, price)) == made


def test_what_is_read_all_the_time_is_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nouns, "READ_MAX", 2)
    first = SPEC.held(row(1, 1))
    assert SPEC.held(row(1, 1)) is first
    assert SPEC.held(row(1, 2, version=2)).thing == gift(1, 2)
    SPEC.held(row(2, 1))
    SPEC.held(row(3, 1))
    assert set(SPEC._read) == {row(3, 1)[:3]}


def test_a_noun_without_a_path_has_no_endpoint_of_its_own() -> None:
    module = ModuleType("gifts")
    module.__dict__["Gift"] = Gift
    registry = Registry([module], [])
    assert (registry.nouns, registry.endpoints()) == ([Gift], [])
    assert registry.tables == {"gift": SPEC.table}


def test_what_has_no_form_in_json_is_an_error_of_ours() -> None:
    assert encode_money(Money(1, "usd")) == "0.01"
    assert encode_money(True) == 1
    with pytest.raises(TypeError, match="object has no JSON form"):
        encode_money(object())
    with pytest.raises(NotImplementedError):
        decode(bytes, "x")


async def test_a_unique_field_may_be_nothing_in_as_many_objects_as_there_are() -> None:
    async with World(Memory()).running() as world:

        def add(tx: Tx, made: Gift) -> Gift:
            return tx.add(made)

        for number in range(2):
            await world.operate(add, gift(number, 1), "acct_1")
        coded = msgspec.structs.replace(gift(2, 1), code="x")
        await world.operate(add, coded, "acct_1")
        found: Any = await world.operate(lambda tx, code: tx.find(Gift, code=code), "x", "acct_1")
        assert found == coded
        none: Any = await world.operate(lambda tx, code: tx.find(Gift, code=code), "y", "acct_1")
        assert none is None
        with pytest.raises(ApiError, match="unavailable"):
            await world.operate(add, msgspec.structs.replace(coded, id="gift_3"), "acct_1")


def test_what_is_known_not_to_be_there_is_not_seen() -> None:
    working = WorkingSet()
    keys = [("acct_1", False, f"gift_{number}") for number in range(2)]
    index = SPEC.table.key
    working.take({index: dict.fromkeys(keys, False)}, [(index, [row(1, 1)])])
    seen = Overlay(working).see(SPEC, ("acct_1", False), ["gift_0", "gift_1"])
    assert seen == {"gift_1": gift(1, 1)}
    with pytest.raises(Miss) as missed:
        Overlay(working).see(SPEC, ("acct_1", False), ["gift_1", "gift_2", "gift_3"])
    assert missed.value.keys == (("acct_1", False, "gift_2"), ("acct_1", False, "gift_3"))
    assert missed.value.lock is False


# Filters


def test_a_yes_or_no_is_filtered_by_its_words() -> None:
    assert filters(SPEC, {"wrapped": ["true"]}, ()) == [Filter("wrapped", "=", True)]
    assert filters(SPEC, {"wrapped": ["false"]}, ()) == [Filter("wrapped", "=", False)]
    with pytest.raises(ApiError, match="'wrapped' must be one of: true, false"):
        filters(SPEC, {"wrapped": ["yes"]}, ())


def test_an_amount_of_any_currency_is_filtered_in_the_one_that_is_named() -> None:
    asked = {"price[gte]": ["1.50"], "currency": ["usd"]}
    assert Filter("price", ">=", 150) in filters(SPEC, asked, ())
    with pytest.raises(ApiError) as refused:
        filters(SPEC, {"price[gte]": ["1.50"]}, ())
    assert (refused.value.code, refused.value.param) == ("parameter_missing", "currency")


# Forms and schemas


class Loose(Params, frozen=True, kw_only=True):
    """Takes anything."""

    value: Any | None = None
    name: str = ""


class Pair(Params, frozen=True, kw_only=True):
    """Shown and taken."""

    key: str
    """Its key."""
    text: str = ""
    """Its text."""


def test_what_may_be_anything_or_nothing_is_read_as_it_looks() -> None:
    assert parse_form(b"value[a][b]=1&value[c]=2", Loose) == {"value": {"a": {"b": "1"}, "c": "2"}}
    assert parse_form(b"value[0]=1&value[1]=2", Loose) == {"value": ["1", "2"]}


def test_types_of_our_own_are_numbers_or_texts_in_schemas() -> None:
    class Count(int):
        pass

    class Word(str):
        __slots__ = ()

    assert _custom(Count) == {"type": "integer"}
    assert _custom(Word) == {"type": "string"}


def test_what_is_taken_as_well_as_shown_lacks_nothing_where_it_leaves_something_out() -> None:
    operation = cast("Operation", SimpleNamespace(also=None, returns=Pair, params=Pair, run=None))
    alone = cast("Operation", SimpleNamespace(also=None, returns=Pair, params=Loose, run=None))
    both = components([], [operation], Expander([]))["Pair"]
    shown = components([], [alone], Expander([]))["Pair"]
    assert both.get("required", []) == ["key"]
    assert sorted(shown["required"]) == ["key", "text"]


def test_a_verb_without_an_example_is_documented_without_one() -> None:
    schemas = {"Loose": {"properties": {"name": {"type": "string"}}, "required": ["name"]}}
    operation = cast("Operation", SimpleNamespace(params=Loose))
    for example in (None, {"name": "x"}):
        made = body(operation, "/loose", schemas, example)
        assert made["content"]["application/json"].get("example") == example
        assert made["required"] is True


# Expansion


class Deep(Part, frozen=True, kw_only=True):
    """A part within itself, without an end."""

    inner: Deep | None = None


class Holder(msgspec.Struct):
    """What has nothing to expand, however deep one looks."""

    deep: Deep | None = None


def test_a_path_is_looked_for_as_deep_as_one_may_be_asked_for() -> None:
    expander = Expander([])
    assert expander.paths(Holder) == []
    with pytest.raises(ApiError, match=f"at most {DEPTH_MAX} parts"):
        expander.plan(Holder, ["deep" + ".inner" * DEPTH_MAX])
    with pytest.raises(ApiError, match=r"'deep\.inner' cannot be expanded\. Nothing can"):
        expander.plan(Holder, ["deep.inner"])


def test_ids_are_found_in_lists_in_summaries_and_nowhere_else() -> None:
    steps = {"a": Step((), {"b": Step((SPEC,), {})})}
    value = {"a": [{"b": ["1", {"id": "2"}, None, {"id": 3}, {}]}, {"b": "4"}, 5, None]}
    found = list(_places(value, steps))
    assert [place.id for place in found] == ["1", "2", "4"]
    assert [place.at for place in found] == [0, 1, "b"]
    assert list(_places("text", steps)) == []


def test_an_answer_of_which_nothing_is_expanded_stays_as_it_is() -> None:
    assert expanded_in(cast("Any", None), NOTHING, b'{"a": 1}') == b'{"a": 1}'
