"""Schemas of objects and parameters: msgspec's, with our types, our words and what is required."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args, get_type_hints

import msgspec

from commerce.kernel.docstring import field_docs
from commerce.kernel.money import Money
from commerce.resource.expansion import Expander
from commerce.resource.noun import Noun, Spec
from commerce.resource.operation import Deleted, Operation
from commerce.resource.parameter import Amount, Dollars, Measure, Moment, Percent, Price

NO_PAIRS = "Always empty: no request sets it here."
REFERENCE = "#/components/schemas/{name}"
_DECIMAL = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "examples": ["100.00"]}
_NUMBER = {"type": "number", "exclusiveMinimum": 0, "maximum": 10**12}
_COIN = {
    "type": "object",
    "required": ["denom", "amount"],
    "properties": {
        "denom": {"const": "ssusd"},
        "amount": {"type": "string", "pattern": "^[0-9]+$", "description": "Millionths."},
    },
    "additionalProperties": False,
}
_CUSTOM: dict[type[Any], dict[str, Any]] = {
    Amount: {"anyOf": [_DECIMAL, _NUMBER, _COIN]},
    Dollars: {"anyOf": [_DECIMAL, _NUMBER]},
    Price: {"anyOf": [_DECIMAL, _NUMBER]},
    Measure: {"anyOf": [_DECIMAL, {"type": "number", "exclusiveMinimum": 0, "maximum": 10**9}]},
    Percent: {"anyOf": [_DECIMAL, {"type": "number", "minimum": 0, "maximum": 100}]},
    Money: {**_DECIMAL, "description": "A decimal string in major units."},
    Moment: {
        "anyOf": [
            {"type": "integer", "description": "Unix seconds."},
            {"type": "string", "description": "An ISO 8601 date, or a date-time with an offset."},
        ]
    },
}


def reference(type_: type[Any]) -> dict[str, Any]:
    """A reference to the schema of a struct."""
    return {"$ref": REFERENCE.format(name=type_.__name__)}


def components(
    nouns: Sequence[type[Noun]], operations: Sequence[Operation], expander: Expander
) -> dict[str, Any]:
    """The schemas of every object and of everything that operations take and return."""
    also = [operation.also for operation in operations if operation.also is not None]
    shown = with_parts([*nouns, *(operation.returns for operation in operations), *also])
    taken = with_parts(operation.params for operation in operations)
    _, schemas = msgspec.json.schema_components(
        list(dict.fromkeys([*shown, *taken])), ref_template=REFERENCE, schema_hook=_custom
    )
    for cls in dict.fromkeys([*shown, *taken]):
        _describe(schemas[cls.__name__], cls)
    keeping = _keeping_pairs(operations)
    for cls in shown:
        if cls not in taken:
            _complete(schemas[cls.__name__], cls)
            if issubclass(cls, Noun) and cls not in keeping:
                schemas[cls.__name__]["properties"]["metadata"]["description"] = NO_PAIRS
            _expand(schemas[cls.__name__], cls, expander)
    return schemas


def _keeping_pairs(operations: Sequence[Operation]) -> set[type[Any]]:
    """The objects that keep a client's own pairs: some operation that gives one takes some."""
    return {
        returned
        for operation in operations
        if operation.run is not None and "metadata" in operation.params.__struct_encode_fields__
        for returned in (operation.returns,)
    }


def with_parts(types: Iterable[type[Any]]) -> dict[type[Any], None]:
    """Structs, and the structs that their fields are made of."""
    found: dict[type[Any], None] = {}
    waiting: list[Any] = list(types)
    while waiting:
        part = waiting.pop()
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            if part not in found:
                found[part] = None
                waiting += get_type_hints(part).values()
        else:
            waiting += get_args(part)
    return found


def _custom(type_: type[Any]) -> dict[str, Any]:
    for known, schema in _CUSTOM.items():
        if issubclass(type_, known):
            return schema
    return {"type": "integer" if issubclass(type_, int) else "string"}


def _describe(schema: dict[str, Any], cls: type[Any]) -> None:
    """Add the docstrings under fields."""
    properties = schema.get("properties", {})
    docs = field_docs(cls)
    for field, shown in zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True):
        if field in docs and shown in properties:
            properties[shown] = {**properties[shown], "description": docs[field]}
    tag = cls.__struct_config__.tag
    if tag is not None and cls.__struct_config__.tag_field in properties:
        properties[cls.__struct_config__.tag_field] = {
            "const": tag,
            "description": "What kind of object this is.",
        }


def _complete(schema: dict[str, Any], cls: type[Any]) -> None:
    """Say what is so of every answer: each field is there, hidden ones never, raw JSON is objects.

    A default is how a field may be left out of a request; it means nothing in an answer.
    """
    properties = schema.get("properties", {})
    hints = get_type_hints(cls)
    spec = vars(cls).get("__noun__")
    hidden = spec.hidden if isinstance(spec, Spec) else frozenset()
    for field, shown in zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True):
        if field in hidden:
            properties.pop(shown, None)
            continue
        properties[shown].pop("default", None)
        if hints[field] is msgspec.Raw:
            properties[shown]["type"] = "object"
        elif msgspec.Raw in get_args(hints[field]):
            properties[shown]["type"] = ["object", "null"]
            properties[shown].pop("anyOf", None)
    schema["required"] = list(properties)


def _expand(schema: dict[str, Any], cls: type[Any], expander: Expander) -> None:
    """Say of what can be expanded that it is the id, or the object where that was asked for."""
    for name, each in schema.get("properties", {}).items():
        targets = expander.targets(cls, name)
        if targets:
            words = {"description": each.pop("description")} if "description" in each else {}
            options = each.get("anyOf", [each])
            wholes = [reference(spec.cls) for spec in targets]
            if any("deleted" in spec.types for spec in targets):
                wholes.append(reference(Deleted))
            schema["properties"][name] = {"anyOf": [*options, *wholes], **words}
