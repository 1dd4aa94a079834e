"""Words for types, and refusals that say what is allowed and where."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from commerce.kernel.errors import ApiError
from commerce.kernel.wording import MUST, must_be, unknown
from commerce.resource.parameter import Amount, Metadata, Moment, convert

Colour = Literal["red", "blue", "green"]
Short = Annotated[str, msgspec.Meta(max_length=4)]


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object within."""

    colour: Colour
    daily: Amount | None = None


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object."""

    first: str | None = msgspec.field(default=None, name="from")
    colour: Colour | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    ready: bool = True
    inner: Inner | msgspec.UnsetType = msgspec.UNSET
    items: Annotated[list[Inner], msgspec.Meta(min_length=1)] | None = None
    names: list[Short] = []
    metadata: Metadata = {}
    when: Moment | None = None
    what: Inner | Literal["none"] = "none"


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (str, "a string"),
        (Short | None, "a string of at most 4 characters, or null"),
        (
            Annotated[str, msgspec.Meta(min_length=1, max_length=64)],
            "a string of 1 to 64 character",
        ),
        (Colour, "one of: red, blue, green"),
        (Annotated[int, msgspec.Meta(ge=0)], "an integer of at least 0"),
        (bool | None, "true or false, or null"),
        (list[str], "a list"),
        (Annotated[list[str], msgspec.Meta(min_length=1, max_length=9)], "a list of 1 to 9 items"),
        (Metadata, "an object of at most 50 pairs"),
        (Inner | msgspec.UnsetType, "an object"),
        (Inner | Literal["none"], "an object or one of: none"),
        (Annotated[str, msgspec.Meta(pattern="^x", extra={MUST: "an x"})] | None, "an x, or null"),
    ],
)
def test_a_type_has_words(hint: Any, words: str) -> None:
    assert must_be(hint).startswith(words)


@pytest.mark.parametrize(
    ("given", "code", "param", "message"),
    [
        ({"from": 5}, "parameter_invalid", "from", "'from' must be a string, or null."),
        ({"colour": "pink"}, "parameter_invalid", "colour",
         "'colour' must be one of: red, blue, green, or null."),
        ({"colour": "x - at `$.count`"}, "parameter_invalid", "colour",
         "'colour' must be one of: red, blue, green, or null."),
        ({"count": 10}, "parameter_invalid", "count", "'count' must be an integer from 1 to 9."),
        ({"ready": "yes"}, "parameter_invalid", "ready", "'ready' must be true or false."),
        ({"inner": {}}, "parameter_missing", "inner.colour",
         "The 'inner.colour' parameter is required."),
        ({"inner": {"colour": "red", "daily": "x"}}, "amount_invalid", "inner.daily",
         "'inner.daily' must be a plain decimal such as \"100.00\"."),
        ({"inner": {"colour": "red", "daily": {"denom": "ssusd", "amount": "x"}}},
         "amount_invalid", "inner.daily.amount",
         "'inner.daily.amount' must be an integer string of millionths."),
        ({"inner": {"color": "red"}}, "parameter_unknown", "inner.color",
         "Unknown parameter 'inner.color'. Did you mean 'inner.colour'?"),
        ({"items": [{"colour": "red"}, {"colour": "red", "dialy": "1"}]}, "parameter_unknown",
         "items[1].dialy",
         "Unknown parameter 'items[1].dialy'. Did you mean 'items[1].daily'?"),
        ({"inner": {"monthly": "1"}}, "parameter_unknown", "inner.monthly",
         "Unknown parameter 'inner.monthly'. Known in 'inner': colour, daily."),
        ({"items": []}, "parameter_invalid", "items",
         "'items' must be a list of at least 1 items, or null."),
        ({"names": ["a", "abcde"]}, "parameter_invalid", "names[1]",
         "'names[1]' must be a string of at most 4 characters."),
        ({"metadata": {"a": "1", "b": 2}}, "parameter_invalid", "metadata.b",
         "'metadata.b' must be a string of at most 500 characters, or null."),
        ({"metadata": {"a": "1", "k" * 41: "1"}}, "parameter_invalid", f"metadata.{'k' * 41}",
         f"The key '{'k' * 41}' of 'metadata' must be a string of 1 to 40 characters."),
        ({"metadata": {"": "1"}}, "parameter_invalid", "metadata",
         "The key '' of 'metadata' must be a string of 1 to 40 characters."),
        ({"when": True}, "parameter_invalid", "when", "'when' must be Unix seconds, a date"),
        ({"what": "some"}, "parameter_invalid", "what",
         "'what' must be an object or one of: none."),
    ],
)  # fmt: skip
def test_a_refusal_says_where_and_what_is_allowed(
    given: dict[str, Any], code: str, param: str, message: str
) -> None:
    with pytest.raises(ApiError) as error:
        convert(Outer, given)
    assert (error.value.code, error.value.param) == (code, param)
    assert error.value.message.startswith(message)


def test_where_nothing_can_be_null_no_refusal_offers_it() -> None:
    with pytest.raises(ApiError) as error:
        convert(Outer, {"colour": "pink"}, strict=False)
    assert error.value.message == "'colour' must be one of: red, blue, green."


def test_what_is_unknown_gets_the_nearest_name_or_all_or_hears_that_there_is_none() -> None:
    assert unknown("kyc", ["aml", "kyc_verified"]).message.endswith("mean 'kyc_verified'?")
    assert (
        unknown("zzz", ["aml", "kyc"]).message == "Unknown parameter 'zzz'. Known here: aml, kyc."
    )
    assert unknown("zzz", []).message == "Unknown parameter 'zzz'. No parameter is taken here."
    # A member without a name is named by the object it stands in.
    assert unknown("", ["key"], "metadata").param == "metadata"
