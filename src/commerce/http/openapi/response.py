"""Responses: what an operation answers, its headers, and its refusals by status."""

from __future__ import annotations

from typing import Any

from commerce.http.openapi.refusal import codes
from commerce.http.openapi.schema import REFERENCE, reference
from commerce.kernel.errors import ERRORS, ROWS
from commerce.kernel.version import API_VERSION
from commerce.resource.operation import Deleted
from commerce.resource.registry import Endpoint

_INTEGER = {"type": "integer", "minimum": 0}
_LINE = {"type": "string"}
HEADERS: dict[str, dict[str, Any]] = {
    "Request-Id": {
        "description": "The id of the request; it finds the request in the server's log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-z]{26}$"},
    },
    "StateSet-Version": {
        "description": "The version of the API that answered.",
        "required": True,
        "schema": {"const": API_VERSION},
    },
    "X-RateLimit-Limit": {"description": "The depth of the bucket.", "schema": _INTEGER},
    "X-RateLimit-Remaining": {"description": "What is left in the bucket.", "schema": _INTEGER},
    "X-RateLimit-Reset": {
        "description": "When the bucket is full again, Unix seconds.",
        "schema": _INTEGER,
    },
    "RateLimit-Policy": {"description": "The limits in force (IETF form).", "schema": _LINE},
    "RateLimit": {"description": "What is left of them (IETF form).", "schema": _LINE},
    "Idempotent-Replayed": {
        "description": "There, and `true`, where this is the first answer again.",
        "schema": {"const": "true"},
    },
    "ETag": {"description": "Names this state of what was read.", "schema": _LINE},
    "Cache-Control": {"description": "How long the answer may be kept.", "schema": _LINE},
    "Retry-After": {"description": "After how many seconds to try again.", "schema": _INTEGER},
    "WWW-Authenticate": {"description": "`Bearer`.", "required": True, "schema": _LINE},
}
_EVERY = ("Request-Id", "StateSet-Version")
UNAUTHORISED = 401
_LIMITS = tuple(name for name in HEADERS if "RateLimit" in name)
_BY_STATUS = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_NAMES = {
    400: "The request is wrong.",
    401: "The key is missing, or opens nothing.",
    402: "The money is not there, or a limit forbids it.",
    403: "This is not allowed.",
    404: "There is no such object.",
    409: "Something else stands against it.",
    412: "The object changed since it was read.",
    413: "The body is too large.",
    415: "The body's type is not taken.",
    422: "The idempotency key was used for another request.",
    429: "Too many requests.",
    500: "Something here failed.",
    503: "The server cannot answer now.",
}


def responses(endpoint: Endpoint, status: int | None, example: Any) -> dict[str, Any]:
    """Every status that an operation answers with. The example belongs to its own status."""
    found = {
        str(good): _good(endpoint, good, example if good == status else None)
        for good in _successes(endpoint)
    }
    if endpoint.kind != "verb":
        found["304"] = {
            "description": "What you have still holds.",
            "headers": headers(*_EVERY, *_LIMITS, "ETag", "Cache-Control"),
        }
    for refused, its_codes in codes(endpoint).items():
        found[str(refused)] = _refused(endpoint, refused, its_codes)
    return found


def headers(*names: str) -> dict[str, Any]:
    """References to response headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _successes(endpoint: Endpoint) -> tuple[int, ...]:
    return (200,) if endpoint.operation is None else endpoint.operation.statuses


def _good(endpoint: Endpoint, status: int, example: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _schema(endpoint)}
    if example is not None:
        content["example"] = example
    own = ("Idempotent-Replayed",) if endpoint.kind == "verb" else ("ETag", "Cache-Control")
    return {
        "description": "A new object." if status == 201 else "Success.",  # noqa: PLR2004 - Created
        "headers": headers(*_EVERY, *_LIMITS, *own),
        "content": {"application/json": content},
    }


def _schema(endpoint: Endpoint) -> dict[str, Any]:
    returns = endpoint.noun or (endpoint.operation.returns if endpoint.operation else None)
    assert returns is not None
    also = endpoint.operation and endpoint.operation.also
    if endpoint.kind == "retrieve" and "deleted" in returns.__struct_fields__:
        also = Deleted
    if also:
        # What is told apart by no more than what is left out is of both.
        tags = [each.__struct_config__.tag for each in (returns, also)]
        return {"anyOf" if tags[0] == tags[1] else "oneOf": [reference(returns), reference(also)]}
    if endpoint.kind != "list":
        return reference(returns)
    return {
        "type": "object",
        "required": ["object", "url", "has_more", "data"],
        "properties": {
            "object": {"const": "list"},
            "url": {"const": endpoint.url, "description": "Where this list is."},
            "has_more": {"type": "boolean", "description": "Whether more lies beyond this page."},
            "data": {"type": "array", "items": reference(returns), "description": "The objects."},
        },
    }


def _refused(endpoint: Endpoint, status: int, its_codes: list[str]) -> dict[str, Any]:
    kept = endpoint.kind == "verb" and any(ERRORS[code].remembered for code in its_codes)
    own = ("Idempotent-Replayed",) if kept else ()
    # Who has no good key has no limits to be told of.
    limits = () if status == UNAUTHORISED else _LIMITS
    schema = {
        "allOf": [
            {"$ref": REFERENCE.format(name="error")},
            {"properties": {"error": {"properties": {"code": {"enum": its_codes}}}}},
        ]
    }
    return {
        "description": f"{_NAMES[status]} Codes: {', '.join(f'`{code}`' for code in its_codes)}.",
        "headers": headers(*_EVERY, *_BY_STATUS.get(status, ()), *limits, *own),
        "content": {"application/json": {"schema": schema}},
        "x-codes": its_codes,
    }


def error_schema() -> dict[str, Any]:
    """The schema of every error."""
    properties: dict[str, Any] = {
        "type": {
            "enum": sorted({row.type for row in ROWS}),
            "description": "What kind of refusal it is.",
        },
        "code": {"enum": sorted(ERRORS), "description": "What exactly is wrong."},
        "message": {"type": "string", "description": "The same in words, for people."},
        "param": {
            "type": ["string", "null"],
            "description": "The parameter it is about, as a path: `items[0].quantity`.",
        },
        "doc_url": {"type": "string", "description": "Where the code is explained."},
        "request_id": {"type": "string", "description": "The id of the request."},
    }
    inner = {"type": "object", "required": list(properties), "properties": properties}
    return {
        "type": "object",
        "required": ["error"],
        "properties": {"error": inner},
        "additionalProperties": False,
    }
