"""A process that sends parcels: an engine, a courier, a worker, and what can be seen of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec

from commerce.areas.customers import customer
from commerce.engine.answers import Answer, IdempotencyKey
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.outside.call import Outside
from commerce.http.idempotency import KeyState, OneKey, state_view
from commerce.http.pipeline import Wish, _command
from commerce.jobs.worker import Worker
from commerce.kernel.errors import ApiError
from commerce.resource.expansion import Expander
from commerce.resource.outside.pending import RECOVER_SECONDS, recoveries_of
from commerce.resource.reading import Reader, Reading
from tests.engine.world import World
from tests.outside import parcel
from tests.outside.parcel import Parcel, SendParcel

ACCOUNT = "acct_1"
CALLER = Caller(ACCOUNT, livemode=False, request_id="req_1")
EXPANDER = Expander([Parcel, customer.Customer])
DECLARING = SimpleNamespace(deliver=parcel.deliver)


class Scene:
    """One process."""

    def __init__(self, world: World, outside: Outside) -> None:
        self.world = world
        world.engine.outside = outside
        self.worker = Worker(world.engine, recoveries_of([DECLARING], outside, EXPANDER))

    async def send(
        self,
        key: str | None = None,
        recipient: str = "me",
        expand: tuple[str, ...] = (),
        **params: Any,
    ) -> Answer:
        """Send a parcel, as a client asks for it."""
        return await self.world.engine.submit(self.command(key, recipient, expand, **params))

    def command(
        self, key: str | None, recipient: str = "me", expand: tuple[str, ...] = (), **params: Any
    ) -> Command:
        """The same, as the engine gets it."""
        caller = msgspec.structs.replace(CALLER, idempotency_key=key)
        idempotency = None if key is None else IdempotencyKey(key, recipient.encode())
        wish = Wish(EXPANDER.plan(Parcel, expand))
        asked = SendParcel(recipient=recipient, **params)
        operation = cast("Any", parcel.send).__operation__
        return _command(operation, caller, asked, idempotency, self.world.ring, wish)

    async def key(self, key: str) -> KeyState:
        """What is said of a key."""
        reading = Reading(Reader(self.world.store), CALLER, self.world.now())
        found: KeyState = await state_view(self.world.engine)(reading, OneKey(key=key))
        return found

    async def recover(self, seconds: int = RECOVER_SECONDS) -> int:
        """Let time pass, and the worker look; gives how many jobs were due."""
        self.world.clock.advance(seconds)
        return await self.worker.turn()


def read(answer: Answer | BaseException) -> dict[str, Any]:
    """The object, or the error, in an answer."""
    assert isinstance(answer, Answer), answer
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    error: dict[str, Any] | None = found.get("error")
    return found if error is None else error


async def refusal(coroutine: Any) -> str:
    """The code that something is refused with."""
    try:
        await coroutine
    except ApiError as error:
        return error.code
    raise AssertionError("nobody refused it")
