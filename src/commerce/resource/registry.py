"""The registry: every noun and operation there is, and the routes they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

from commerce.resource.event_type import catalogue
from commerce.resource.filter import reach_into_parts
from commerce.resource.noun import Noun
from commerce.resource.operation import Access, Operation, operations_of
from commerce.store.table import Table

Kind = Literal["verb", "view", "retrieve", "list"]

TAKEN_AS: Mapping[str, str] = {"PUT": "PATCH", "POST": "PATCH", "HEAD": "GET"}
"""What a method is taken as at a path that does not take it itself."""


class Endpoint(NamedTuple):
    """A method and a path, and what they lead to: a verb, a view, one object or a list."""

    method: str
    path: str
    kind: Kind
    access: Access
    operation: Operation | None = None
    noun: type[Noun] | None = None

    @property
    def name(self) -> str:
        """How the operation is known, its aliases included."""
        return f"{self.method} {self.path}"

    @property
    def also(self) -> list[str]:
        """The other methods by which a write is taken at its path."""
        others = [method for method, stands_for in TAKEN_AS.items() if stands_for == self.method]
        return [f"{method} {self.path}" for method in others] if self.kind == "verb" else []

    @property
    def url(self) -> str:
        """Where a list says that it is: at the plain collection, whichever path was asked."""
        assert self.noun is not None
        return f"/v1/{self.noun.__noun__.path}"

    @property
    def makes_freely(self) -> bool:
        """Whether it is a verb with an example that needs no other object in its path."""
        operation = self.operation
        staged = operation is not None and operation.example is not None
        return self.kind == "verb" and staged and "{" not in self.path


class Registry:
    """All nouns and operations that a list of modules declares."""

    def __init__(
        self,
        modules: Sequence[ModuleType],
        tables: Sequence[Table],
        views: Sequence[Any] = (),
    ) -> None:
        self.nouns = _nouns(modules)
        for noun in self.nouns:
            reach_into_parts(noun.__noun__)
            if noun.__noun__.name == "event":
                noun.__noun__.choices["type"] = tuple(sorted(catalogue(self.nouns)))
        self.operations = [*operations_of(modules), *(view.__operation__ for view in views)]
        self.tables = {table.name: table for table in tables}
        # What says `kept: ClassVar = False` stands in events alone.
        kept = [noun.__noun__.table for noun in self.nouns if getattr(noun, "kept", True)]
        self.tables |= {table.name: table for table in kept}

    def documented(self) -> list[Endpoint]:
        """Every endpoint once, under its documented path."""
        return [endpoint for endpoint, path in self.endpoints() if path == endpoint.path]

    def endpoints(self) -> list[tuple[Endpoint, str]]:
        """Every endpoint with each path it answers at, the documented one first."""
        found: list[tuple[Endpoint, str]] = []
        retrieved = {
            f"/{noun.__noun__.path}/{{id}}": noun for noun in self.nouns if noun.__noun__.scope
        }
        for operation in self.operations:
            kind: Kind = "verb" if operation.run else "view"
            noun = retrieved.pop(operation.path, None) if kind == "view" else None
            if noun is not None:
                kind = "retrieve"
            access = operation.access
            endpoint = Endpoint(operation.method, operation.path, kind, access, operation, noun)
            found.append((endpoint, operation.path))
            if operation.alias:
                found.append((endpoint, operation.alias))
        for noun in self.nouns:
            spec = noun.__noun__
            if spec.path is None or spec.scope is None:
                continue
            access = Access(spec.scope)
            one = Endpoint("GET", f"/{spec.path}/{{id}}", "retrieve", access, noun=noun)
            if one.path in retrieved:
                found.append((one, one.path))
            # What says `listed_at: ClassVar` has its list there too, by its documented name.
            listed_at = getattr(noun, "listed_at", spec.path)
            many = Endpoint("GET", f"/{listed_at}", "list", access, noun=noun)
            found += [(many, path) for path in dict.fromkeys((many.path, f"/{spec.path}"))]
        return found


def _nouns(modules: Sequence[ModuleType]) -> list[type[Noun]]:
    found: dict[str, type[Noun]] = {}
    for module in modules:
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, Noun) and "__noun__" in vars(member):
                found[member.__noun__.name] = member
    return sorted(found.values(), key=lambda noun: noun.__noun__.name)
