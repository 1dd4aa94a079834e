"""A noun that only tests know, sent by a courier outside, and the courier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import asyncpg

from commerce.areas.customers.customer import Customer
from commerce.engine.outside.call import Call, Heard, Outside
from commerce.engine.tx import Tx
from commerce.kernel.lifecycle import Lifecycle
from commerce.resource.noun import Noun, Time, noun
from commerce.resource.operation import Params, operation
from commerce.resource.outside.pending import Declined, Pending, finish
from commerce.resource.ref import Ref

SECRET = "4242424242424242"
"""What a call holds that may be kept nowhere."""
REFUSED = "refused"
MIGRATION = """
    CREATE TABLE parcel (
        account text COLLATE "C" NOT NULL, livemode boolean NOT NULL, id text COLLATE "C" NOT NULL,
        version bigint NOT NULL, created bigint NOT NULL, metadata jsonb NOT NULL,
        recipient text COLLATE "C" NOT NULL, customer text COLLATE "C",
        status text COLLATE "C" NOT NULL, tracking text COLLATE "C",
        failure_code text COLLATE "C", unknown_since bigint,
        PRIMARY KEY (account, livemode, id));
    CREATE TABLE courier (key text PRIMARY KEY, said text NOT NULL, times bigint NOT NULL);"""


@noun(prefix="par", rank=9000, path="parcels", scope="orders:read")
class Parcel(Noun, tag="parcel", frozen=True, kw_only=True):
    """Something that a courier takes."""

    lifecycle: ClassVar = Lifecycle(
        "parcel",
        """
        processing send sent
        processing fail failed
        """,
    )
    recipient: str
    """Where it goes."""
    customer: Ref[Customer] | None = None
    """Who ordered it."""
    status: Literal["processing", "sent", "failed"]
    """How far it has come."""
    tracking: str | None = None
    """What the courier calls it."""
    failure_code: str | None = None
    """Why it was not sent."""
    unknown_since: Time | None = None
    """Since when nobody knows."""


class SendParcel(Params, frozen=True, kw_only=True):
    """A parcel to be sent."""

    recipient: str
    """Where it goes."""
    customer: str | None = None
    """Who ordered it."""
    secret: str = SECRET
    """What the courier is shown, and nobody else."""


class Dispatch(Call, frozen=True, kw_only=True):
    """Take a parcel."""

    recipient: str
    secret: str


class Trace(Call, frozen=True, kw_only=True):
    """What became of a parcel?"""


class Taken(NamedTuple):
    """The courier has it, or will not have it."""

    tracking: str


@operation(Parcel, "POST /parcels", scope="orders:write", params=SendParcel)
def send(tx: Tx, params: SendParcel) -> Pending:
    """Send a parcel."""
    parcel = tx.add(
        Parcel(
            id=tx.new_id("par"),
            livemode=tx.caller.livemode,
            created=tx.now,
            recipient=params.recipient,
            customer=params.customer,  # type: ignore[arg-type]
            status="processing",
        )
    )
    account, livemode, key = tx.caller.account, parcel.livemode, parcel.id
    trace = Trace(account=account, livemode=livemode, key=key)
    dispatch = Dispatch(
        account=account,
        livemode=livemode,
        key=key,
        recipient=params.recipient,
        secret=params.secret,
    )
    return Pending(parcel, dispatch, trace, deliver)


@finish("parcel.deliver", Parcel, inquiry=Trace)
def deliver(tx: Tx, parcel: Parcel, heard: Taken | Heard) -> Parcel | Declined:
    """What the courier said."""
    if isinstance(heard, Taken) and heard.tracking != REFUSED:
        return tx.advance(parcel, "send", tracking=heard.tracking, unknown_since=None)
    code = "card_declined" if isinstance(heard, Taken) else "processing_error"
    failed = tx.advance(parcel, "fail", failure_code=code, unknown_since=None)
    return Declined(failed, code, parcel=failed.id)


class Courier(Protocol):
    """The other side: it takes what it sees under a key once, and remembers."""

    async def dispatch(self, call: Dispatch) -> Taken:
        """Take a parcel."""

    async def trace(self, call: Trace) -> Taken | Heard:
        """Say what became of one; what is not known by then is not taken any more."""


Hook = Callable[[str], Awaitable[None]]


async def _no_hook(_: str) -> None:
    """Nothing happens."""


class Office:
    """A courier in memory."""

    def __init__(self) -> None:
        self.took: dict[str, str] = {}
        self.asked: list[str] = []
        self.seen: list[Dispatch] = []
        self.hook: Hook = _no_hook
        """Called before and after each thing is done: it may wait, or raise."""

    async def dispatch(self, call: Dispatch) -> Taken:
        await self.hook("before")
        self.seen.append(call)
        said = self.took.setdefault(call.key, _said(call))
        if said == "absent":
            raise ConnectionError("too late")
        await self.hook("after")
        return Taken(said)

    async def trace(self, call: Trace) -> Taken | Heard:
        self.asked.append(call.key)
        await self.hook("trace")
        said = self.took.setdefault(call.key, "absent")
        return Heard.ABSENT if said == "absent" else Taken(said)


class Branch:
    """A courier that remembers in a database, whatever dies on our side."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def dispatch(self, call: Dispatch) -> Taken:
        await self._run(
            "INSERT INTO courier VALUES ($1, $2, 1) ON CONFLICT (key)"
            " DO UPDATE SET times = courier.times + 1",
            call.key,
            _said(call),
        )
        said = await self._run("SELECT said FROM courier WHERE key = $1", call.key)
        return Taken(said)

    async def trace(self, call: Trace) -> Taken | Heard:
        said = await self._run("SELECT said FROM courier WHERE key = $1", call.key)
        return Heard.ABSENT if said is None else Taken(said)

    async def _run(self, statement: str, *values: str) -> Any:
        connection = await asyncpg.connect(self._url)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()


def _said(call: Dispatch) -> str:
    return REFUSED if call.recipient.startswith("nobody") else f"track-{call.recipient}"


def outside(courier: Courier, *, seconds_max: float = 5.0) -> Outside:
    """The world of these tests: a courier."""
    ways: dict[type[Call], Any] = {Dispatch: courier.dispatch, Trace: courier.trace}
    return Outside(ways, seconds_max=seconds_max)


class Stop:
    """Holds the courier at a point, until it is let go."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._arrived, self._free = asyncio.Event(), asyncio.Event()

    async def __call__(self, point: str) -> None:
        """Be held, if this is where."""
        if point == self._point:
            self._arrived.set()
            await self._free.wait()

    async def arrived(self) -> None:
        """Wait until somebody is held."""
        await self._arrived.wait()

    def release(self) -> None:
        """Let everybody go."""
        self._free.set()
