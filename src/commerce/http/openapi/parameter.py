"""Parameters: of path, query and headers, list filters in their bracket forms, and bodies."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args, get_origin

from commerce.http.idempotency import LENGTH_MAX
from commerce.kernel.money import Money
from commerce.kernel.version import API_VERSION
from commerce.resource.expansion import PATHS_MAX, Expander
from commerce.resource.filter import (
    METADATA_KEY_MAX,
    OPERATORS,
    TEXT_LENGTH_MAX,
    filter_names,
    is_ordered,
    is_time,
)
from commerce.resource.listing import LIMIT_DEFAULT, LIMIT_MAX
from commerce.resource.noun import Noun, Spec, _bare
from commerce.resource.operation import Operation
from commerce.resource.registry import Endpoint
from commerce.resource.shelf import shelf_of

_TEXT: dict[str, Any] = {"type": "string", "maxLength": TEXT_LENGTH_MAX}
_UNIX = {"type": "integer", "description": "Unix seconds."}
_TIME: dict[str, Any] = {
    "anyOf": [
        _UNIX,
        {
            "type": "string",
            "description": "An ISO 8601 date, which stands for all of that day in UTC, or a"
            " date-time with an offset.",
        },
    ]
}
_INSTANT: dict[str, Any] = {
    "anyOf": [_UNIX, {"type": "string", "description": "An ISO 8601 date-time with an offset."}]
}
_WORDS = {"gt": "above", "gte": "at least", "lt": "below", "lte": "at most"}
_METADATA: dict[str, Any] = {
    "name": "metadata",
    "in": "query",
    "description": "Only objects with these pairs of metadata: `metadata[order_id]=12345`.",
    "style": "deepObject",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": METADATA_KEY_MAX},
        "additionalProperties": _TEXT,
    },
}
_PATH_WORDS = {"id": "The object's id."}
COMPONENTS: dict[str, dict[str, Any]] = {
    "StateSet-Version": {
        "name": "StateSet-Version",
        "in": "header",
        "description": "The version of the API to be answered in.",
        "schema": {"enum": [API_VERSION]},
    },
    "X-Account-Id": {
        "name": "X-Account-Id",
        "in": "header",
        "description": "A connected account to act for; the key's own account without it.",
        "schema": {"type": "string", "pattern": "^acct_[0-9a-z]+$"},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A name of yours for this request: sent again under it, it is answered as"
        " before, and nothing happens twice. Kept for 24 hours.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": LENGTH_MAX,
            "pattern": "^[\\x20-\\x7e]+$",
        },
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of an answer you have: while it still holds, the answer is 304.",
        "schema": {"type": "string"},
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of what you read: if it has changed since, the answer is 412.",
        "schema": {"type": "string"},
    },
}


def parameters(
    endpoint: Endpoint, path: str, schemas: dict[str, Any], expander: Expander
) -> list[dict[str, Any]]:
    """Everything beside the body that a request may send."""
    names = re.findall(r"{(\w+)}", path)
    taken = schemas[endpoint.operation.params.__name__] if endpoint.operation else {}
    properties = taken.get("properties", {})
    found = [_in_path(name, properties.get(name)) for name in names]
    if endpoint.operation is not None and endpoint.operation.read is not None:
        required = taken.get("required", [])
        found += [
            _in_query(name, schema, required=name in required)
            for name, schema in properties.items()
            if name not in names
        ]
    elif endpoint.kind == "list" and endpoint.noun is not None:
        found += _of_list(endpoint.noun)
    found += _expansion(endpoint, expander)
    return found + [_header(name) for name in _headers(endpoint)]


def _headers(endpoint: Endpoint) -> list[str]:
    names = ["X-Account-Id", "StateSet-Version"]
    if endpoint.kind != "verb":
        return [*names, "If-None-Match"]
    names_one = "{" in endpoint.path
    return ["Idempotency-Key", *names, *(["If-Match"] if names_one else [])]


def _header(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/parameters/{name}"}


def _in_path(name: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    given = dict(schema or {"type": "string", "minLength": 1})
    words = given.pop("description", None) or _PATH_WORDS.get(name, f"The {name}.")
    return {"name": name, "in": "path", "required": True, "description": words, "schema": given}


def _in_query(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    given = dict(schema)
    words = given.pop("description", "")
    found = {"name": name, "in": "query", "description": words, "schema": _without_null(given)}
    return {**found, "required": True} if required else found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what is not sent is not there."""
    options = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if not options:
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**rest, **(options[0] if len(options) == 1 else {"anyOf": options})}


def _of_list(noun: type[Noun]) -> list[dict[str, Any]]:
    spec = noun.__noun__
    limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    cursor = {"type": "string"}
    found = [
        _asked("limit", "How many objects at most.", limit),
        _asked("starting_after", "The id of an object: what is older than it follows.", cursor),
        _asked("ending_before", "The id of an object: what is newer than it.", cursor),
    ]
    shelf = shelf_of(noun)
    if shelf is not None:
        found += [_asked(name, words, _TEXT) for name, words in shelf.parameters.items()]
    for name in filter_names(spec):
        found += _filters(spec, name)
    return [*found, _METADATA]


def _expansion(endpoint: Endpoint, expander: Expander) -> list[dict[str, Any]]:
    """What `expand[]` can name, where there is anything to expand."""
    returns = endpoint.noun or (endpoint.operation and endpoint.operation.returns)
    paths = expander.paths(returns, listed=endpoint.kind == "list")
    if not paths:
        return []
    named = ", ".join(f"`{path}`" for path in paths)
    words = f"Paths to replace by the objects they lead to, 4 MiB in all at most: {named}."
    schema = {
        "type": "array",
        "maxItems": PATHS_MAX,
        "items": {"type": "string", "examples": paths},
    }
    return [_asked("expand[]", words, schema)]


def _asked(name: str, words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": words, "schema": schema}


def _filters(spec: Spec, name: str) -> list[dict[str, Any]]:
    """A filter as it may be written: `status=`, `status[]=`, `created[gte]=`."""
    schema = _schema(spec, spec.field_of.get(name, name))
    any_of = {"type": "array", "items": _INSTANT if schema is _TIME else schema}
    found = [
        _asked(name, f"Only objects whose `{name}` is this.", schema),
        _asked(f"{name}[]", f"Only objects whose `{name}` is one of these.", any_of),
    ]
    if is_ordered(spec, spec.field_of[name]):
        found += [
            _asked(
                f"{name}[{operator}]",
                f"Only objects whose `{name}` is {_WORDS[operator]} this.",
                schema,
            )
            for operator in OPERATORS
        ]
    return found


def _schema(spec: Spec, field: str) -> dict[str, Any]:
    if is_time(spec.types[field]):
        return _TIME
    bare, _ = _bare(spec.types[field])
    if get_origin(bare) is Literal:
        return {"enum": list(get_args(bare))}
    if field in spec.choices:
        return {"enum": list(spec.choices[field])}
    if bare is Money:
        return {"type": "string"}
    return {int: {"type": "integer"}, bool: {"type": "boolean"}}.get(bare, _TEXT)


def body(
    operation: Operation, path: str, schemas: dict[str, Any], example: dict[str, Any] | None
) -> dict[str, Any]:
    """What a verb takes, as JSON or as a form."""
    names = re.findall(r"{(\w+)}", path)
    taken = schemas[operation.params.__name__]
    properties = {
        name: each for name, each in taken.get("properties", {}).items() if name not in names
    }
    required = [name for name in taken.get("required", []) if name in properties]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    nested = [name for name, each in properties.items() if _is_nested(each)]
    json: dict[str, Any] = {"schema": schema}
    form: dict[str, Any] = {"schema": schema}
    if example is not None:
        json["example"] = example
    if nested:
        deep = {"style": "deepObject", "explode": True}
        form["encoding"] = dict.fromkeys(nested, deep)
    content = {"application/json": json, "application/x-www-form-urlencoded": form}
    return {"required": bool(required), "content": content}


def _is_nested(schema: dict[str, Any]) -> bool:
    options = [schema, *schema.get("anyOf", [])]
    return any("$ref" in each or each.get("type") in ("object", "array") for each in options)
