"""What `serve` and the commands beside it share: the database, its schema and its master key."""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from commerce.app import App
from commerce.gateways.cards.port import Gateway
from commerce.handbook import Handbook
from commerce.kernel.master_key import MasterKey
from commerce.meter.meters import Meters
from commerce.settings import KEY_FILE, Settings, load_master_key
from commerce.store import key_check
from commerce.store.database import Database
from commerce.store.embedded import running_url
from commerce.store.memory import Memory
from commerce.store.migrate import migrate, pending

if TYPE_CHECKING:
    from commerce.telemetry.tracing import Tracing

TRACING = "commerce.telemetry.tracing"
"""Imported where something is traced, and nowhere else: its libraries need not be there."""
CONNECT_TIMEOUT_SECONDS = 10
STRIPE = "commerce.gateways.cards.stripe_gateway"
"""Imported where cards are taken by it: its library takes a second to be read."""
POSTGRES_MIN = 18
SANDBOX_FILE = "sandbox.json"
"""Where the sandbox account and its keys are told of in the data folder."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
"""Hosts that stand for every address of the machine, and its loopback address of that kind."""
OTHERWISE = "or what it sealed stays closed"
DATABASE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class ServerError(Exception):
    """The server, or a command beside it, cannot work; the message is one line for the user."""


def database_url(settings: Settings) -> str:
    """The database of a server that may be running; raises `ServerError` if there is none."""
    url = settings.database_url or running_url(settings.data_dir)
    if url is None:
        raise ServerError(f"no server is running on {settings.data_dir}; start it first")
    return url


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A plain connection. Raises `ServerError` for whatever the database has to say against it."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_SECONDS)
    except ValueError:
        # What is wrong with it might show a part of the password.
        raise ServerError("COMMERCE_DATABASE_URL is no URL of a PostgreSQL database") from None
    except DATABASE_ERRORS as error:
        raise ServerError(f"cannot reach the database: {_reason(error)}") from None
    try:
        yield connection
    except DATABASE_ERRORS as error:
        raise ServerError(f"cannot use the database: {_reason(error)}") from None
    finally:
        await connection.close()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


async def apply_migrations(url: str, *, check: bool = False) -> list[str]:
    """Apply the migrations that wait (or only name them). Raises `MigrationError`."""
    async with connected(url) as connection:
        return await (pending(connection) if check else migrate(connection))


@asynccontextmanager
async def running_app(
    settings: Settings, url: str, base_url: str, *, working: bool = False
) -> AsyncIterator[App]:
    """The product, running over a database that has our schema and knows our master key.

    Raises `ServerError` where it has not, or knows another.
    """
    async with connected(url) as connection:
        await check_server(connection)
        waiting = await pending(connection)
        if waiting:
            raise ServerError(f"the database lacks {waiting[0]}: run `commerce migrate`")
        await check_master_key(settings, connection)
    tracing = open_tracing(settings) if working else None
    app = make_app(settings, url, base_url, tracing=tracing)
    async with app.running(serving=False, working=working):
        yield app


async def check_server(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Refuse a PostgreSQL that could not keep what it is told."""
    version = connection.get_server_version()
    if version.major < POSTGRES_MIN:
        raise ServerError(f"PostgreSQL {POSTGRES_MIN} is needed; this is {version.major}")
    encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise ServerError(f"the database's encoding is {encoding}; it must be UTF8")


async def check_master_key(
    settings: Settings, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Refuse another master key than the database's: it would open none of what was sealed."""
    path = settings.data_dir / KEY_FILE
    # A new key is for a new database; beside an old one it would only take the old key's place.
    if lacks_key(settings) and await key_check.is_claimed(connection):
        raise ServerError(f"the master key {path} is missing: put it back, {OTHERWISE}")
    master_key = load_master_key(settings.data_dir, settings.master_key)
    if not await key_check.claim(connection, database_fingerprint(master_key)):
        where = path if settings.master_key is None else "COMMERCE_MASTER_KEY"
        raise ServerError(f"{where} is not this database's master key: put that back, {OTHERWISE}")


def database_fingerprint(master_key: MasterKey) -> bytes:
    """What a database remembers its master key by."""
    return master_key.fingerprint("database", b"")


def lacks_key(settings: Settings) -> bool:
    """Whether no master key is configured, and none is kept in the data folder."""
    return settings.master_key is None and not os.path.lexists(settings.data_dir / KEY_FILE)


def handbook(settings: Settings) -> Handbook:
    """The reference of a server with these settings; it needs no database."""
    base_url = public_url(settings, settings.port)
    return App(Memory(), settings, MasterKey.generate(), base_url=base_url).handbook


def public_url(settings: Settings, port: int) -> str:
    """The URL that is published: the one that is set, or where this machine reaches the server.

    Who listens on every address names none that a client could connect to: it is the loopback
    one then.
    """
    if settings.base_url is not None:
        return settings.base_url
    scheme = "http" if settings.tls_cert is None else "https"
    host = EVERYWHERE.get(settings.host, settings.host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def make_app(
    settings: Settings,
    url: str,
    base_url: str,
    meters: Meters | None = None,
    tracing: Tracing | None = None,
) -> App:
    """The product over a database."""
    master_key = load_master_key(settings.data_dir, settings.master_key)
    meters = meters or Meters()
    database = Database(url, pool_size=settings.pool_size, meters=meters)
    return App(
        database,
        settings,
        master_key,
        base_url=base_url,
        meters=meters,
        tracing=tracing,
        cards=_live_cards(settings),
    )


def _live_cards(settings: Settings) -> Gateway | None:
    """The processor of live mode, where one is set up."""
    if settings.stripe_key is None:
        return None
    gateway: Gateway = importlib.import_module(STRIPE).StripeGateway.to(settings.stripe_key)
    return gateway


def check_tracing(settings: Settings) -> None:
    """See that what is to be traced can be. Raises `ServerError`."""
    if settings.otlp_endpoint is None:
        return
    try:
        importlib.import_module(TRACING)
    except ImportError:
        needed = "pip install 'commerce-network[tracing]'"
        raise ServerError(f"COMMERCE_OTLP_ENDPOINT needs OpenTelemetry: {needed}") from None


def open_tracing(settings: Settings) -> Tracing | None:
    """Traces, where there is an endpoint to send them to."""
    if settings.otlp_endpoint is None:
        return None
    tracing: Tracing = importlib.import_module(TRACING).Tracing.to(settings.otlp_endpoint)
    return tracing
