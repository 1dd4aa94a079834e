"""Which error codes an operation can answer with, read off the code that it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeGuard, get_args, get_type_hints

import msgspec

from commerce.engine.tx import Tx
from commerce.kernel.errors import ERRORS
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.resource.filter import own_currency
from commerce.resource.noun import Spec, _bare, _marks
from commerce.resource.operation import Operation
from commerce.resource.parameter import Amount, Dollars, Id, Moment, Price, decode
from commerce.resource.reading import Reading
from commerce.resource.ref import ADDRESS, Refers
from commerce.resource.registry import Endpoint
from commerce.resource.shelf import shelf_of

_EVERY = (
    *("api_version_unknown", "parameter_invalid", "parameter_unknown"),
    *("api_key_expired", "api_key_invalid", "api_key_missing", "api_key_revoked"),
    *("livemode_mismatch", "account_invalid", "https_required", "insufficient_permissions"),
    *("key_type_not_allowed", "secret_key_in_browser", "daily_limit_exceeded"),
    *("rate_limit_exceeded", "internal_error", "unavailable"),
)
"""What the journey itself may answer, whatever the operation."""
_WRITE = (
    *("json_invalid", "idempotency_key_invalid", "idempotency_key_in_use"),
    *("idempotency_key_reused", "body_too_large", "content_type_unsupported"),
)
_AMOUNTS = {Amount, Dollars, Price}
_OURS = __name__.partition(".")[0]
_RECEIVERS: dict[str, type[Any]] = {"tx": Tx, "reading": Reading}
"""What the methods called on a parameter of this name are methods of."""


def codes(endpoint: Endpoint) -> dict[int, list[str]]:
    """The codes that an endpoint can answer with, by status."""
    found = set(_EVERY)
    if endpoint.kind == "verb":
        found.update(_WRITE)
    if endpoint.kind == "list" and endpoint.noun is not None:
        found |= _of_list(endpoint.noun.__noun__)
    if endpoint.operation is not None:
        found |= _of_operation(endpoint.operation)
    if endpoint.kind == "verb" and "{" in endpoint.path:
        found.add("version_conflict")
    if not _names_something(endpoint):
        found.discard("resource_missing")
    if "{" in endpoint.path:
        found |= {"resource_missing", "route_missing"}
    elif endpoint.operation is not None and "{" in (endpoint.operation.alias or ""):
        found.add("route_missing")
    by_status: dict[int, list[str]] = {}
    for code in sorted(found):
        row = ERRORS[code]
        for status in (row.status, *row.also):
            by_status.setdefault(status, []).append(code)
    return dict(sorted(by_status.items()))


def _of_list(spec: Spec) -> set[str]:
    found = {"cursor_invalid"}
    if _filters_amounts(spec):
        found |= {"amount_invalid", "amount_precision", "parameter_missing"}
        if own_currency(spec) is None:
            found.add("currency_unsupported")
    if _filters_addresses(spec):
        found.add("invalid_recipient")
    return found


def _filters_amounts(spec: Spec) -> bool:
    """Whether a list can be asked for amounts, which are read in their currency."""
    fields = (spec.field_of[name] for name in spec.filters)
    return any(_bare(spec.types[field])[0] is Money for field in fields)


def _filters_addresses(spec: Spec) -> bool:
    """Whether a list can be asked for the address of a wallet, which is checked."""
    fields = (spec.field_of[name] for name in spec.filters)
    of_a_shelf = shelf_of(spec.cls)
    named = of_a_shelf is not None and "address" in of_a_shelf.parameters
    return named or any(ADDRESS in _marks(spec.types[field]) for field in fields)


def _of_operation(operation: Operation) -> set[str]:
    parts = set(_parts(operation.params))
    found = reachable([operation.run or operation.read])
    if parts & _AMOUNTS:
        found |= reachable([decode, Amount.parse, Amount.coin]) | {"amount_invalid"}
    if Moment in parts:
        found.add("parameter_invalid")
    names = re.findall(r"{(\w+)}", operation.path)
    if any(_is_needed(part, names) for part in parts):
        found.add("parameter_missing")
    return found


def _is_needed(part: Any, names: list[str]) -> bool:
    """Whether a struct has a field that must be sent, beside what stands in the path."""
    if not (isinstance(part, type) and issubclass(part, msgspec.Struct)):
        return False
    fields = msgspec.structs.fields(part)
    return any(field.required and field.encode_name not in names for field in fields)


def _names_something(endpoint: Endpoint) -> bool:
    """Whether a request names an object, which may not be there."""
    if "{" in endpoint.path:
        return True
    operation = endpoint.operation
    if operation is None:
        return False
    return any(
        part == Id or isinstance(part, Refers) or part == "address"
        for part in _parts(operation.params)
    )


def _parts(type_: Any) -> Iterator[Any]:
    """The types of a struct's fields, and of their fields, and the names of its own."""
    waiting, seen = [type_], []
    while waiting:
        part = waiting.pop()
        if part in seen:
            continue
        seen.append(part)
        yield part
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            yield from part.__struct_encode_fields__
            waiting += get_type_hints(part, include_extras=True).values()
        else:
            waiting += get_args(part)


def reachable(functions: Iterable[Any]) -> set[str]:
    """The codes that stand in functions and in what they call, as far as names can be followed."""
    waiting = [*functions]
    seen: set[FunctionType] = set()
    found: set[str] = set()
    while waiting:
        function = _plain(waiting.pop())
        if function is None or function in seen:
            continue
        seen.add(function)
        for code in _with_inner(function.__code__):
            found.update(const for const in _consts(code) if _is_code(const))
            waiting += _named(function, code)
    return found


def _plain(thing: Any) -> FunctionType | None:
    """A function of ours; none for anything else."""
    function = getattr(thing, "__func__", thing)
    ours = isinstance(function, FunctionType) and function.__module__.startswith(_OURS)
    return function if ours else None


def _consts(code: CodeType) -> Iterator[object]:
    """The constants in code, one by one where several are chosen from."""
    for const in code.co_consts:
        yield from const if isinstance(const, (tuple, frozenset)) else (const,)


def _is_code(const: object) -> TypeGuard[str]:
    return isinstance(const, str) and const in ERRORS


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _with_inner(const)


def _named(function: FunctionType, code: CodeType) -> Iterator[Any]:
    """Whatever the names in a function may stand for: globals, members of modules, methods."""
    scope = [function.__globals__.get(name) for name in code.co_names]
    receivers = [type_ for name, type_ in _RECEIVERS.items() if name in code.co_varnames]
    of = function.__qualname__.partition(".")[0]
    receivers += [each for each in (Tx, Reading, Amount) if of in (each.__name__, "Money")]
    owners = [*receivers, *(part for part in scope if isinstance(part, ModuleType))]
    yield from scope
    for owner in owners:
        yield from (vars(owner).get(name, getattr(owner, name, None)) for name in code.co_names)
    if Tx in receivers and "move" in code.co_names:
        yield Lifecycle.move
        yield Lifecycle._refusal  # noqa: SLF001 - where a lifecycle says no
