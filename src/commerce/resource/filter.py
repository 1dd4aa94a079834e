"""Filters: the conditions of a list's query, read by the types of the fields they name.

Each field of a noun's `filters`, and `created`, is asked for in one form: equality
(`status=pending`), any of several (`status[]=pending&status[]=paid`), and for times, amounts and
numbers ranges (`created[gte]=2024-01-01&created[lt]=2024-02-01`). Every list may be asked for
pairs of metadata, `metadata[order_id]=12345`. Conditions add up.

A date stands for all of its UTC day: `created=2024-01-31` is that day, `created[lte]=2024-01-31`
includes it and `created[gt]=2024-01-31` begins after it. One of several times is no date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from commerce.kernel import address
from commerce.kernel.clock import DAY_SECONDS, is_date, parse_time
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.kernel.wording import SHOWN_MAX, unknown
from commerce.resource.noun import HIDDEN, Part, Spec, Time, _bare, _marks
from commerce.resource.ref import ADDRESS
from commerce.store.table import Filter

TEXT_LENGTH_MAX = 500
METADATA_KEY_MAX = 40
LISTED_MAX = 600
"""In characters: of more choices than that, a refusal names those that are nearest."""
OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INTEGER = re.compile(r"-?[0-9]{1,18}")

Read = Callable[[str, str], Any]
"""Reads a value, given as text, of the parameter of this name."""
Query = Mapping[str, Sequence[str]]


class Condition(msgspec.Struct, frozen=True):
    """One parameter of a query: the field, the form it is asked for in, the values."""

    name: str
    shown: str
    form: str
    """Empty for equality, `[]` for any of several, or what stands in the brackets."""
    values: Sequence[str]


def filter_names(spec: Spec) -> tuple[str, ...]:
    """The fields a noun's list may be filtered by, beside `metadata`."""
    return (*spec.filters, "created")


def reach_into_parts(spec: Spec) -> None:
    """Let a noun's filters name fields of its parts, as their columns are called.

    `payment_method_type` is `payment_method.type`.
    """
    parts = {shown: field for field, shown in spec.shown if is_part(spec.types[field])}
    for name in spec.filters:
        for shown, field in parts.items():
            inner = name.removeprefix(f"{shown}_")
            hints = get_type_hints(_bare(spec.types[field])[0], include_extras=True)
            if name not in spec.field_of and inner in hints:
                spec.field_of[name] = f"{field}_{inner}"
                spec.types[f"{field}_{inner}"] = hints[inner]


def is_part(hint: Any) -> bool:
    """Whether a field is a part, which is flattened into columns."""
    bare, _ = _bare(hint)
    return isinstance(bare, type) and issubclass(bare, Part)


def forms(spec: Spec) -> list[str]:
    """Every parameter that filters a noun's list, as the reference lists them."""
    found: list[str] = []
    for name in filter_names(spec):
        field = spec.field_of[name]
        found += [name, f"{name}[]"]
        if is_ordered(spec, field):
            found += [f"{name}[{operator}]" for operator in OPERATORS]
    return found


def is_ordered(spec: Spec, field: str) -> bool:
    """Whether ranges of a field can be asked for: of times, amounts and numbers."""
    return _bare(spec.types[field])[0] in (int, Money)


def filters(spec: Spec, query: Query, controls: Sequence[str]) -> list[Filter]:
    """Read the filters of a list's query.

    Raises `parameter_unknown`, `parameter_invalid`, `parameter_missing`, `amount_invalid`,
    `amount_precision`.
    """
    known = (*filter_names(spec), "metadata")
    conditions = [_condition(name, values, known, controls) for name, values in query.items()]
    forms: dict[str, Condition] = {}
    for condition in conditions:
        if len(condition.values) > 1 and condition.form != "[]":
            raise twice(condition.name)
        other = forms.setdefault(condition.shown, condition)
        plain = (other.form in ("", "[]"), condition.form in ("", "[]"))
        if other is not condition and any(plain):
            message = f"Send one of '{other.name}' and '{condition.name}'."
            raise ApiError("parameter_invalid", message, param=condition.name[:64])
    found = [
        made
        for condition in conditions
        if condition.shown != "metadata"
        for made in _filter(spec, condition, query, [*known, *controls])
    ]
    pairs = dict(_pair(each) for each in conditions if each.shown == "metadata")
    if pairs:
        found.append(Filter("metadata", "@>", msgspec.json.encode(pairs).decode()))
    return found


def _condition(
    name: str, values: Sequence[str], known: Sequence[str], controls: Sequence[str]
) -> Condition:
    shown, bracket, rest = name.partition("[")
    if shown not in known or (bracket and not rest.endswith("]")):
        raise unknown(name, [*known, *controls])
    inner = rest.removesuffix("]")
    return Condition(name, shown, inner or "[]" if bracket else "", values)


def _filter(spec: Spec, condition: Condition, query: Query, known: Sequence[str]) -> list[Filter]:
    field = spec.field_of[condition.shown]
    read = _reader(spec, field, query)
    name, form = condition.name, condition.form
    values = (
        [read(value, name) for value in condition.values] if _is_form(spec, field, form) else []
    )
    if not values:
        raise unknown(name, known)
    if field not in spec.table.names:
        # A field with one possible value has no column, and no value that would leave a row out.
        return []
    if is_time(spec.types[field]) and any(is_date(value) for value in condition.values):
        return _of_day(field, condition, values[0])
    if form == "[]":
        return [Filter(field, "in", values)]
    return [Filter(field, OPERATORS.get(form, "="), values[0])]


def _of_day(field: str, condition: Condition, midnight: int) -> list[Filter]:
    """What a date asks for, which stands for all of its day. Raises `parameter_invalid`."""
    begins, ended = Filter(field, ">=", midnight), Filter(field, "<", midnight + DAY_SECONDS)
    if condition.form == "[]":
        message = f"'{condition.name}' takes no dates: send Unix seconds or date-times, or a range."
        raise ApiError("parameter_invalid", message, param=condition.name)
    return {
        "": [begins, ended],
        "gt": [begins._replace(value=ended.value)],
        "gte": [begins],
        "lt": [ended._replace(value=midnight)],
        "lte": [ended],
    }[condition.form]


def _is_form(spec: Spec, field: str, form: str) -> bool:
    return form in ("", "[]") or (form in OPERATORS and is_ordered(spec, field))


def _pair(condition: Condition) -> tuple[str, str]:
    key, value = condition.form, condition.values[0]
    name = condition.name[:64]
    if key in ("", "[]"):
        message = "Metadata is asked for by a key, as 'metadata[order_id]=12345'."
        raise ApiError("parameter_invalid", message, param=name)
    if len(key) > METADATA_KEY_MAX or len(value) > TEXT_LENGTH_MAX:
        message = f"'{name}' is longer than metadata can be."
        raise ApiError("parameter_invalid", message, param=name)
    return key, value


def twice(name: str) -> ApiError:
    """A parameter that can be sent once, sent again: one of its values would be passed over."""
    message = f"'{name[:64]}' is there twice in the query; send it once."
    return ApiError("parameter_invalid", message, param=name[:64])


def single(query: Query) -> dict[str, str]:
    """A query whose parameters have one value each. Raises `parameter_invalid`."""
    for name, values in query.items():
        if len(values) > 1:
            raise twice(name)
    return {name: values[0] for name, values in query.items()}


def _reader(spec: Spec, field: str, query: Query) -> Read:
    """How the values of a field are read from text."""
    hint = spec.types[field]
    bare, _ = _bare(hint)
    assert HIDDEN not in _marks(hint), f"{field} is hidden and cannot be filtered by"
    if get_origin(bare) is Literal:
        return _choice(get_args(bare))
    if field in spec.choices:
        return _choice(spec.choices[field])
    if ADDRESS in _marks(hint):
        # The sample that live mode refuses elsewhere stands in none of its rows.
        return lambda text, param: address.check(text, livemode=False, param=param)
    if bare is Money:
        return _amount(spec, query)
    if bare is bool:
        return lambda text, param: _choice(("true", "false"))(text, param) == "true"
    if bare is int:
        return _time if is_time(hint) else _integer
    return _text


def is_time(hint: Any) -> bool:
    """Whether a field is a time, which may be none."""
    mark = _marks(Time)[0]
    return any(mark in _marks(each) for each in (hint, *get_args(hint)))


def _choice(choices: Sequence[str]) -> Read:
    def read(text: str, param: str) -> str:
        if text not in choices:
            listed = f": {', '.join(choices)}"
            if len(listed) > LISTED_MAX:
                near = get_close_matches(text[:SHOWN_MAX].lower(), choices, n=5, cutoff=0.0)
                listed = f" {len(choices)}, such as: {', '.join(near)}"
            message = f"'{param}' must be one of{listed}."
            raise ApiError("parameter_invalid", message, param=param)
        return text

    return read


def _amount(spec: Spec, query: Query) -> Read:
    """Amounts are in the currency that all of a noun's have, or in the one the query names."""

    def read(text: str, param: str) -> int:
        currency = own_currency(spec) or next(iter(query.get("currency", ())), None)
        if currency is None:
            message = f"'currency' is required beside '{param}'."
            raise ApiError("parameter_missing", message, param="currency")
        return Money.bound(text, currency, param=param).minor

    return read


def own_currency(spec: Spec) -> str | None:
    """The currency of all of a noun's amounts, if its declaration says that there is one."""
    fields = {field.name: field.default for field in msgspec.structs.fields(spec.cls)}
    default = fields.get("currency")
    return default if isinstance(default, str) else None


def _time(text: str, param: str) -> int:
    return parse_time(text, param=param)


def _integer(text: str, param: str) -> int:
    if not _INTEGER.fullmatch(text):
        message = f"'{param}' must be an integer."
        raise ApiError("parameter_invalid", message, param=param)
    return int(text)


def _text(text: str, param: str) -> str:
    if len(text) > TEXT_LENGTH_MAX:
        raise ApiError("parameter_invalid", f"'{param}' is too long.", param=param)
    return text
