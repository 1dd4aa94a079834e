"""Operations: verbs, and the reads that are not a plain retrieve or list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.resource.example import Staged
from commerce.resource.expansion import NOTHING, Plan
from commerce.resource.noun import ENCODER, Noun
from commerce.resource.reading import Reading


class Params(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parameters of an operation: of its path, its query and its body together.

    Encoded, they name only what differs from its default: a request under an idempotency key is
    the same one after an upgrade that brought another parameter.
    """


class Nothing(Params, frozen=True, kw_only=True):
    """No parameters."""


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What an object answers that was deleted.

    A noun whose objects can be has a hidden field `deleted`: its lists leave them out, and whoever
    asks for one, or has it expanded, gets this.
    """

    id: str
    """The object's id."""
    object: str
    """What kind of object it was."""
    deleted: Literal[True] = True
    """That it was deleted."""


class Access(NamedTuple):
    """Who may call an operation: the scope a restricted key needs."""

    scope: str
    any_key: bool = False
    """Any secret or restricted key may, whatever its scopes."""
    public: bool = False
    """A public key may, too: what it is shown is the operation's to see to."""


class Operation(NamedTuple):
    """One operation of the API. `run` is set for verbs, `read` for reads."""

    name: str
    method: str
    path: str
    alias: str | None
    access: Access
    params: type[Params]
    returns: type[Any]
    summary: str
    run: Callable[[Tx, Any], Any] | None = None
    needs: Callable[[Needs, Caller, Any], None] | None = None
    weight: Callable[[Any], int] | None = None
    secret: bool = False
    """The answer holds a secret, shown this once: it is remembered sealed."""
    read: Callable[[Reading, Any], Awaitable[Any]] | None = None
    example: Staged | None = None
    also: type[Any] | None = None
    """What it returns to another shape of its parameters."""
    statuses: tuple[int, ...] = (200,)
    """What it answers when it succeeds: 201 with an object it made, else 200."""


Verb = TypeVar("Verb", bound=Callable[..., Any])


def _split(route: str) -> tuple[str, str]:
    method, _, path = route.partition(" ")
    return method, path


def operation(  # noqa: PLR0913 - a declaration, always called by keyword
    returns: type[Any],
    route: str,
    *,
    scope: str,
    params: type[Params] = Nothing,
    alias: str | None = None,
    needs: Callable[[Needs, Caller, Any], None] | None = None,
    weight: Callable[[Any], int] | None = None,
    secret: bool = False,
    example: Staged | None = None,
    also: type[Any] | None = None,
    statuses: tuple[int, ...] | None = None,
    public: bool = False,
) -> Callable[[Verb], Verb]:
    """Declare a verb: `def transfer(tx: Tx, params: CreateTransfer) -> Transfer`.

    Posted to a collection it makes an object (201), and changes one (200) elsewhere, unless
    `statuses` says otherwise.
    """
    method, path = _split(route)
    makes = method == "POST" and "{" not in path

    def declare(verb: Verb) -> Verb:
        verb.__operation__ = Operation(  # type: ignore[attr-defined]
            name=verb.__name__,
            method=method,
            path=path,
            alias=_split(alias)[1] if alias else None,
            access=Access(scope, public=public),
            params=params,
            returns=returns,
            summary=(verb.__doc__ or "").strip(),
            run=verb,
            needs=needs,
            weight=weight,
            secret=secret,
            example=example,
            also=also,
            statuses=statuses or ((201,) if makes else (200,)),
        )
        return verb

    return declare


def view(  # noqa: PLR0913 - a declaration, always called by keyword
    returns: type[Any],
    route: str,
    *,
    scope: str,
    params: type[Params] = Nothing,
    any_key: bool = False,
    example: Staged | None = None,
    also: type[Any] | None = None,
    public: bool = False,
) -> Callable[[Verb], Verb]:
    """Declare a read: `async def balance(reading: Reading, params: ...) -> Balance`.

    At the path of a noun's objects it is how one of them is retrieved.
    """
    method, path = _split(route)

    def declare(read: Verb) -> Verb:
        read.__operation__ = Operation(  # type: ignore[attr-defined]
            name=read.__name__,
            method=method,
            path=path,
            alias=None,
            access=Access(scope, any_key, public),
            params=params,
            returns=returns,
            summary=(read.__doc__ or "").strip(),
            read=read,
            example=example,
            also=also,
        )
        return read

    return declare


def encode(thing: Any) -> bytes:
    """Anything an operation returns, as JSON."""
    if isinstance(thing, Noun):
        return type(thing).__noun__.encode(thing)
    return ENCODER.encode(thing)


class Worded(ABC):
    """What a verb returns that words its answer itself, instead of being it."""

    @abstractmethod
    def answer(self, tx: Tx, plan: Plan) -> Answer:
        """The answer, where this is to be expanded."""


def answer(tx: Tx, thing: Any, *, secret: bool = False, plan: Plan = NOTHING) -> Answer:
    """The answer of a verb that returned `thing`: 201 for an object it made, else 200.

    `plan` is what whoever asked wants to be expanded in it, for what words its answer later.
    """
    if isinstance(thing, Worded):
        return thing.answer(tx, plan)
    id_ = getattr(thing, "id", None)
    status = 201 if id_ in tx.added else 200
    emitted = tx.emitted.get(id_) if isinstance(id_, str) else None
    if emitted is not None and emitted.thing is thing:
        return Answer(status, emitted.body, id_, emitted.event)
    return Answer(status, encode(thing), id_, secret=secret)


def operations_of(modules: Sequence[Any]) -> list[Operation]:
    """The operations that modules declare."""
    found: dict[int, Operation] = {}
    for module in modules:
        for member in vars(module).values():
            declared = getattr(member, "__operation__", None)
            if isinstance(declared, Operation) and member.__module__ == module.__name__:
                found[id(member)] = declared
    return list(found.values())
