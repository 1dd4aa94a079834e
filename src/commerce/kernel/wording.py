"""What a value must be, in the API's words: read off its type, where msgspec names Python's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from commerce.kernel.errors import ApiError

SHOWN_MAX = 64
"""As much of what a client wrote as is shown to it again."""
MUST = "must"
"""The member of a `Meta`'s `extra` that says what its pattern, or a type of our own, asks for."""

_AT = re.compile(r"(`key` in )?`\$\.?([^`]*)`")
_STEP = re.compile(r"\[(\.\.\.|[0-9]+)\]|[^.\[\]]+")
OR_NULL = ", or null"
_ITEM = "..."
"""What msgspec calls every value of a mapping."""
_MISSING = re.compile(r"Object missing required field `(.*?)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)

_LIMITS = ("ge", "le", "min_length", "max_length", "extra")
_NOTHING = (type(None), msgspec.UnsetType)
_COUNTED: dict[Any, tuple[str, str]] = {
    str: ("a string", "characters"),
    list: ("a list", "items"),
    dict: ("an object", "pairs"),
}

Fits = Callable[[Any, Any], bool]
"""Whether a value of a request is one of a type."""


def must_be(hint: Any, *, null: bool = True) -> str:
    """What a value of a type must be: `a string of at most 256 characters, or null`.

    A query, a form and a command line have no `null`.
    """
    words = _words(hint, {})
    return words if null else words.removesuffix(OR_NULL)


def choices(hint: Any) -> str:
    """What there is to choose from, with commas between: of a type of a few texts."""
    return ", ".join(str(each) for each in get_args(hint))


def unknown(name: str, known: Iterable[str], where: str = "") -> ApiError:
    """A parameter nobody knows, with the nearest one somebody does, or all there are.

    Both stand in `where`, the path of an object, or at the top.
    """
    name, names = name[:SHOWN_MAX], list(known)
    prefix = f"{where}." if where else ""
    near = get_close_matches(name, names, n=1) or [each for each in names if name in each][:1]
    if near:
        hint = f"Did you mean '{prefix}{near[0]}'?"
    elif names:
        place = f"in '{where}'" if where else "here"
        hint = f"Known {place}: {', '.join(names)}."
    else:
        hint = "No parameter is taken here."
    path = f"{prefix}{name}".removesuffix(".")
    return ApiError("parameter_unknown", f"Unknown parameter '{path}'. {hint}", param=path)


class _Place(NamedTuple):
    """Where in a request a value stands: its path, its type and itself."""

    path: str
    hint: Any
    value: Any


def refusal(
    error: msgspec.ValidationError, hint: Any, value: Any, fits: Fits, *, null: bool = True
) -> ApiError:
    """What msgspec refused of a value of a type, said in the API's words.

    Gives `parameter_missing`, `parameter_unknown` or `parameter_invalid`.
    """
    text = str(error)
    # The last one is msgspec's own; a client's words may hold others.
    what, found, tail = text.rpartition(" - at ")
    at = _AT.fullmatch(tail) if found else None
    if at is None:
        what = text
    place = located(error, hint, value, fits)
    missing = _MISSING.fullmatch(what)
    if missing:
        name = f"{place.path}.{missing[1]}" if place.path else missing[1]
        return ApiError("parameter_missing", f"The '{name}' parameter is required.", param=name)
    stranger = _UNKNOWN.fullmatch(what)
    if stranger:
        return unknown(stranger[1], _inner(place.hint), place.path)
    if at is not None and at[1]:
        key_hint, key = _bad_key(place, fits)
        name = f"{place.path}.{key[:SHOWN_MAX]}".removesuffix(".")
        message = f"The key '{key[:SHOWN_MAX]}' of '{place.path}' must be {must_be(key_hint)}."
        return ApiError("parameter_invalid", message, param=name)
    message = f"'{place.path}' must be {must_be(place.hint, null=null)}."
    return ApiError("parameter_invalid", message, param=place.path or None)


def located(error: msgspec.ValidationError, hint: Any, value: Any, fits: Fits) -> _Place:
    """Where in a value stands what msgspec refused, as a path of ours: `metadata.colour`."""
    _, _, tail = str(error).rpartition(" - at ")
    at = _AT.fullmatch(tail)
    place = _Place("", hint, value)
    for step in _STEP.finditer(at[2]) if at else ():
        place = _stepped(place, step, fits)
    return place


def _stepped(place: _Place, step: re.Match[str], fits: Fits) -> _Place:
    """One step further in."""
    inner = _inner(place.hint)
    if step[1] is None:
        path = f"{place.path}.{step[0]}" if place.path else step[0]
        return _Place(path, inner[step[0]], place.value.get(step[0]))
    if step[1] != _ITEM:
        return _Place(f"{place.path}{step[0]}", inner[list], place.value[int(step[1])])
    key, member = next(pair for pair in place.value.items() if not fits(inner[dict], pair[1]))
    return _Place(f"{place.path}.{key[:SHOWN_MAX]}", inner[dict], member)


def _bad_key(place: _Place, fits: Fits) -> tuple[Any, str]:
    """The type of a mapping's keys, and the first of them that is none."""
    hint = _inner(place.hint)[str]
    return hint, next(key for key in place.value if not fits(hint, key))


def _inner(hint: Any) -> dict[Any, Any]:
    """The types within a type: by name those of members, by `list` and `dict` those of items.

    The type of a mapping's keys is by `str`.
    """
    if get_origin(hint) is Annotated:
        return _inner(get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = get_type_hints(hint, include_extras=True)
        names = zip(hint.__struct_encode_fields__, hint.__struct_fields__, strict=True)
        return {shown: hints[field] for shown, field in names}
    arguments = get_args(hint)
    if get_origin(hint) is list:
        return {list: arguments[0]}
    if get_origin(hint) is dict:
        return {str: arguments[0], dict: arguments[1]}
    found: dict[Any, Any] = {}
    for each in arguments if get_origin(hint) in (Union, UnionType) else ():
        found |= _inner(each)
    return found


def _words(hint: Any, meta: Mapping[str, Any]) -> str:
    """The words to a type, and to what `Meta` says beside it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = {name: getattr(each, name) for each in arguments[1:] for name in _LIMITS}
        return _words(arguments[0], {name: each for name, each in own.items() if each is not None})
    if MUST in (meta.get("extra") or {}):
        return str(meta["extra"][MUST])
    if origin in (Union, UnionType):
        words = [_words(each, {}) for each in arguments if each not in _NOTHING]
        return " or ".join(words) + (OR_NULL if type(None) in arguments else "")
    if origin is Literal:
        return f"one of: {choices(hint)}"
    if hint is bool:
        return "true or false"
    if hint is int:
        return f"an integer{_range(meta.get('ge'), meta.get('le'))}"
    if hint is Path:
        return "a path"
    if (origin or hint) in _COUNTED:
        what, units = _COUNTED[origin or hint]
        bounds = _range(meta.get("min_length"), meta.get("max_length"))
        return f"{what}{bounds.replace(' from ', ' of ')} {units}" if bounds else what
    assert issubclass(hint, msgspec.Struct), f"there are no words for {hint}"
    return "an object"


def _range(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if most is not None:
        return f" of at most {most}"
    return "" if least is None else f" of at least {least}"
