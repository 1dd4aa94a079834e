"""The registry: every noun and operation there is, and the routes they give."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

from commerce.resource.event_type import catalogue
from commerce.resource.noun import Noun
from commerce.resource.operation import Access, Operation, operations_of
from commerce.store.table import Table


class Endpoint(NamedTuple):
    """A method and a path, and what they lead to: a verb, a view, one object or a list."""

    method: str
    path: str
    kind: Literal["verb", "view", "retrieve", "list"]
    access: Access
    operation: Operation | None = None
    noun: type[Noun] | None = None

    @property
    def name(self) -> str:
        """How the operation is known, its aliases included."""
        return f"{self.method} {self.path}"

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
        for operation in self.operations:
            endpoint = Endpoint(
                operation.method,
                operation.path,
                "verb" if operation.run else "view",
                operation.access,
                operation,
            )
            found.append((endpoint, operation.path))
            if operation.alias:
                found.append((endpoint, operation.alias))
        for noun in self.nouns:
            spec = noun.__noun__
            if spec.path is None or spec.scope is None:
                continue
            access = Access(spec.scope)
            one = Endpoint("GET", f"/{spec.path}/{{id}}", "retrieve", access, noun=noun)
            many = Endpoint("GET", f"/{spec.path}", "list", access, noun=noun)
            found += [(one, one.path), (many, many.path)]
        return found


def _nouns(modules: Sequence[ModuleType]) -> list[type[Noun]]:
    found: dict[str, type[Noun]] = {}
    for module in modules:
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, Noun) and "__noun__" in vars(member):
                found[member.__noun__.name] = member
    return sorted(found.values(), key=lambda noun: noun.__noun__.name)
