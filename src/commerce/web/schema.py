"""Schemas of the OpenAPI document as tables of fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from commerce.web.page import code, inline, table

_HEAD = ("field", "type", "")


def name_of(reference: str) -> str:
    """The name of the schema that a reference leads to."""
    return reference.rpartition("/")[2]


def kind(schema: dict[str, Any]) -> str:
    """The type of a value, as HTML."""
    if "$ref" in schema:
        name = name_of(schema["$ref"])
        return f'<a href="/docs/objects/{escape(name)}">{escape(name)}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind(each) for each in schema[several]))
    if "const" in schema:
        return code(str(schema["const"]))
    if "enum" in schema:
        return " | ".join(code(str(each)) for each in schema["enum"])
    type_ = schema.get("type", "any")
    if type_ == "array":
        return f"list of {kind(schema.get('items', {}))}"
    names = [type_] if isinstance(type_, str) else type_
    return escape(" or ".join(names))


def limits(schema: dict[str, Any]) -> str:
    """What a value has to keep to, in words."""
    words = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minimum": "at least {}",
        "maximum": "at most {}",
        "maxProperties": "at most {} pairs",
        "maxItems": "at most {} items",
    }
    # A number is the other way to write a decimal string, whose bounds the words tell.
    options = [schema, *(each for each in schema.get("anyOf", []) if each.get("type") != "number")]
    said = [
        text.format(each[name]) for each in options for name, text in words.items() if name in each
    ]
    if schema.get("default") not in (None, {}, []):
        said.append(f"default {_written(schema['default'])}")
    return ", ".join(said)


def _written(value: Any) -> str:
    """A value as a request would have it; what is null by default goes unsaid."""
    if isinstance(value, dict):
        value = {name: each for name, each in value.items() if each is not None}
    return value if isinstance(value, str) else json.dumps(value)


def about(schema: dict[str, Any], words: str) -> str:
    """The words to a value, and its limits."""
    bounds = limits(schema)
    quiet = f' <span class="quiet">({escape(bounds)})</span>' if bounds else ""
    return inline(words) + quiet


def fields(schema: dict[str, Any], *, asked: bool) -> str:
    """The fields of an object: `asked` of a client, or shown to it."""
    return table(_HEAD, list(_rows(schema, "", asked=asked)))


def _rows(schema: dict[str, Any], within: str, *, asked: bool) -> Iterator[tuple[str, str, str]]:
    """A row a field, and a row for each field of an object that has no page of its own."""
    required = schema.get("required", [])
    for name, each in schema.get("properties", {}).items():
        must = ' <span class="quiet">required</span>' if asked and name in required else ""
        words = about(each, each.get("description", ""))
        yield code(f"{within}{name}") + must, kind(each), words
        yield from _rows(each, f"{within}{name}.", asked=asked)
