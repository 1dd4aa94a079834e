"""Checks of answers against the OpenAPI document, by the library that knows JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types


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


def faults(document: dict[str, Any], schema: Any, value: Any) -> list[str]:
    """Where a value departs from a schema; an object may have no member that is not declared."""
    validator = Draft202012Validator({**_closed(schema), "components": _closed_parts(document)})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def _closed_parts(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    return {"schemas": {name: _closed(schema) for name, schema in schemas.items()}}


def _closed(schema: Any) -> Any:
    """The same schema, in which no object may have a member that is not declared."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
