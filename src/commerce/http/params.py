"""Parameters: of path, query and body, read into the type that an operation declares."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

from commerce.kernel.errors import ApiError
from commerce.kernel.money import NumberText
from commerce.resource.operation import Params
from commerce.resource.parameter import Rejected, decode

P = TypeVar("P", bound=Params)

_AT = re.compile(r"(?:`key` in )?`\$\.?([^`]*)`")
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_REASON_MAX = 200


def convert(params: type[P], values: dict[str, Any], path: dict[str, str], *, strict: bool) -> P:
    """Read parameters; from a query (`strict` false) numbers and booleans are text.

    Raises `parameter_missing`, `parameter_unknown`, `parameter_invalid`, or what a type's own
    rules say.
    """
    known = [name for name in params.__struct_encode_fields__ if name not in path]
    unknown = values.keys() - set(known)
    if unknown:
        raise _unknown(min(unknown), known)
    try:
        return msgspec.convert({**values, **path}, params, strict=strict, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise _refusal(error) from None


def _unknown(name: str, known: list[str]) -> ApiError:
    near = get_close_matches(name[:64], known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    message = f"Unknown parameter '{name[:64]}'.{hint}"
    return ApiError("parameter_unknown", message, param=name[:64])


def _refusal(error: msgspec.ValidationError) -> ApiError:
    """A refusal of msgspec's in the contract's words."""
    text = str(error)
    # The last one is msgspec's own; a client's words may hold others.
    what, found, tail = text.rpartition(" - at ")
    at = _AT.fullmatch(tail) if found else None
    what, where = (what, at[1]) if at else (text, "")
    if isinstance(error.__cause__, Rejected):
        return _rejected(error.__cause__.error, where)
    missing = _MISSING.fullmatch(what)
    if missing:
        name = f"{where}.{missing[1]}" if where else missing[1]
        return ApiError("parameter_missing", f"The '{name}' parameter is required.", param=name)
    stranger = _UNKNOWN.fullmatch(what)
    if stranger:
        name = f"{where}.{stranger[1][:64]}" if where else stranger[1][:64]
        return ApiError("parameter_unknown", f"Unknown parameter '{name}'.", param=name)
    what = what.replace(NumberText.__name__, "number")
    if len(what) > _REASON_MAX:  # It quotes the client.
        what = f"{what[:_REASON_MAX]}…"
    message = f"'{where}' is not allowed: {what[0].lower()}{what[1:]}."
    return ApiError("parameter_invalid", message, param=where or None)


def _rejected(error: ApiError, where: str) -> ApiError:
    inner = (error.param or "").partition(".")[2]
    name = f"{where}.{inner}" if inner else where
    message = error.message.replace("''", f"'{name}'", 1)
    return ApiError(error.code, message, param=name or error.param)
