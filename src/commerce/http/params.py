"""Parameters: of path, query and body, read into the type that an operation declares."""

from __future__ import annotations

from typing import Any, TypeVar

from commerce.kernel import wording
from commerce.resource import parameter
from commerce.resource.operation import Params

P = TypeVar("P", bound=Params)


def convert(params: type[P], values: dict[str, Any], path: dict[str, str], *, strict: bool) -> P:
    """Read parameters; from a query (`strict` false) numbers and booleans are text.

    Raises `parameter_missing`, `parameter_unknown`, `parameter_invalid`, or what a type's own
    rules say.
    """
    known = [name for name in params.__struct_encode_fields__ if name not in path]
    unknown = values.keys() - set(known)
    if unknown:
        raise wording.unknown(min(unknown), known)
    return parameter.convert(params, {**values, **path}, strict=strict)
