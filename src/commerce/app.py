"""The composition: the one module that knows everyone, and puts the product together."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import msgspec

from commerce import log
from commerce.areas import orders
from commerce.areas.catalog import adjustment, offer, product
from commerce.areas.customers import customer
from commerce.areas.identity import account, api_key, connected, expiry
from commerce.areas.payments import (
    creation,
    escrow,
    payer,
    payment,
    receipt,
    refund,
    repayment,
)
from commerce.areas.payments.card import charging, later, method, reversal, sample, settling, token
from commerce.areas.payments.dispute import closing, dispute
from commerce.areas.payments.funds import balance as funds
from commerce.areas.payments.funds import history, payout
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
from commerce.areas.stablecoin.chain import block, proof, violation
from commerce.areas.webhooks import event
from commerce.engine.agenda import JOB
from commerce.engine.answers import ANSWER, Answer
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.engine import Engine
from commerce.engine.outbox import EVENT
from commerce.engine.outside.call import Outside
from commerce.engine.overlay import Directory
from commerce.engine.sealer import Sealer
from commerce.engine.tx import Means, Tx
from commerce.gateways.cards.notebook import TEST_CALL, StoredNotebook
from commerce.gateways.cards.port import Gateway, ways
from commerce.gateways.cards.sandbox import Sandbox
from commerce.handbook import Handbook, client
from commerce.http.acting import Connections
from commerce.http.asgi import METRICS, PREFLIGHT, RECEIPTS, Application, Page, page_operation
from commerce.http.auth import Authenticator, KeyRing
from commerce.http.idempotency import state_view
from commerce.http.limits.account import OWN_LIMITS, PLANS, Limiter, Limits
from commerce.http.limits.address import Addresses
from commerce.http.pipeline import Pipeline
from commerce.http.request import Response
from commerce.http.routes import Router
from commerce.jobs.purge import Purge
from commerce.jobs.queue import tasks_of
from commerce.jobs.worker import Worker
from commerce.kernel.clock import Clock, FixedClock, SystemClock
from commerce.kernel.errors import ApiError
from commerce.kernel.ids import IdFactory
from commerce.kernel.master_key import BYTES as KEY_BYTES
from commerce.kernel.master_key import MasterKey
from commerce.kernel.network import Networks
from commerce.ledger.account import BALANCE
from commerce.ledger.block import BLOCK
from commerce.ledger.cap import CAP
from commerce.ledger.directory import ADDRESS
from commerce.ledger.entry import ENTRY, TRANSACTION
from commerce.meter.meters import Meters
from commerce.resource.composition.follower import followers_of
from commerce.resource.example import fixtures_of
from commerce.resource.expansion import Expander
from commerce.resource.outside.pending import recoveries_of
from commerce.resource.reading import Reader
from commerce.resource.registry import Registry
from commerce.resource.rehearsal import Rehearsal, Shown, Wallets
from commerce.settings import Settings
from commerce.store.memory import Memory
from commerce.store.session import Store
from commerce.telemetry.facts import scrape_of
from commerce.telemetry.readiness import Readiness
from commerce.telemetry.request import RequestMeter
from commerce.telemetry.scrape import CONTENT_TYPE
from commerce.web import receipt as receipt_page
from commerce.web.page import HEADERS

if TYPE_CHECKING:
    from commerce.telemetry.tracing import Tracing

MODULES = (
    *(account, connected, api_key, expiry),
    event,
    customer,
    *(product, offer, adjustment),
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
    block,
    proof,
    violation,
    *(payment, creation, payer, escrow, refund, repayment),
    *(token, method, sample, charging, later, settling, reversal),
    *(dispute, closing, funds, history, payout),
    *orders.MODULES,
)
TABLES = (
    *(ADDRESS, BALANCE, CAP, TRANSACTION, ENTRY, BLOCK),
    *(EVENT, ANSWER, JOB, deposit.BANK_PAYMENT, TEST_CALL, orders.DRAFT),
)
WATCHED = ("/healthz", "/readyz", METRICS)
NETWORKS = {
    "testnet": frozenset({False}),
    "production": frozenset({True}),
    "both": frozenset({False, True}),
}

REHEARSED_MS = 1_793_620_800_000
"""When the examples of the reference take place: 2 November 2026, 12:00 UTC, a Monday."""
EVERY_CAPABILITY: list[account.Capability] = list(get_args(account.Capability))

Result = TypeVar("Result")


class App:
    """One process of the product: an engine, readers, and the HTTP application over them.

    `cards` is the processor of live mode, if there is one.
    """

    def __init__(  # noqa: PLR0913 - what the product is made of
        self,
        store: Store,
        settings: Settings,
        master_key: MasterKey,
        *,
        base_url: str,
        clock: Clock | None = None,
        randbits: Callable[[int], int] = secrets.randbits,
        meters: Meters | None = None,
        tracing: Tracing | None = None,
        cards: Gateway | None = None,
    ) -> None:
        clock = clock or SystemClock()
        ids = IdFactory(clock.now_ms, randbits)
        self.store = store
        meters = meters or Meters()
        means = _means(settings, clock, ids, master_key, base_url)
        self.engine = Engine(
            store,
            means,
            lanes=settings.engine_lanes,
            weight_max=settings.batch_weight_max,
            meters=meters,
        )
        self._cards = cards
        self.engine.outside = Outside(ways(Sandbox(StoredNotebook(self.engine)), cards))
        self.tracing = tracing
        self.engine.traced = None if tracing is None else tracing.tried
        self.reader = Reader(store)
        self.sealer = Sealer(store, means.now, sorted(NETWORKS[settings.network]))
        self.purge = Purge(store, means.now)
        self.registry = Registry(MODULES, TABLES, [state_view(self.engine)])
        expander = Expander(self.registry.nouns)
        self.worker = self._worker(expander, meters)
        ring = self._key_ring()
        self.authenticator = Authenticator(ring, networks=NETWORKS[settings.network], now=means.now)
        limited = settings.rate_limits == "on"
        self.limiter = Limiter(store, self._limits) if limited else None
        self.engine.announce = self._told
        self.handbook = Handbook(
            self.registry, base_url, settings, lambda: _rehearse(settings, base_url)
        )
        self.scrape = scrape_of(meters, self.worker, self.sealer, settings.data_dir)
        addresses = Addresses(settings.address_rate) if limited else None
        self._pipeline = Pipeline(
            Router("/v1", self.registry.endpoints()),
            self.authenticator,
            self.engine,
            self.reader,
            settings.body_size_max,
            self.limiter,
            addresses,
            Connections(lambda *account_: account.parent_of(self.reader, *account_)),
            expander,
        )
        self._application = partial(
            Application,
            new_id=lambda: ids.new("req", livemode=True),
            docs_url=base_url,
            log_request=log.request_line,
            answered=self._request_meter(meters).answered,
            watchers=settings.metrics_networks,
            tracing=tracing,
            proxies=settings.trusted_proxies or Networks(),
            cors_origins=settings.cors_origins,
            addresses=addresses,
        )
        self.http = self._application(self._pipeline, self._pages(), receipt=self._receipt)

    def _worker(self, expander: Expander, meters: Meters) -> Worker:
        recoveries = recoveries_of(MODULES, self.engine.outside, expander)
        return Worker(self.engine, {**tasks_of(MODULES), **recoveries}, meters)

    def _key_ring(self) -> KeyRing:
        return KeyRing(
            api_key.well_formed,
            api_key.hash_of,
            lambda hash_: api_key.principal(self.reader, hash_),
            api_key.refuse_dead,
            api_key.need_caller,
            api_key.check_caller,
        )

    def _request_meter(self, meters: Meters) -> RequestMeter:
        names = [endpoint.name for endpoint, _ in self.registry.endpoints()]
        pages = map(page_operation, (*self._pages(), RECEIPTS))
        return RequestMeter(meters, [*names, *pages, PREFLIGHT], (*PLANS, OWN_LIMITS))

    def watched(self) -> Application:
        """What a process serves that runs jobs alone: its health and its metrics."""
        nothing = self._pipeline._replace(router=Router("/v1", []))
        pages = self._pages()
        return self._application(nothing, {path: pages[path] for path in WATCHED})

    @asynccontextmanager
    async def running(self, *, serving: bool = True, working: bool = False) -> AsyncIterator[App]:
        """Run the engine; one that serves requests listens for what other processes announce.

        `working` runs jobs, closes blocks and forgets what is too old beside them.
        """
        self.engine.start()
        beside = (self.worker, self.sealer, self.purge) if working else ()
        tasks = [asyncio.create_task(each.run()) for each in beside]
        listening = self.store.listen(self._told) if serving else nullcontext()
        async with listening:
            try:
                yield self
            finally:
                for each in beside:
                    each.stop()
                await asyncio.gather(*tasks)
                await self.engine.close()
                if self._cards is not None:
                    await self._cards.close()
                if self.limiter is not None:
                    await self.limiter.close()
                await self.store.close()
                if self.tracing is not None:
                    await self.tracing.close()

    def _told(self, announcement: str | None) -> None:
        """Pass on that something has changed which is remembered here."""
        self.authenticator.told(announcement)
        if self.limiter is not None:
            self.limiter.told(announcement)

    async def _limits(self, account_id: str, livemode: bool) -> Limits:
        """The limits of an account: its own, or its plan's."""
        found = await account.find(self.reader, account_id, livemode)
        assert found is not None, "a key without an account"
        own = found.rate_limit
        return PLANS[found.plan] if own is None else Limits(own.rate, own.burst, own.daily)

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

    async def _receipt(self, token: str) -> Response:
        """The page of a receipt. Raises `route_missing` for an address that is none's."""
        fingerprint = partial(self.engine.means.master_key.fingerprint, "terms")
        paid = await receipt.find(self.reader, fingerprint, token)
        if paid is None:
            raise ApiError("route_missing", "There is no such receipt.")
        body = receipt_page.page(**receipt.told(paid))
        return Response(200, body, HEADERS, content_type="text/html; charset=utf-8")

    def _pages(self) -> dict[str, Page]:
        async def healthz() -> Response:
            return Response(200, b'{"status":"ok"}')

        readiness = Readiness(self.store)

        async def readyz() -> Response:
            if await readiness.known():
                return Response(200, b'{"status":"ready"}')
            return Response(503, b'{"status":"unavailable"}', (("Retry-After", "1"),))

        async def metrics() -> Response:
            return Response(200, await self.scrape.text(), content_type=CONTENT_TYPE)

        async def specification() -> Response:
            return Response(200, await self.handbook.document())

        def reading(path: str) -> Page:
            async def page() -> Response:
                found = (await self.handbook.pages())[path]
                return Response(200, found, HEADERS, content_type="text/html; charset=utf-8")

            return page

        return {
            "/healthz": healthz,
            "/readyz": readyz,
            METRICS: metrics,
            "/openapi.json": specification,
            "/docs/": reading("/docs"),
            **{path: reading(path) for path in self.handbook.paths()},
        }


def _means(
    settings: Settings, clock: Clock, ids: IdFactory, master_key: MasterKey, base_url: str
) -> Means:
    """What verbs work with: what the settings say, and what areas declare for each other."""
    return Means(
        Directory(),
        lambda: clock.now_ms() // 1000,
        ids.new,
        master_key,
        base_url,
        fixtures_of(MODULES),
        followers_of(MODULES),
        settings.settlement_days,
        settings.order_expiry_hours,
        settings.order_completion_days,
        settings.order_dispute_days,
    )


async def _rehearse(settings: Settings, base_url: str) -> dict[str, Shown]:
    """Run every operation's example on a product in memory, whose data nobody else sees.

    Its clock and its ids are the same every time, and so are the examples.
    """
    ours = msgspec.structs.replace(settings, network="testnet")
    app = App(
        Memory(),
        ours,
        MasterKey(bytes(KEY_BYTES)),
        base_url=base_url,
        clock=FixedClock(REHEARSED_MS),
        randbits=random.Random(1).getrandbits,  # noqa: S311 - examples are to be the same
    )
    async with app.running(serving=False):
        made = [
            await app.operate(
                account.create,
                account.CreateAccount(name=name, plan="enterprise", capabilities=capabilities),
                account="",
                livemode=False,
            )
            for name, capabilities in (("Example Inc.", EVERY_CAPABILITY), ("Other Inc.", []))
        ]
        params = api_key.CreateApiKey(type="secret", name="Example")
        key = await app.operate(api_key.create, params, account=made[0].id, livemode=False)
        ask = client(app.http, str(key.secret))

        async def ask_sealed(*request: Any) -> tuple[int, Any]:
            await app.sealer.turn()
            return await ask(*request)

        wallets = Wallets(*(each.wallet for each in made))
        return await Rehearsal(app.registry, ask_sealed, wallets).run()
