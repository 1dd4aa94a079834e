"""Verbs in two commits: what is begun, asked outside, and finished by what was heard.

A verb that needs somebody outside returns `Pending`: its object is kept in a state that says so,
with a job that asks again. Outside any transaction the call is made; what is heard goes to the
verb that finishes it, and what that returns is the answer, then and under the idempotency key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from commerce.engine.agenda import JOB
from commerce.engine.answers import ANSWER, RUNNING, Answer, StillRunning
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.outside.call import Call, Heard, Outside
from commerce.engine.outside.errand import Errand
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.jobs.queue import Task
from commerce.kernel.errors import ApiError
from commerce.resource.expansion import Expander, Plan, expanded_in
from commerce.resource.noun import Noun
from commerce.resource.operation import Worded, answer
from commerce.store.table import Key

RECOVER_SECONDS = 60
"""After how long a call whose end nobody has written down is asked about: twice as long as it may
take, so that it is over by then."""
ROWS_A_FINISH = 10


class Finish(NamedTuple):
    """The verb that finishes what a call began, of one noun."""

    name: str
    """The name of the job that recovers it."""
    noun: type[Noun]
    run: Callable[[Tx, Any, Any], Any]
    inquiry: type[Call]
    """What is asked to learn what became of the call."""
    needs: Callable[[Needs, Caller, str], None]
    unheard: str | None = None
    """The event by which is told that nothing was heard, where it is not `<noun>.updated`."""
    shown: Callable[[Tx, Any], Any] | None = None
    """What is answered in place of the object: less of it, or with a secret."""
    returns: type[Noun] | None = None
    """What `shown` makes, where that is another noun."""


Verb = TypeVar("Verb", bound=Callable[..., Any])


def _nothing(_: Needs, __: Caller, ___: str) -> None:
    """A verb that touches no more than its object."""


def finish(  # noqa: PLR0913 - a declaration, always called by keyword
    name: str,
    noun: type[Noun],
    *,
    inquiry: type[Call],
    needs: Callable[[Needs, Caller, str], None] = _nothing,
    unheard: str | None = None,
    shown: Callable[[Tx, Any], Any] | None = None,
    returns: type[Noun] | None = None,
) -> Callable[[Verb], Verb]:
    """Declare a verb that finishes: `def settle(tx: Tx, payment: Payment, heard: Charged) -> ...`.

    It gets the object, locked, and what was heard: what the other side said, or `Heard.ABSENT`,
    which is that nothing was done and never will be. It returns the object, or `Declined`. The
    noun has an `unknown_since`, which is set where nothing was heard in time, and which this verb
    takes away; `unheard` is the event that tells of that. `inquiry` is kept with the job that
    recovers it: it holds nothing that may not be. `shown` makes what is answered of the object,
    whatever was heard of it but a refusal; it is remembered sealed. `returns` is what that is,
    where it is another noun, in which clients expand.
    """

    def declare(verb: Verb) -> Verb:
        verb.__finish__ = Finish(  # type: ignore[attr-defined]
            *(name, noun, verb, inquiry, needs, unheard, shown, returns)
        )
        return verb

    return declare


class Declined(Worded):
    """What is kept although it is refused: the answer is an error that names the object."""

    def __init__(self, thing: Noun, code: str, message: str | None = None, **details: str) -> None:
        self.thing = thing
        # Nothing within the request is at fault, so no parameter is named.
        self.error = ApiError(code, message, **cast("dict[str, Any]", details))

    def answer(self, tx: Tx, plan: Plan) -> Answer:  # noqa: ARG002 - an error expands nothing
        """The error."""
        return tx.refused(self.error, self.thing.id)


class Unfinished(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the second commit needs to know of the first; none of it is secret."""

    id: str
    """The object."""
    status: int
    """What is answered where it is finished well."""
    inquiry: msgspec.Raw
    idempotency_key: str | None = None
    request_id: str | None = None
    expand: tuple[str, ...] = ()


class Pending(Worded):
    """What a verb begins, and cannot finish before somebody outside was asked."""

    def __init__(self, thing: Noun, call: Call, inquiry: Call, finish: Callable[..., Any]) -> None:
        """Take the object, what is asked, what asks what became of that, and what finishes it."""
        self.thing = thing
        self._call = call
        self._inquiry = inquiry
        self._finish: Finish = finish.__finish__  # type: ignore[attr-defined]
        self._status: int | None = None

    def within(self, finish: Callable[..., Any], *, status: int | None = None) -> Pending:
        """The same, begun as a part of something greater, which another verb finishes.

        `status` is what is answered then, where it is not that of the object.
        """
        other = Pending(self.thing, self._call, self._inquiry, finish)
        other._status = status
        return other

    def answer(self, tx: Tx, plan: Plan) -> Answer:
        """Nothing yet: the errand that is to be run once this is kept."""
        caller, thing = tx.caller, self.thing
        unfinished = Unfinished(
            id=thing.id,
            status=self._status or (201 if thing.id in tx.added else 200),
            inquiry=msgspec.Raw(msgspec.json.encode(self._inquiry)),
            idempotency_key=caller.idempotency_key,
            request_id=caller.request_id,
            expand=plan.paths,
        )
        name, subject = self._finish.name, self._call.key
        params = msgspec.json.encode(unfinished)
        tx.defer(name, subject, params, at=tx.now + RECOVER_SECONDS)
        job = (caller.account, caller.livemode, name, subject)

        def finishing(heard: Any) -> Command:
            return _command(self._finish, job, unfinished, heard, plan)

        errand = Errand(self._call, job, tx.now, finishing)
        return Answer(RUNNING, b"", thing.id, errand=errand)


def ask_later(tx: Tx, thing: Noun, inquiry: Call, finish: Callable[..., Any]) -> None:
    """Have a job ask, where nobody waits for the answer, and finish the object by what is heard.

    The other side does what it is asked about, if it has not done it before.
    """
    declared: Finish = finish.__finish__  # type: ignore[attr-defined]
    asked = msgspec.Raw(msgspec.json.encode(inquiry))
    params = msgspec.json.encode(Unfinished(id=thing.id, status=200, inquiry=asked))
    tx.defer(declared.name, inquiry.key, params, at=tx.now)


def _command(finish: Finish, job: Key, unfinished: Unfinished, heard: Any, plan: Plan) -> Command:
    """The second commit, made by the process that made the first."""
    account, livemode = job[:2]
    caller = _caller(Caller(account, livemode), unfinished)

    def run(tx: Tx) -> Answer:
        found = tx.job(job)
        if found is None or found.due_at is None:
            raise StillRunning
        given = _settle(tx, finish, unfinished, heard, plan)
        if heard is not Heard.SILENCE:
            tx.change_job(found, due_at=None)
        return given

    def needs(needs: Needs) -> None:
        needs.row(JOB.key, job, lock=True)
        _need(needs, caller, finish, unfinished)

    return Command(caller, run, needs, weight=ROWS_A_FINISH)


def _settle(tx: Tx, finish: Finish, unfinished: Unfinished, heard: Any, plan: Plan) -> Answer:
    """Finish by what was heard, or say since when it is unknown; remember what is answered."""
    thing: Any = tx.lock(finish.noun, unfinished.id)
    if heard is not Heard.SILENCE:
        thing = finish.run(tx, thing, heard)
    elif thing.unknown_since is None:
        thing = tx.change(thing, event=finish.unheard, unknown_since=tx.now)
    if finish.shown is not None and not isinstance(thing, Worded):
        thing = finish.shown(tx, thing)
    given = answer(tx, thing, secret=finish.shown is not None)
    assert given.errand is None, "what finishes a call makes no other"
    if not isinstance(thing, Worded):
        given = given._replace(status=unfinished.status)
        if plan.steps:
            # It differs from its event now, so it is kept by itself.
            given = given._replace(body=_expanded(tx, plan, given.body), event=None)
    if unfinished.idempotency_key is not None:
        tx.answer_later(unfinished.idempotency_key, given, begun=unfinished.id)
    return given


def _expanded(tx: Tx, plan: Plan, body: bytes) -> bytes:
    """An answer expanded, or as it is: too much of that does not undo what was done outside."""
    try:
        return expanded_in(tx, plan, body)
    except ApiError:
        return body


def _need(needs: Needs, caller: Caller, finish: Finish, unfinished: Unfinished) -> None:
    owner = (caller.account, caller.livemode)
    needs.row(finish.noun.__noun__.table.key, (*owner, unfinished.id), lock=True)
    if unfinished.idempotency_key is not None:
        needs.row(ANSWER.key, (*owner, unfinished.idempotency_key), lock=True)
    finish.needs(needs, caller, unfinished.id)


def _caller(caller: Caller, unfinished: Unfinished) -> Caller:
    """Who finishes: whoever asked, without the key's own limits, which the first commit kept to.

    The process that asked and one that recovers it are the same one here.
    """
    cause = {name: getattr(unfinished, name) for name in ("request_id", "idempotency_key")}
    return msgspec.structs.replace(caller, **cause)


def recoveries_of(modules: Sequence[Any], outside: Outside, expander: Expander) -> dict[str, Task]:
    """The tasks that ask what became of calls, for the verbs that modules declare with `finish`."""
    return {found.name: _recovery(found, outside, expander) for found in _finishes(modules)}


def _finishes(modules: Sequence[Any]) -> Iterable[Finish]:
    members = [member for module in modules for member in vars(module).values()]
    found = [getattr(member, "__finish__", None) for member in members]
    return [each for each in found if isinstance(each, Finish)]


def _recovery(finish: Finish, outside: Outside, expander: Expander) -> Task:
    async def ask(unfinished: Unfinished) -> Any:
        return await outside.ask(msgspec.json.decode(unfinished.inquiry, type=finish.inquiry))

    def run(tx: Tx, unfinished: Unfinished, heard: Any) -> None:
        plan = expander.plan(finish.returns or finish.noun, unfinished.expand)
        _settle(tx, finish, unfinished, heard, plan)

    def needs(needs: Needs, caller: Caller, unfinished: Unfinished) -> None:
        _need(needs, caller, finish, unfinished)

    return Task(finish.name, run, Unfinished, needs, ask, _caller)
