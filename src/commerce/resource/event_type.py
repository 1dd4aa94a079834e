"""Event types: which ones a noun emits, read off its declaration."""

from __future__ import annotations

from collections.abc import Iterable

from commerce.kernel.lifecycle import Lifecycle
from commerce.resource.noun import Noun


def event_types(noun: type[Noun]) -> tuple[str, ...]:
    """The types of all events that tell of a noun's objects.

    A class names them in `emits: ClassVar`; without it they are `<event>.created` and
    `<event>.updated`. Each state that a verb of the lifecycle leads to adds `<event>.<state>`,
    unless the class names all that there are in `tells: ClassVar`.
    """
    event = noun.__noun__.event
    all_: tuple[str, ...] | None = getattr(noun, "tells", None)
    if all_ is not None:
        return all_
    named: Iterable[str] = getattr(noun, "emits", (f"{event}.created", f"{event}.updated"))
    lifecycle: Lifecycle | None = getattr(noun, "lifecycle", None)
    entered: list[str] = []
    if lifecycle is not None:
        moves = [(state, verb) for state in lifecycle.states for verb in lifecycle.allowed(state)]
        entered = [f"{event}.{to}" for move in moves for to in lifecycle.targets(*move)]
    return tuple(dict.fromkeys([*named, *entered]))


def catalogue(nouns: Iterable[type[Noun]]) -> dict[str, type[Noun]]:
    """Every event type there is, and the noun whose object it carries."""
    return {type_: noun for noun in nouns for type_ in event_types(noun)}
