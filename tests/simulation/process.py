"""One process of the product on a shared store: it can be called, put to work, and killed."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from commerce.app import MODULES, NETWORKS, TABLES
from commerce.areas.identity import account, api_key
from commerce.engine.answers import Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.engine import Engine
from commerce.engine.overlay import Directory
from commerce.engine.sealer import Sealer
from commerce.engine.tx import Means, Tx
from commerce.http.acting import Connections
from commerce.http.auth import Authenticator, KeyRing
from commerce.http.pipeline import Pipeline
from commerce.http.request import Request
from commerce.http.routes import Router
from commerce.jobs.purge import Purge
from commerce.jobs.queue import tasks_of
from commerce.jobs.worker import Worker
from commerce.kernel.errors import ApiError
from commerce.kernel.ids import IdFactory
from commerce.kernel.master_key import MasterKey
from commerce.resource.expansion import Expander
from commerce.resource.reading import Reader
from commerce.resource.registry import Registry
from commerce.store.session import StoreUnavailable
from tests.simulation.store import RUNNING, WatchedMemory, WatchedSession

BODY_SIZE_MAX = 1 << 20
DOCS_URL = "https://api.example.com"
MASTER_KEY = MasterKey.parse("07" * 32)

Verb = Callable[[Tx, Any], Any]


class Reply(NamedTuple):
    """What a client is answered."""

    status: int
    body: bytes
    replayed: bool = False


@lru_cache(1)
def _surface() -> tuple[Registry, Router]:
    """What every process serves. It knows no engine, so all of them share it."""
    registry = Registry(MODULES, TABLES, [])
    return registry, Router("/v1", registry.endpoints())


class Process:
    """An engine, a worker and the journey of a request, put together as the product does it."""

    def __init__(  # noqa: PLR0913 - called by keyword where it is not plain
        self,
        number: int,
        store: WatchedMemory,
        now_ms: Callable[[], int],
        randbits: Callable[[int], int],
        *,
        lanes: int,
        weight_max: int,
    ) -> None:
        self.number = number
        self.dead = False
        self.sessions: list[WatchedSession] = []
        self.faults: list[Any] = []
        self._store = store
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._context = contextvars.copy_context()
        self._context.run(RUNNING.set, self)
        ids = IdFactory(now_ms, randbits)
        means = Means(Directory(), lambda: now_ms() // 1000, ids.new, MASTER_KEY, DOCS_URL)
        self.engine = Engine(store, means, lanes=lanes, weight_max=weight_max)
        self.worker = Worker(self.engine, tasks_of(MODULES))
        self.purge = Purge(store, means.now)
        self.sealer = Sealer(store, means.now, [False, True])
        self.sealing = asyncio.Lock()
        """A sealer closes one block after the other."""
        self.pipeline = self._pipeline(means)
        self.engine.announce = self.pipeline.authenticator.told
        store.told.append(self.pipeline.authenticator.told)
        self._context.run(self.engine.start)

    def _pipeline(self, means: Means) -> Pipeline:
        reader = Reader(self._store)
        ring = KeyRing(
            api_key.well_formed,
            api_key.hash_of,
            lambda hash_: api_key.principal(reader, hash_),
            api_key.refuse_dead,
            api_key.need_caller,
            api_key.check_caller,
        )
        registry, router = _surface()
        return Pipeline(
            router,
            Authenticator(ring, networks=NETWORKS["both"], now=means.now),
            self.engine,
            reader,
            BODY_SIZE_MAX,
            None,
            None,
            Connections(lambda *account_: account.parent_of(reader, *account_)),
            Expander(registry.nouns),
        )

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something in this process, until it is done or the process dies."""
        task = self._context.run(asyncio.ensure_future, coroutine)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    async def ask(  # noqa: PLR0913, PLR0917 - all that a request consists of
        self,
        id_: str,
        method: str,
        path: str,
        secret: str,
        body: Mapping[str, Any] | None,
        key: str | None,
        acting: str | None,
    ) -> Reply:
        """Call `POST /stablecoin/transfer` as a client does; anything that fails is an answer."""
        headers = {b"authorization": f"Bearer {secret}".encode()}
        if key is not None:
            headers[b"idempotency-key"] = key.encode()
        if acting is not None:
            headers[b"x-account-id"] = acting.encode()
        text = b""
        if body is not None:
            headers[b"content-type"] = b"application/json"
            text = msgspec.json.encode(body)
        request = Request(
            id=id_,
            method=method,
            path=f"/v1{path}",
            query=b"",
            headers=headers,
            receive=_nobody,
            whole=text,
        )
        try:
            response = await self.pipeline.run(request)
        except StoreUnavailable:
            return _refused(id_, ApiError("unavailable"))
        except ApiError as error:
            return _refused(id_, error)
        except Exception as error:  # noqa: BLE001 - as the server does: 500, whatever it was
            return Reply(500, f"{type(error).__name__}: {error}".encode())
        replayed = ("Idempotent-Replayed", "true") in response.headers
        return Reply(response.status, response.body, replayed)

    async def operate(self, verb: Verb, params: Any, account_id: str, *, livemode: bool) -> Any:
        """Run a verb as the operator of the server. Raises `ApiError`."""
        results: list[Any] = []

        def run(tx: Tx) -> Answer:
            results.append(verb(tx, params))
            return Answer(200, b"")

        caller = Caller(account_id, livemode=livemode, operator=True)
        await self.engine.submit(Command(caller, run, lambda _: None))
        return results[-1]

    def die(self) -> None:
        """End here and now: nobody is answered, and nothing that was not committed is kept."""
        self.dead = True
        self._store.told.remove(self.pipeline.authenticator.told)
        for session in self.sessions:
            session.die()
        for task in [*self.engine._tasks, *self._tasks]:
            task.cancel()

    async def close(self) -> None:
        """End in good order."""
        self._store.told.remove(self.pipeline.authenticator.told)
        await self.engine.close()
        await self.sealer._hang_up()


async def _nobody() -> dict[str, Any]:
    raise AssertionError("the whole body was there")


def _refused(id_: str, error: ApiError) -> Reply:
    return Reply(error.status, msgspec.json.encode(error.body(id_, DOCS_URL)))
