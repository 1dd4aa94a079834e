"""The OpenAPI 3.1 document, read off the registry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

import msgspec

from commerce.kernel.docstring import field_docs
from commerce.kernel.errors import ROWS
from commerce.kernel.version import API_VERSION
from commerce.resource.listing import LIMIT_DEFAULT, LIMIT_MAX, filter_names
from commerce.resource.noun import Noun, Spec
from commerce.resource.operation import Operation
from commerce.resource.parameter import Amount, Dollars, Moment
from commerce.resource.registry import Endpoint, Registry
from commerce.resource.shelf import shelf_of

REFERENCE = "#/components/schemas/{name}"
_DECIMAL = {"type": "string", "examples": ["100.00"]}
_CUSTOM: dict[str, dict[str, Any]] = {
    "Money": {**_DECIMAL, "description": "A decimal string in major units."},
    "Dollars": {"oneOf": [_DECIMAL, {"type": "number"}]},
    "Amount": {
        "oneOf": [
            _DECIMAL,
            {"type": "number"},
            {
                "type": "object",
                "required": ["denom", "amount"],
                "properties": {
                    "denom": {"const": "ssusd"},
                    "amount": {"type": "string", "pattern": "^[0-9]+$"},
                },
                "additionalProperties": False,
            },
        ]
    },
    "Moment": {
        "oneOf": [{"type": "integer"}, {"type": "string", "description": "ISO 8601"}],
    },
}


def document(registry: Registry, base_url: str) -> dict[str, Any]:
    """The whole document."""
    operations = registry.operations
    types = [
        *(noun for noun in registry.nouns),
        *(operation.returns for operation in operations),
        *(operation.also for operation in operations if operation.also),
        *(operation.params for operation in operations),
    ]
    _, schemas = msgspec.json.schema_components(
        list(dict.fromkeys(types)), ref_template=REFERENCE, schema_hook=_schema
    )
    _describe(schemas, types)
    schemas["error"] = _error_schema()
    paths: dict[str, dict[str, Any]] = {}
    for endpoint, path in registry.endpoints():
        item = paths.setdefault(f"/v1{path}", {})
        item[endpoint.method.lower()] = _operation(endpoint, path, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Commerce Network API", "version": API_VERSION},
        "servers": [{"url": base_url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schema(type_: type[Any]) -> dict[str, Any]:
    if type_.__name__ in _CUSTOM:
        return _CUSTOM[type_.__name__]
    if issubclass(type_, (Amount, Dollars, Moment)):
        return _CUSTOM[type_.__mro__[1].__name__]
    return {"description": type_.__name__}


def _describe(schemas: dict[str, Any], types: Sequence[type[Any]]) -> None:
    """Add the docstrings under fields, and leave out what is hidden."""
    for cls in _with_parts(types):
        properties = schemas.get(cls.__name__, {}).get("properties", {})
        docs = field_docs(cls)
        for field, shown in zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True):
            if field in docs and shown in properties:
                properties[shown] = {**properties[shown], "description": docs[field]}
        spec = vars(cls).get("__noun__")
        if isinstance(spec, Spec):
            for name in spec.hidden:
                properties.pop(name, None)
            schemas[cls.__name__]["required"] = list(properties)


def _with_parts(types: Sequence[type[Any]]) -> list[type[Any]]:
    """Structs, and the structs that their fields are made of."""
    found: dict[type[Any], None] = {}
    waiting = list(types)
    while waiting:
        cls = waiting.pop()
        if cls not in found:
            found[cls] = None
            hints = get_type_hints(cls).values()
            inner = [part for hint in hints for part in (hint, *get_args(hint))]
            waiting += [part for part in inner if _is_struct(part)]
    return list(found)


def _is_struct(part: Any) -> bool:
    """Whether a type is a msgspec struct."""
    return isinstance(part, type) and issubclass(part, msgspec.Struct)


def _operation(endpoint: Endpoint, path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", path)
    described: dict[str, Any] = {
        "operationId": _operation_id(endpoint, path),
        "parameters": [_path_parameter(name) for name in names],
        "responses": _responses(endpoint),
    }
    if path != endpoint.path:
        described["summary"] = f"The same as `{endpoint.name}`."
    if endpoint.access.scope:
        described["x-scope"] = endpoint.access.scope
    operation = endpoint.operation
    if operation is not None:
        described.setdefault("summary", operation.summary.partition("\n")[0])
        described["description"] = operation.summary
        _parameters(described, operation, names, schemas)
    elif endpoint.noun is not None:
        _reading(described, endpoint, endpoint.noun)
    return described


def _operation_id(endpoint: Endpoint, path: str) -> str:
    return re.sub(r"\W+", "_", f"{endpoint.method.lower()}{path}").strip("_")


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _parameters(
    described: dict[str, Any], operation: Operation, path: list[str], schemas: dict[str, Any]
) -> None:
    schema = schemas[operation.params.__name__]
    rest = {name: each for name, each in schema.get("properties", {}).items() if name not in path}
    required = [name for name in schema.get("required", []) if name not in path]
    if operation.read is not None:
        described["parameters"] += [
            {"name": name, "in": "query", "required": name in required, "schema": each}
            for name, each in rest.items()
        ]
        return
    key = {"type": "string", "minLength": 1, "maxLength": 255}
    described["parameters"].append({"name": "Idempotency-Key", "in": "header", "schema": key})
    body = {
        "type": "object",
        "properties": rest,
        "required": required,
        "additionalProperties": False,
    }
    described["requestBody"] = {
        "required": bool(required),
        "content": {"application/json": {"schema": body}},
    }


def _reading(described: dict[str, Any], endpoint: Endpoint, noun: type[Noun]) -> None:
    spec = noun.__noun__
    if endpoint.kind == "retrieve":
        described["summary"] = f"Retrieve one {spec.name}."
        return
    described["summary"] = f"List {spec.name} objects, newest first."
    shelf = shelf_of(noun)
    own = () if shelf is None else shelf.parameters
    limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    described["parameters"] += [{"name": "limit", "in": "query", "schema": limit}]
    described["parameters"] += [
        {"name": name, "in": "query", "schema": {"type": "string"}}
        for name in ("starting_after", "ending_before", *filter_names(spec), *own)
    ]


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    error = {"$ref": REFERENCE.format(name="error")}
    responses: dict[str, Any] = {
        "default": {
            "description": "An error.",
            "content": {"application/json": {"schema": error}},
        }
    }
    returns = endpoint.noun or (endpoint.operation.returns if endpoint.operation else None)
    assert returns is not None
    schema: dict[str, Any] = {"$ref": REFERENCE.format(name=returns.__name__)}
    if endpoint.operation is not None and endpoint.operation.also is not None:
        also = {"$ref": REFERENCE.format(name=endpoint.operation.also.__name__)}
        schema = {"oneOf": [schema, also]}
    if endpoint.kind == "list":
        schema = {
            "type": "object",
            "required": ["object", "url", "has_more", "data"],
            "properties": {
                "object": {"const": "list"},
                "url": {"type": "string"},
                "has_more": {"type": "boolean"},
                "data": {"type": "array", "items": schema},
            },
        }
    good = {"description": "Success.", "content": {"application/json": {"schema": schema}}}
    responses["200"] = good
    if endpoint.method == "POST":
        responses["201"] = {**good, "description": "A new object."}
    return responses


def _error_schema() -> dict[str, Any]:
    member = {"type": ["string", "null"]}
    properties = {
        "type": {"enum": sorted({row.type for row in ROWS})},
        "code": {"enum": sorted({row.code for row in ROWS})},
        "message": {"type": "string"},
        "param": member,
        "doc_url": {"type": "string"},
        "request_id": {"type": "string"},
    }
    inner = {"type": "object", "required": list(properties), "properties": properties}
    return {"type": "object", "required": ["error"], "properties": {"error": inner}}
