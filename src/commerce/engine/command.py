"""A command: one request's verb, ready to be run in a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from commerce.engine.answers import Answer, IdempotencyKey
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx

if TYPE_CHECKING:
    from asyncio import Future


class Command(NamedTuple):
    """What the engine runs.

    `run` is pure: it may be run more than once and must depend on nothing but its `Tx`. It
    returns the answer, or raises `ApiError`, which undoes what it did. `needs` names what it
    will touch, so that one load finds it; `weight` is about how many rows it will write.
    """

    caller: Caller
    run: Callable[[Tx], Answer]
    needs: Callable[[Needs], None]
    idempotency: IdempotencyKey | None = None
    weight: int = 1


class Work:
    """A command in the engine, and the answer that somebody waits for."""

    __slots__ = ("answer", "command", "since")

    def __init__(self, command: Command, answer: Future[Answer]) -> None:
        self.command = command
        self.answer = answer
        self.since = 0.0
        """When it was put in the queue, by the loop's clock."""

    @property
    def answer_key(self) -> tuple[str, bool, str] | None:
        """The key under which the answer is remembered, if it is."""
        idempotency = self.command.idempotency
        if idempotency is None:
            return None
        caller = self.command.caller
        return (caller.account, caller.livemode, idempotency.key)

    def succeed(self, answer: Answer) -> None:
        """Answer, unless whoever asked has gone."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Fail, unless whoever asked has gone."""
        if not self.answer.done():
            self.answer.set_exception(error)
