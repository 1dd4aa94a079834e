"""Forms: `application/x-www-form-urlencoded` bodies with bracket nesting, read as JSON would be.

`items[0][sku]=a&items[1][sku]=b`, `metadata[key]=value`, `scopes[]=x&scopes[]=y`, and
`transfers[][to]=a&transfers[][amount]=1&transfers[][to]=b`, where a member that is there already
begins the next item. Every value is text; what it is text of, the declared types say.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from commerce.kernel.errors import ApiError

FIELDS_MAX = 4_000
DEPTH_MAX = 8
"""No parameter is nested deeper, and each level costs time for each of the fields."""
SHOWN_MAX = 64
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_INDEX = re.compile(r"0|[1-9][0-9]{0,3}")
_NEXT = ""
"""What stands between the brackets of an item without a number."""

Node = dict[str, Any]


class Kinds(NamedTuple):
    """What a value of a type may be made of: each is a type, None where it may not."""

    members: dict[str, Any] = {}
    """Named members."""
    names: Any = None
    """Members of any name, of a `dict`."""
    items: Any = None
    length_max: int | None = None
    """How many items there may be, where that is bounded."""


_NOTHING = Kinds()
_ANYTHING = Kinds(items=Any)
_KNOWN: dict[int, tuple[Any, Kinds]] = {}
"""The kinds of each type by its identity, since a type may have no hash; it is kept beside them."""


class _Taken(Exception):
    """A value stands there already."""


def parse_form(body: bytes, params: type[msgspec.Struct]) -> dict[str, Any]:
    """The object that a form is, for parameters of this type. Raises `parameter_invalid`.

    Whether `a[0]` is an item or a member called "0" is for the type to say, so both are read as
    members first.
    """
    root: Node = {}
    for name, value in _fields(body):
        path = _path(name)
        try:
            _put(root, path, value)
        except _Taken:
            message = f"'{name[:SHOWN_MAX]}' stands twice, or is a value and more than a value."
            raise ApiError("parameter_invalid", message, param=_dotted(path)) from None
    hints = _members(params)
    return {name: _shaped(value, hints.get(name), name) for name, value in root.items()}


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode()
        fields = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        message = f"The form cannot be read: it is not UTF-8, or has over {FIELDS_MAX} fields."
        raise ApiError("parameter_invalid", message) from None
    if any("\x00" in name or "\x00" in value for name, value in fields):
        raise ApiError("parameter_invalid", "The form holds a NUL character.")
    return fields


def _path(name: str) -> list[str]:
    """The members that a field's name leads through."""
    first, bracket, _ = name.partition("[")
    if not bracket:
        return [name]
    if name.count("[") > DEPTH_MAX:
        message = f"A form is nested at most {DEPTH_MAX} deep."
        raise ApiError("parameter_invalid", message, param=name[:SHOWN_MAX])
    inner = _BRACKETS.findall(name, len(first))
    if not first or len(name) != len(first) + sum(len(each) + 2 for each in inner):
        message = f"The brackets of '{name[:SHOWN_MAX]}' do not match."
        raise ApiError("parameter_invalid", message, param=name[:SHOWN_MAX])
    return [first, *inner]


def _put(node: Node, path: list[str], value: str) -> None:
    """Put a value in its place; all that leads there is made on the way."""
    for at, name in enumerate(path[:-1]):
        if name == _NEXT:
            _put_next(node, path[at + 1 :], value)
            return
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise _Taken
    name = path[-1]
    if name == _NEXT:
        _add_item(node, value)
        return
    if name in node or _NEXT in node:
        raise _Taken
    node[name] = value


def _add_item(node: Node, value: Any) -> None:
    if node and _NEXT not in node:
        raise _Taken
    node.setdefault(_NEXT, []).append(value)


def _put_next(node: Node, rest: list[str], value: str) -> None:
    """Put a value into the last item of a list, or into a new one where it stands already."""
    items = node.get(_NEXT)
    last = items[-1] if items else None
    if isinstance(last, dict):
        try:
            _put(last, rest, value)
        except _Taken:
            pass
        else:
            return
    fresh: Node = {}
    _put(fresh, rest, value)
    _add_item(node, fresh)


def _shaped(value: Any, hint: Any, at: str) -> Any:
    """Members that are numbered become a list, unless the type says that they are names.

    What no type is known for is refused later, and stays as it is.
    """
    if hint is None or not isinstance(value, dict):
        return value
    kinds = _kinds(hint)
    if _NEXT in value:
        if len(value) > 1:
            message = f"'{at[:SHOWN_MAX]}' has items with and without numbers."
            raise ApiError("parameter_invalid", message, param=at[:SHOWN_MAX])
        items = value[_NEXT]
    elif kinds.names is not None or not all(_INDEX.fullmatch(name) for name in value):
        named = Any if kinds is _ANYTHING else kinds.names
        return {
            name: _shaped(member, kinds.members.get(name, named), f"{at}.{name}")
            for name, member in value.items()
        }
    else:
        items = [value.get(str(number)) for number in range(len(value))]
        if None in items:
            message = f"The items of '{at[:SHOWN_MAX]}' must be numbered 0, 1, 2 and so on."
            raise ApiError("parameter_invalid", message, param=at[:SHOWN_MAX])
    if kinds.length_max is not None and len(items) > kinds.length_max:
        message = f"'{at[:SHOWN_MAX]}' has more than {kinds.length_max} items."
        raise ApiError("parameter_invalid", message, param=at[:SHOWN_MAX])
    return [_shaped(item, kinds.items, f"{at}[{number}]") for number, item in enumerate(items)]


def _kinds(hint: Any) -> Kinds:
    """What a value of a type may be made of; found out once for each type."""
    known = _KNOWN.get(id(hint))
    if known is None:
        known = _KNOWN[id(hint)] = (hint, _found(hint))
    return known[1]


def _found(hint: Any) -> Kinds:
    if hint is Any:
        return _ANYTHING
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        bounds = [mark.max_length for mark in arguments[1:] if isinstance(mark, msgspec.Meta)]
        inner = _kinds(arguments[0])
        bounded = [each for each in bounds if each is not None and inner.items is not None]
        return inner._replace(length_max=min(bounded)) if bounded else inner
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return Kinds(members=_members(hint))
    if get_origin(hint) is dict:
        return Kinds(names=arguments[-1])
    if get_origin(hint) is list:
        return Kinds(items=arguments[-1])
    kinds = _NOTHING
    for each in map(_kinds, arguments):
        if each is _ANYTHING:
            return _ANYTHING
        kinds = Kinds(
            kinds.members | each.members,
            kinds.names if each.names is None else each.names,
            kinds.items if each.items is None else each.items,
            kinds.length_max if each.items is None else each.length_max,
        )
    return kinds


@cache
def _members(struct: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(struct, include_extras=True)
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {shown: hints[field] for field, shown in names}


def _dotted(path: list[str]) -> str:
    return ".".join(path)[:SHOWN_MAX]
