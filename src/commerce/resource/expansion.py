"""Expansion: ids in answers replaced by the objects they lead to, one query a level.

What can be expanded is read off declarations: a field typed `Ref[...]` or marked `refers(...)`,
and a part that stands for a noun, which becomes the whole object. An id that leads to no object
of the caller's stays an id.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.resource.noun import HIDDEN, Noun, Part, Spec
from commerce.resource.reading import Reading
from commerce.resource.ref import Refers

DEPTH_MAX = 4
PATHS_MAX = 20
BYTES_MAX = 4 * 1024 * 1024
"""How much may be put into one answer: a path that leads back and forth multiplies it."""
SHOWN_MAX = 64


class Member(NamedTuple):
    """A member of an object on the way of a path."""

    targets: tuple[Spec, ...]
    """The nouns that its id leads to; empty for one that is only passed through."""
    inner: tuple[type[Any], ...]
    """The structs that its own members are in."""


class Step(NamedTuple):
    """One member to be expanded or passed through, and what is to be expanded in it."""

    targets: tuple[Spec, ...]
    steps: dict[str, Step]


class Plan(NamedTuple):
    """What a request asks to be expanded."""

    paths: tuple[str, ...]
    steps: dict[str, Step]
    scopes: tuple[str, ...]
    """What a restricted key needs."""


NOTHING = Plan((), {}, ())


class Expander:
    """Knows, of every type that answers are made of, what can be expanded."""

    def __init__(self, nouns: Sequence[type[Noun]]) -> None:
        self._nouns = {noun.__noun__.name: noun.__noun__ for noun in nouns}
        self._known: dict[type[Any], dict[str, Member]] = {}

    def plan(self, returns: Any, paths: Sequence[str], *, listed: bool = False) -> Plan:
        """Read the paths that a request asks for; of a list, they begin with `data`.

        Raises `parameter_invalid`, naming the path and what can be expanded in its place.
        """
        if not paths:
            return NOTHING
        if len(paths) > PATHS_MAX:
            message = f"At most {PATHS_MAX} paths can be expanded."
            raise ApiError("parameter_invalid", message, param=f"expand[{PATHS_MAX}]")
        first = {"data": Member((), structs(returns))} if listed else None
        steps: dict[str, Step] = {}
        scopes: set[str] = set()
        for number, path in enumerate(paths):
            names = path.split(".")
            if len(names) > DEPTH_MAX:
                message = f"A path has at most {DEPTH_MAX} parts."
                raise ApiError("parameter_invalid", message, param=f"expand[{number}]")
            into = steps
            members = first or self._members(structs(returns))
            for at, name in enumerate(names):
                member = members.get(name)
                if member is None:
                    raise self._refusal(number, names[:at], name, members)
                step = into.setdefault(name, Step(member.targets, {}))
                scopes |= {str(spec.scope) for spec in member.targets}
                into, members = step.steps, self._members(member.inner)
            if not step.targets:
                raise self._refusal(number, names, "", members)
        return Plan(tuple(sorted(set(paths))), steps, tuple(sorted(scopes)))

    def paths(self, returns: Any, *, listed: bool = False) -> list[str]:
        """The paths of one leap that there are in what an operation returns."""
        found = self._paths(self._members(structs(returns)))
        return [f"data.{path}" for path in found] if listed else found

    def targets(self, struct: type[Any], name: str) -> tuple[Spec, ...]:
        """The nouns that a member of a struct can be expanded into."""
        member = self._members((struct,)).get(name)
        return () if member is None else member.targets

    def _paths(self, members: Mapping[str, Member], depth: int = 1) -> list[str]:
        found: list[str] = []
        for name, member in members.items():
            if member.targets:
                found.append(name)
            elif depth < DEPTH_MAX:
                inner = self._paths(self._members(member.inner), depth + 1)
                found += [f"{name}.{path}" for path in inner]
        return sorted(found)

    def _refusal(
        self, number: int, before: list[str], name: str, members: Mapping[str, Member]
    ) -> ApiError:
        path = ".".join([*before, name] if name else before)[:SHOWN_MAX]
        prefix = "".join(f"{each}." for each in before)
        can = ", ".join(f"'{prefix}{each}'" for each in self._paths(members))
        rest = f"What can be here: {can}." if can else "Nothing can be expanded here."
        message = f"'{path}' cannot be expanded. {rest}"
        return ApiError("parameter_invalid", message, param=f"expand[{number}]")

    def _members(self, inner: tuple[type[Any], ...]) -> dict[str, Member]:
        """The members of structs together: an answer may be one or another of them."""
        found: dict[str, Member] = {}
        for struct in inner:
            if struct not in self._known:
                self._known[struct] = self._read(struct)
            for name, member in self._known[struct].items():
                other = found.get(name, Member((), ()))
                targets = dict.fromkeys((*other.targets, *member.targets))
                inners = dict.fromkeys((*other.inner, *member.inner))
                found[name] = Member(tuple(targets), tuple(inners))
        return found

    def _read(self, struct: type[Any]) -> dict[str, Member]:
        hints = get_type_hints(struct, include_extras=True)
        fields: Sequence[str] = struct.__struct_fields__
        shown: Sequence[str] = struct.__struct_encode_fields__
        members: dict[str, Member] = {}
        for field, name in zip(fields, shown, strict=True):
            leaves = list(_leaves(hints[field]))
            if HIDDEN in leaves:
                continue
            targets = tuple(spec for leaf in leaves for spec in self._targets(leaf))
            inner = structs(hints[field])
            if targets:
                inner = tuple(spec.cls for spec in targets)
            if inner:
                members[name] = Member(targets, inner)
        return members

    def _targets(self, leaf: Any) -> list[Spec]:
        """The nouns that a type or a mark leads to, if they can be retrieved at all."""
        named: tuple[Any, ...] = ()
        if isinstance(leaf, Refers):
            named = leaf.targets
        elif isinstance(leaf, type) and issubclass(leaf, Part) and leaf.__stands_for__:
            named = (leaf.__stands_for__,)
        specs = [self._nouns[each] if isinstance(each, str) else each.__noun__ for each in named]
        return [spec for spec in specs if spec.path is not None and spec.scope is not None]


def structs(hint: Any) -> tuple[type[Any], ...]:
    """The structs in a type: itself, one of several, or in a list."""
    leaves = _leaves(hint)
    return tuple(
        leaf for leaf in leaves if isinstance(leaf, type) and issubclass(leaf, msgspec.Struct)
    )


def _leaves(hint: Any) -> Iterator[Any]:
    """The types and the marks that an answer's member is made of."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *marks = get_args(hint)
        yield from marks
        yield from _leaves(inner)
    elif origin in (Union, types.UnionType, list):
        for each in get_args(hint):
            yield from _leaves(each)
    else:
        yield hint


class Place(NamedTuple):
    """Where an id stands, to be replaced."""

    holder: Any
    at: Any
    id: str
    step: Step

    @property
    def target(self) -> Spec:
        """The noun that the id leads to."""
        prefix = self.id.partition("_")[0]
        several = self.step.targets
        return next((spec for spec in several if spec.prefix == prefix), several[0])


class _Unfolding:
    """An answer while it is being expanded, level by level."""

    def __init__(self, plan: Plan, body: bytes) -> None:
        self._tree = msgspec.json.decode(body)
        self._places = list(_places(self._tree, plan.steps))
        self._bytes = 0

    def wanted(self) -> dict[Spec, list[str]]:
        """The ids of this level, by what they lead to; nothing when all is done."""
        wanted: dict[Spec, dict[str, None]] = {}
        for place in self._places:
            wanted.setdefault(place.target, {})[place.id] = None
        return {spec: list(ids) for spec, ids in wanted.items()}

    def fill(self, found: Mapping[Spec, Mapping[str, Any]]) -> None:
        """Put the objects in the places of their ids, and go one level deeper.

        Raises `parameter_invalid` where that is more than an answer holds.
        """
        texts = {
            spec: {id_: spec.encode(thing) for id_, thing in things.items()}
            for spec, things in found.items()
        }
        deeper: list[Place] = []
        for place in self._places:
            text = texts[place.target].get(place.id)
            if text is not None:
                self._bytes += len(text)
                if self._bytes > BYTES_MAX:
                    message = f"More than {BYTES_MAX} bytes would be expanded: ask for less."
                    raise ApiError("parameter_invalid", message, param="expand[]")
                # Decoded for each place: what stands here is expanded as this path asks.
                shown = place.holder[place.at] = msgspec.json.decode(text)
                deeper += _places(shown, place.step.steps)
        self._places = deeper

    def body(self) -> bytes:
        """The answer as it is now."""
        return msgspec.json.encode(self._tree)


def _places(value: Any, steps: Mapping[str, Step]) -> Iterator[Place]:
    if isinstance(value, list):
        for item in value:
            yield from _places(item, steps)
        return
    if not isinstance(value, dict):
        return
    for name, step in steps.items():
        member = value.get(name)
        if step.targets:
            yield from _place(value, name, member, step)
        else:
            yield from _places(member, step.steps)


def _place(holder: Any, at: Any, member: Any, step: Step) -> Iterator[Place]:
    if isinstance(member, str):
        yield Place(holder, at, member, step)
    elif isinstance(member, list):
        for number, item in enumerate(member):
            yield from _place(member, number, item, step)
    elif isinstance(member, dict) and isinstance(member.get("id"), str):
        yield Place(holder, at, member["id"], step)


async def expanded(reading: Reading, plan: Plan, body: bytes) -> bytes:
    """An answer with what its request asks for: one query a level and noun, of committed rows.

    Raises `parameter_invalid` for more than `BYTES_MAX`.
    """
    if not plan.steps:
        return body
    unfolding = _Unfolding(plan, body)
    while wanted := unfolding.wanted():
        unfolding.fill({spec: await reading.many(spec, ids) for spec, ids in wanted.items()})
    return unfolding.body()


def expanded_in(tx: Tx, plan: Plan, body: bytes) -> bytes:
    """A verb's answer, expanded within its transaction: as it will be remembered.

    Objects are as the verb leaves them. Raises `Miss` once a level and noun, and
    `parameter_invalid` for more than `BYTES_MAX`, which undoes the verb.
    """
    if not plan.steps:
        return body
    unfolding = _Unfolding(plan, body)
    while wanted := unfolding.wanted():
        unfolding.fill({spec: _seen(tx, spec, ids) for spec, ids in wanted.items()})
    return unfolding.body()


def _seen(tx: Tx, spec: Spec, ids: Sequence[str]) -> Mapping[str, Any]:
    """Objects as a verb leaves them, whole: a noun may say how within a transaction, too.

    It does with `complete_in: ClassVar`, which takes the transaction and objects, and gives them.
    """
    found = tx.see(spec, ids)
    complete = getattr(spec.cls, "complete_in", None)
    if complete is None:
        return found
    return {thing.id: thing for thing in complete(tx, list(found.values()))}
