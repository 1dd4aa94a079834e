"""The composition: the one module that knows everyone, and puts the product together."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from html import escape
from typing import Any, TypeVar

import msgspec

from commerce import log
from commerce.areas.identity import account, api_key
from commerce.areas.stablecoin import (
    balance,
    batch,
    deposit,
    issuance,
    movement,
    redemption,
    scheduled,
    settlement,
    transaction,
    transfer,
)
from commerce.areas.webhooks import event
from commerce.engine.agenda import JOB
from commerce.engine.answers import ANSWER, Answer
from commerce.engine.command import Command
from commerce.engine.engine import Engine
from commerce.engine.outbox import EVENT
from commerce.engine.overlay import Directory
from commerce.engine.tx import Caller, Means, Tx
from commerce.http import openapi
from commerce.http.asgi import Application, Page
from commerce.http.auth import Authenticator, KeyRing
from commerce.http.idempotency import state_view
from commerce.http.pipeline import Pipeline
from commerce.http.request import Response
from commerce.http.routes import Router
from commerce.jobs.queue import tasks_of
from commerce.jobs.worker import Worker
from commerce.kernel.clock import Clock, SystemClock
from commerce.kernel.errors import ROWS
from commerce.kernel.ids import IdFactory
from commerce.kernel.master_key import MasterKey
from commerce.ledger.account import BALANCE
from commerce.ledger.cap import CAP
from commerce.ledger.directory import ADDRESS
from commerce.ledger.entry import ENTRY, TRANSACTION
from commerce.resource.reading import Reader
from commerce.resource.registry import Registry
from commerce.settings import Settings
from commerce.store.session import Store

MODULES = (
    account,
    api_key,
    event,
    deposit,
    issuance,
    transfer,
    movement,
    batch,
    scheduled,
    redemption,
    settlement,
    transaction,
    balance,
)
TABLES = (ADDRESS, BALANCE, CAP, TRANSACTION, ENTRY, EVENT, ANSWER, JOB)
NETWORKS = {
    "testnet": frozenset({False}),
    "production": frozenset({True}),
    "both": frozenset({False, True}),
}

Result = TypeVar("Result")


class App:
    """One process of the product: an engine, readers, and the HTTP application over them."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        master_key: MasterKey,
        *,
        base_url: str,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        ids = IdFactory(clock.now_ms, secrets.randbits)
        self.store = store
        means = Means(Directory(), lambda: clock.now_ms() // 1000, ids.new, master_key, base_url)
        self.engine = Engine(
            store,
            means,
            lanes=settings.engine_lanes,
            weight_max=settings.batch_weight_max,
        )
        self.reader = Reader(store)
        self.worker = Worker(self.engine, tasks_of(MODULES))
        self.registry = Registry(MODULES, TABLES, [state_view(self.engine)])
        ring = KeyRing(
            api_key.well_formed,
            api_key.hash_of,
            lambda hash_: api_key.principal(self.reader, hash_),
            api_key.refuse_dead,
            api_key.need_caller,
            api_key.check_caller,
        )
        self.authenticator = Authenticator(ring, networks=NETWORKS[settings.network], now=means.now)
        self.engine.announce = self.authenticator.told
        pipeline = Pipeline(
            Router("/v1", self.registry.endpoints()),
            self.authenticator,
            self.engine,
            self.reader,
            settings.body_size_max,
        )
        self.http = Application(
            pipeline,
            self._pages(base_url),
            new_id=lambda: ids.new("req", livemode=True),
            docs_url=base_url,
            log_request=log.request_line,
        )

    @asynccontextmanager
    async def running(self, *, serving: bool = True, working: bool = False) -> AsyncIterator[App]:
        """Run the engine; one that serves requests listens for what other processes announce.

        `working` runs jobs beside them.
        """
        self.engine.start()
        jobs = asyncio.create_task(self.worker.run()) if working else None
        listening = self.store.listen(self.authenticator.told) if serving else nullcontext()
        async with listening:
            try:
                yield self
            finally:
                self.worker.stop()
                if jobs is not None:
                    await jobs
                await self.engine.close()
                await self.store.close()

    async def operate(
        self, verb: Callable[[Tx, Any], Result], params: Any, *, account: str, livemode: bool
    ) -> Result:
        """Run a verb as the operator of this server, on behalf of an account."""
        results: list[Result] = []

        def run(tx: Tx) -> Answer:
            results.append(verb(tx, params))
            return Answer(200, b"")

        caller = Caller(account=account, livemode=livemode, operator=True)
        await self.engine.submit(Command(caller, run, lambda _: None))
        return results[-1]

    def _pages(self, base_url: str) -> dict[str, Page]:
        document = msgspec.json.encode(openapi.document(self.registry, base_url))

        async def healthz() -> Response:
            return Response(200, b'{"status":"ok"}')

        async def readyz() -> Response:
            if await self.store.ready():
                return Response(200, b'{"status":"ready"}')
            return Response(503, b'{"status":"unavailable"}', (("Retry-After", "1"),))

        async def specification() -> Response:
            return Response(200, document)

        async def errors() -> Response:
            return Response(200, _error_page(), content_type="text/html; charset=utf-8")

        return {
            "/healthz": healthz,
            "/readyz": readyz,
            "/openapi.json": specification,
            "/docs/errors": errors,
        }


def _error_page() -> bytes:
    """Every error there is, rendered from the one table."""
    rows = "".join(
        f'<tr id="{row.code}"><td>{row.status}</td><td>{escape(row.type)}</td>'
        f"<td><code>{escape(row.code)}</code></td><td>{escape(row.meaning)}</td></tr>"
        for row in ROWS
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Errors</title>'
        "<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem}"
        "td{border-top:1px solid #ddd;padding:.4rem;vertical-align:top}:target{background:#ffc}"
        f"</style><h1>Errors</h1><table>{rows}</table></html>"
    ).encode()
