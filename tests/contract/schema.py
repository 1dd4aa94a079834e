"""A small reader of the OpenAPI document: resolves references and checks real answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def references(node: Any) -> Iterator[str]:
    """Every $ref below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def resolved(document: dict[str, Any], reference: str) -> Any:
    """What a reference points at; raises KeyError where there is nothing."""
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def faults(document: dict[str, Any], schema: Any, value: Any, at: str = "$") -> Iterator[str]:
    """Where a value departs from a schema; an object may have no member that is not declared."""
    if "$ref" in schema:
        schema = resolved(document, schema["$ref"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            options = [list(faults(document, each, value, at)) for each in schema[several]]
            if all(options):
                yield f"{at}: fits none of {several}: {options[0]}"
            return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    yield from _type_faults(schema, value, at)
    if isinstance(value, dict):
        yield from _member_faults(document, schema, value, at)
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(document, schema.get("items", {}), item, f"{at}[{number}]")


def _type_faults(schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    names = schema.get("type")
    if names is None:
        return
    names = [names] if isinstance(names, str) else names
    if isinstance(value, bool) and "boolean" not in names:
        yield f"{at}: a boolean is not {names}"
    elif not any(isinstance(value, TYPES[name]) for name in names):
        yield f"{at}: {value!r} is not {names}"


def _member_faults(
    document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any], at: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (
        f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value
    )
    for name, member in value.items():
        if name in properties:
            yield from faults(document, properties[name], member, f"{at}.{name}")
        elif properties and "additionalProperties" not in schema:
            yield f"{at}.{name} is not declared"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from faults(document, schema["additionalProperties"], member, f"{at}.{name}")
