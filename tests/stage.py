"""The product over a fresh database, called in this process as a client would call it."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec

from commerce.app import App
from commerce.areas.identity import account, api_key
from commerce.areas.identity.account import Account, Capability, Plan, Verification, main_wallet
from commerce.gateways.cards.notebook import Note
from commerce.gateways.cards.sandbox import Sandbox
from commerce.kernel.clock import FixedClock
from commerce.kernel.master_key import MasterKey
from commerce.ledger.audit import audit
from commerce.ledger.block import Block
from commerce.resource.access import KeyType, Scope
from commerce.resource.event_type import catalogue
from commerce.resource.parameter import Moment
from commerce.settings import Settings
from commerce.store.database import Database
from commerce.store.migrate import migrate

BASE_URL = "https://api.example.com"
NOW = 1_795_435_200
"""Monday, 23 November 2026, 12:00 UTC: a Thanksgiving week."""

Headers = list[tuple[bytes, bytes]]
ISSUER: list[Capability] = ["stablecoin_issuance"]


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        return error


class Party(NamedTuple):
    """An account, and one mode of it to act in."""

    id: str
    livemode: bool
    key: str

    @property
    def wallet(self) -> str:
        return main_wallet(self.id, self.livemode)


class Stage:
    """One app on one database, under a clock that moves when told to."""

    def __init__(self, app: App, url: str, clock: FixedClock) -> None:
        self.app = app
        self.url = url
        self.clock = clock
        self.peer: str | None = None
        """The address that requests come from, as far as the app is told."""
        self._names = itertools.count(1)
        self._connection: asyncpg.Connection[asyncpg.Record]

    async def seal(self) -> list[Block]:
        """Close a block over all that has happened, in each mode where something has."""
        return await self.app.sealer.turn()

    def name(self) -> str:
        """A name not used before on this stage."""
        return f"name-{next(self._names)}"

    # Calls

    async def send(
        self, method: str, raw_path: bytes, headers: Headers, *pieces: bytes, query: bytes = b""
    ) -> Reply:
        """Send a request exactly as given, its body in these pieces."""
        waiting = list(pieces) or [b""]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "client": None if self.peer is None else (self.peer, 50_000),
        }
        await self.app.http(scope, receive, send)
        start, body = sent
        names = [name.decode() for name, _ in start["headers"]]
        assert len(set(names)) == len(names), "a header stands twice"
        shown = {name.decode(): value.decode() for name, value in start["headers"]}
        if start["status"] != 304:
            assert shown["content-length"] == str(len(body["body"])) or method == "HEAD"
        return Reply(start["status"], shown, body["body"])

    async def ask(
        self,
        route: str,
        key: str | None,
        body: Mapping[str, Any] | str | None = None,
        **headers: str,
    ) -> Reply:
        """Call `POST /stablecoin/transfer` with a body; a text is sent as it is."""
        method, _, target = route.partition(" ")
        path, _, query = target.partition("?")
        given: Headers = [(b"host", b"api.example.com")]
        if key is not None:
            given.append((b"authorization", f"Bearer {key}".encode()))
        if body is not None:
            given.append((b"content-type", b"application/json"))
        given += [
            (name.replace("_", "-").lower().encode(), text.encode())
            for name, text in headers.items()
        ]
        text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        raw_path = f"/v1{path}".encode()
        return await self.send(method, raw_path, given, text.encode(), query=query.encode())

    async def get(self, path: str, key: str) -> Any:
        """The object or list at a path, which must be there."""
        reply = await self.ask(f"GET {path}", key)
        assert reply.status == 200, reply.body
        return reply.json

    async def done(self, route: str, key: str, **body: Any) -> dict[str, Any]:
        """Call a verb that must succeed."""
        reply = await self.ask(route, key, body)
        assert reply.status in (200, 201), reply.body
        answer: dict[str, Any] = reply.json
        return answer

    # People and money

    async def open_account(
        self,
        *,
        livemode: bool = False,
        verification: Verification | None = None,
        capabilities: list[Capability] | None = None,
        plan: Plan = "enterprise",
    ) -> Party:
        """A new account with a secret key in one mode, on a plan that limits no test."""
        params = account.CreateAccount(
            plan=plan, verification=verification, capabilities=capabilities or []
        )
        made: Account = await self.app.operate(
            account.create, params, account="", livemode=livemode
        )
        return await self.in_mode(made.id, livemode=livemode)

    async def in_mode(self, account_id: str, *, livemode: bool) -> Party:
        """An account with a new secret key of a mode."""
        key = await self.make_key(Party(account_id, livemode, ""), "secret")
        return Party(account_id, livemode, key)

    async def make_key(
        self,
        party: Party,
        type_: KeyType,
        scopes: Iterable[str] = (),
        expires_at: int | None = None,
    ) -> str:
        """A key of an account, as the command line makes one."""
        params = api_key.CreateApiKey(
            type=type_,
            scopes=msgspec.convert(list(scopes), list[Scope]),
            expires_at=None if expires_at is None else Moment(expires_at),
        )
        made = await self.app.operate(
            api_key.create, params, account=party.id, livemode=party.livemode
        )
        return str(made.secret)

    async def block(self, address: str, *, blocked: bool = True, livemode: bool = False) -> None:
        """Block an address, or let it go."""
        params = account.BlockAddress(address=address, blocked=blocked)
        await self.app.operate(account.block, params, account="", livemode=livemode)

    async def fund(self, wallet: str, amount: str, *, livemode: bool = False) -> None:
        """Mint ssUSD to a wallet, by an issuer of its own; live dollars by an operator, too."""
        issuer = await self.open_account(livemode=livemode, capabilities=ISSUER)
        body: dict[str, Any] = {"recipient": wallet, "amount": amount}
        if livemode:
            operator = await self.open_account(livemode=True, capabilities=["reserves_operator"])
            deposits = "POST /stablecoin/reserves/deposits"
            deposit = await self.done(deposits, issuer.key, amount=amount)
            await self.done(f"{deposits}/{deposit['id']}/verify", operator.key, account=issuer.id)
            body["source"] = {"deposit": deposit["id"]}
        await self.done("POST /stablecoin/issue", issuer.key, reference_id=self.name(), **body)

    async def available(self, party: Party) -> str:
        """What is available in the main wallet."""
        balance = await self.get("/stablecoin/balance", party.key)
        return str(balance["balances"]["available"])

    # What is kept

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the database."""
        return [dict(row) for row in await self._connection.fetch(query, *values)]

    async def dump(self) -> dict[str, tuple[int, str]]:
        """Every table's number of rows and a digest of all that stands in them.

        Jobs that are done are forgotten a moment after the answer, so they are none.
        """
        selects = [
            f"SELECT '{table}' AS name, count(*) AS rows,"
            f" md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) AS digest FROM {table} t"
            + (" WHERE due_at IS NOT NULL" if table == "job" else "")
            for table in self.app.registry.tables
        ]
        found = await self._connection.fetch(" UNION ALL ".join(selects))
        return {row["name"]: (row["rows"], row["digest"]) for row in found}

    async def events(self, party: Party, object_id: str) -> list[dict[str, Any]]:
        """The events of one object, oldest first, as its account reads them."""
        page = await self.get(f"/events?object_id={object_id}&limit=100", party.key)
        return list(reversed(page["data"]))

    async def events_are_declared(self) -> None:
        """See that every event type that was emitted here is in the list that clients read."""
        emitted = {row["type"] for row in await self.rows("SELECT DISTINCT type FROM event")}
        assert emitted - catalogue(self.app.registry.nouns).keys() == set()

    async def entries(self, transaction: str) -> dict[tuple[str, str], int]:
        """What a ledger transaction did, in millionths: debits positive, by owner and code."""
        query = "SELECT account, code, amount FROM ledger_entry WHERE transaction = $1"
        return {
            (row["account"], row["code"].partition("#")[0]): row["amount"]
            for row in await self.rows(query, transaction)
        }

    async def audit(self) -> None:
        """See that every invariant of the ledger holds."""
        report = await audit(self._connection)
        assert report.findings == []
        assert report.entries > 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Stage]:
        """With a connection of its own to the database, beside the app's."""
        self._connection = await asyncpg.connect(self.url)
        try:
            yield self
        finally:
            await self._connection.close()


@asynccontextmanager
async def staged(postgres_url: str) -> AsyncIterator[Stage]:
    """A stage over a database that is dropped afterwards."""
    name = f"stage_{uuid.uuid4().hex}"
    url = postgres_url.replace("/commerce?", f"/{name}?")
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"CREATE DATABASE {name}")
    try:
        connection = await asyncpg.connect(url)
        await migrate(connection)
        await connection.close()
        clock = FixedClock(NOW * 1000)
        settings = Settings(data_dir=Path("nowhere"), network="both")
        app = app_over(url, settings, clock)
        async with app.running(), Stage(app, url, clock).connected() as stage:
            yield stage
            await stage.events_are_declared()
    finally:
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.close()


def app_over(url: str, settings: Settings, clock: FixedClock) -> App:
    """The product as the server makes it, with a clock of ours."""
    master_key = MasterKey.parse("07" * 32)
    cards = Sandbox(Desk(clock))
    database = Database(url, pool_size=2)
    return App(database, settings, master_key, base_url=BASE_URL, clock=clock, cards=cards)


class Desk:
    """A notebook in memory: the processor of live mode is one that moves nothing, too."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self._notes: dict[Any, Note] = {}

    async def read(self, key: Any) -> Note | None:
        return self._notes.get(key)

    async def write(self, note: Note) -> Note:
        return self._notes.setdefault(note.key, note)

    def now(self) -> int:
        return self._clock.now_ms() // 1000
