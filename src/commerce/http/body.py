"""Bodies: JSON read exactly, with everything refused that two readers could read differently."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from commerce.kernel.errors import ApiError
from commerce.kernel.money import NumberText

DEPTH_MAX = 32
VALUES_MAX = 32_000
"""More values than this in one body are refused: to build them would hold up everyone else."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[][{}]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
INTEGER_DIGITS_MAX = 40


class _Duplicate(ValueError):
    pass


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise _Duplicate(f"the member '{twice[:64]}' is there twice")
    return members


def _integer(text: str) -> Any:
    """An integer; one of more digits than anything here counts to stays text, as it costs more."""
    return int(text) if len(text) <= INTEGER_DIGITS_MAX else NumberText(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_float=NumberText,
    parse_int=_integer,
    parse_constant=_refuse_constant,
)
"""Numbers with a point or an exponent keep their text, so that no binary float ever sees them."""


def parse_json(body: bytes) -> dict[str, Any]:
    """The object that a body is; an empty body is an empty object. Raises `json_invalid`."""
    if not body:
        return {}
    try:
        text = body.decode()
        _refuse_large(body, text)
        value, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip(" \t\n\r")))
    except UnicodeDecodeError:
        raise _invalid("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _invalid(_malformed(error, text)) from None
    except ValueError as error:
        raise _invalid(str(error)) from None
    if end != len(text) and text[end:].strip(" \t\n\r"):
        raise _invalid("something follows the JSON value")
    if not isinstance(value, dict):
        raise _invalid("it is not an object")
    if b"\\u" in body:
        _refuse_unstorable(value)
    return value


def _refuse_large(body: bytes, text: str) -> None:
    opened = body.count(b"{") + body.count(b"[")
    if opened + body.count(b",") > VALUES_MAX:
        _refuse_many(body, text)
    if opened > DEPTH_MAX:
        _refuse_depth(text)


def _refuse_many(body: bytes, text: str) -> None:
    """Refuse more values than a request has any use for, before they cost anything.

    Each is a bracket or follows one or a comma, but those within strings do not count. Strings
    are taken out at a cost for each, so there must not be too many: two for a value, and each
    has two quotes that are not behind a backslash, or ends in one.
    """
    many = f"it has more than {VALUES_MAX} values"
    if body.count(b'"') - body.count(b'\\"') > 4 * VALUES_MAX:
        raise ValueError(many)
    bare = _STRING.sub("", text)
    if bare.count("{") + bare.count("[") + bare.count(",") > VALUES_MAX:
        raise ValueError(many)


def _malformed(error: json.JSONDecodeError, text: str) -> str:
    """Where JSON goes wrong; what Python says of it is for who reads Python."""
    if not text[error.pos :].strip(" \t\n\r"):
        return "it ends before its JSON does"
    return f"it is not valid JSON at line {error.lineno}, column {error.colno}"


def _refuse_depth(text: str) -> None:
    """Refuse nesting before it costs a stack; brackets within strings do not nest."""
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "{[" else -1
        if depth > DEPTH_MAX:
            raise ValueError(f"it is nested deeper than {DEPTH_MAX}")


def _refuse_unstorable(value: Any) -> None:
    """Refuse what only an escape can say: a NUL, which no column holds, and half a surrogate."""
    for text in _strings(value):
        if (found := _UNSTORABLE.search(text)) is not None:
            what = "a NUL character" if found[0] == "\x00" else "half of a surrogate pair"
            raise _invalid(f"it holds {what}")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _strings(member)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _invalid(reason: str) -> ApiError:
    return ApiError("json_invalid", f"The body cannot be read: {reason}.")
