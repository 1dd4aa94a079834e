"""Tasks: what a job runs, declared beside the verbs they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs


class Task(NamedTuple):
    """A verb that a job runs: pure, as every verb is, and for the account of the job.

    It takes the `Tx`, the parameters, and what was heard outside where somebody was asked.
    """

    name: str
    run: Callable[..., object]
    params: type[msgspec.Struct]
    needs: Callable[[Needs, Caller, Any], None]
    ask: Callable[[Any], Awaitable[Any]] | None = None
    """Asks somebody outside first; the verb takes what was heard as well. After silence the verb
    is run too, and the job is put off."""
    caller: Callable[[Caller, Any], Caller] = lambda caller, _: caller
    """On whose behalf it runs, where more is known of that than whose job it is."""


Verb = TypeVar("Verb", bound=Callable[..., object])


def task(
    name: str,
    *,
    params: type[msgspec.Struct],
    needs: Callable[[Needs, Caller, Any], None],
) -> Callable[[Verb], Verb]:
    """Declare a verb that jobs run: `def execute(tx: Tx, params: ExecuteTransfer) -> None`.

    `Tx.defer` writes its jobs. One runs once its time has come, in one transaction with the end
    of the job, so its effect happens once however many workers there are and whatever dies.
    What it raises undoes it, and it is tried again later.
    """

    def declare(verb: Verb) -> Verb:
        verb.__task__ = Task(name, verb, params, needs)  # type: ignore[attr-defined]
        return verb

    return declare


def tasks_of(modules: Sequence[Any]) -> dict[str, Task]:
    """The tasks that modules declare, by name."""
    members = [member for module in modules for member in vars(module).values()]
    found = [getattr(member, "__task__", None) for member in members]
    return {each.name: each for each in found if isinstance(each, Task)}
