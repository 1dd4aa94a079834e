"""The OpenAPI 3.1 document as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from commerce.http.openapi import parameter, response, schema
from commerce.kernel.version import API_VERSION
from commerce.resource.access import SCOPES
from commerce.resource.event_type import catalogue
from commerce.resource.expansion import Expander
from commerce.resource.registry import Endpoint, Registry
from commerce.resource.rehearsal import Shown

_SINGULAR = {"account": "accounts"}
_INTRODUCTION = """A JSON API over a double-entry ledger. Send your key as \
`Authorization: Bearer <key>`; send an `Idempotency-Key` with whatever must happen once."""


def document(
    registry: Registry, base_url: str, examples: Mapping[str, Shown] | None = None
) -> dict[str, Any]:
    """The whole document; examples are by their endpoint's name."""
    expander = Expander(registry.nouns)
    schemas = schema.components(registry.nouns, registry.operations, expander)
    schemas["error"] = response.error_schema()
    paths: dict[str, dict[str, Any]] = {}
    groups: dict[str, None] = {}
    for endpoint, path in registry.endpoints():
        shown = (examples or {}).get(endpoint.name)
        described = _operation(endpoint, path, schemas, shown, expander)
        paths.setdefault(f"/v1{path}", {})[endpoint.method.lower()] = described
        groups[described["tags"][0]] = None
    for endpoint, path in registry.endpoints():
        if path != endpoint.path:
            _mark_alias(paths, endpoint, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Commerce Network API",
            "version": API_VERSION,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "externalDocs": {"url": f"{base_url}/docs"},
        "security": [{"key": []}],
        "tags": [{"name": name} for name in sorted(groups)],
        "paths": paths,
        "webhooks": _webhooks(registry),
        "components": {
            "schemas": schemas,
            "parameters": parameter.COMPONENTS,
            "headers": response.HEADERS,
            "securitySchemes": {"key": _security()},
        },
    }


def _security() -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": "bearer",
        "description": "A secret key may do everything its account may; a restricted key what its"
        " scopes say (`x-scope` of each operation).",
        "x-scopes": list(SCOPES),
    }


def operation_id(endpoint: Endpoint, path: str) -> str:
    """The name of an operation at one of its paths."""
    return re.sub(r"\W+", "_", f"{endpoint.method.lower()}{path}").strip("_")


def group(path: str) -> str:
    """The group that a path belongs to: its first segment."""
    first = path.split("/")[1]
    return _SINGULAR.get(first, first)


def _operation(
    endpoint: Endpoint,
    path: str,
    schemas: dict[str, Any],
    shown: Shown | None,
    expander: Expander,
) -> dict[str, Any]:
    summary, description = _words(endpoint)
    call = None if shown is None else shown.call
    described: dict[str, Any] = {
        "operationId": operation_id(endpoint, path),
        "tags": [group(endpoint.path)],
        "summary": summary,
        "description": description,
        "parameters": parameter.parameters(endpoint, path, schemas, expander),
    }
    if endpoint.access.scope:
        described["x-scope"] = endpoint.access.scope
    if endpoint.also:
        described["x-aliases"] = [each.replace(" ", " /v1", 1) for each in endpoint.also]
    if endpoint.kind == "verb":
        assert endpoint.operation is not None
        example = None if call is None else call.body or {}
        described["requestBody"] = parameter.body(endpoint.operation, path, schemas, example)
    described["responses"] = response.responses(
        endpoint, call and call.status, call and call.answer
    )
    return described


def _words(endpoint: Endpoint) -> tuple[str, str]:
    """The summary and the description."""
    if endpoint.operation is not None:
        text = endpoint.operation.summary
        lines = [" ".join(part.split()) for part in text.split("\n\n")]
        return lines[0], "\n\n".join(lines)
    assert endpoint.noun is not None
    spec = endpoint.noun.__noun__
    name = spec.name.replace("_", " ")
    about = " ".join((endpoint.noun.__doc__ or "").partition("\n\n")[0].split())
    if endpoint.kind == "retrieve":
        summary = f"Retrieve one {name}."
    else:
        summary = f"List {name} objects, newest first."
    return summary, f"{summary}\n\n{about}"


def _mark_alias(paths: dict[str, dict[str, Any]], endpoint: Endpoint, path: str) -> None:
    """Say of a path that it is another's alias, and the other way round."""
    method = endpoint.method.lower()
    documented = paths[f"/v1{endpoint.path}"][method]
    alias = paths[f"/v1{path}"][method]
    documented.setdefault("x-aliases", []).append(f"{endpoint.method} /v1{path}")
    alias["x-alias-of"] = documented["operationId"]
    alias["summary"] = f"The same as `{endpoint.method} /v1{endpoint.path}`."


def _webhooks(registry: Registry) -> dict[str, Any]:
    """Every event type there is, with what it carries."""
    event = next(noun for noun in registry.nouns if noun.__noun__.name == "event")
    return {
        type_: {
            "post": {
                "operationId": f"on_{re.sub(r'[^a-z0-9]+', '_', type_)}",
                "tags": ["events"],
                "summary": f"`{type_}`: {noun.__noun__.name.replace('_', ' ')}.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _payload(event, type_, noun)}},
                },
                "responses": {"200": {"description": "Taken; any 2xx will do."}},
            }
        }
        for type_, noun in sorted(catalogue(registry.nouns).items())
    }


def _payload(event: type[Any], type_: str, noun: type[Any]) -> dict[str, Any]:
    about = {"data": {"properties": {"object": schema.reference(noun)}}, "type": {"const": type_}}
    return {"allOf": [schema.reference(event), {"properties": about}]}
