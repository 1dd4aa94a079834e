"""Ladders: a verb's guards in their order of precedence, each shown to come before the next."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.stage import Stage


class Rung(NamedTuple):
    """A change to the request, and the refusal that the request then meets.

    Changes add up. Each request still has the faults that later rungs mend, so a guard that
    came too late or too early would answer in another's place. `...` leaves a member out.
    """

    change: dict[str, Any]
    status: int
    code: str
    param: str | None = None
    says: str = ""


async def climb(stage: Stage, route: str, key: str, *rungs: Rung) -> None:
    """Send each rung's request and see that it is refused so, and that nothing is left behind."""
    before = await stage.dump()
    body: dict[str, Any] = {}
    for number, rung in enumerate(rungs, 1):
        body = {name: value for name, value in (body | rung.change).items() if value is not ...}
        reply = await stage.ask(route, key, body)
        assert reply.status >= 400, f"rung {number} was let through: {reply.body!r}"
        error = reply.error
        met = (reply.status, error["code"], error["param"])
        assert met == (rung.status, rung.code, rung.param), f"rung {number}: {error}"
        assert rung.says in error["message"], f"rung {number}: {error}"
    assert await stage.dump() == before


async def refused(  # noqa: PLR0913, PLR0917 - all that a refused request consists of
    stage: Stage, route: str, key: str, body: dict[str, Any], status: int, code: str, says: str = ""
) -> None:
    """See that one request is refused so, and that nothing is left behind."""
    before = await stage.dump()
    reply = await stage.ask(route, key, body)
    assert reply.status >= 400, reply.body
    assert (reply.status, reply.error["code"]) == (status, code), reply.error
    assert says in reply.error["message"]
    assert await stage.dump() == before
