"""`commerce serve`: the embedded database, the sandbox, the API processes, and a clean end."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import structlog
import uvicorn
import uvloop

from commerce import log
from commerce.app import App
from commerce.areas.identity import account, api_key
from commerce.http.limits.connection import Door, room
from commerce.http.protocol import Connection
from commerce.inspector import inspected
from commerce.installation import (
    SANDBOX_FILE,
    ServerError,
    apply_migrations,
    check_tracing,
    make_app,
    open_tracing,
    public_url,
    running_app,
)
from commerce.meter.board import Board, shared_memory
from commerce.meter.meters import Meters
from commerce.settings import Settings
from commerce.signals import STOP_SIGNALS, Signals
from commerce.store.embedded import EmbeddedPostgres, lock_data_dir
from commerce.watch import UVICORN, watched

SHUTDOWN_SECONDS_MAX = 10
ORPHAN_SECONDS_MAX = 10
WATCH_SECONDS = 0.1
"""How often the parent of several API processes looks after them."""
BACKLOG = 2048
HSTS = ("Strict-Transport-Security", "max-age=31536000")
"""Said where this server itself serves HTTPS: for a year, browsers ask in no other way."""

logger = structlog.get_logger("commerce.server")


def serve(settings: Settings, announce: Any) -> None:
    """Serve until told to stop. Raises `ServerError` and the store's one-line errors."""
    # Told so before there is anything to stop, leave as after an error: PostgreSQL goes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    _check_certificate(settings)
    check_tracing(settings)
    listening = _listen(settings)
    with listening, _database(settings) as url:
        signals = Signals()
        base_url = public_url(settings, listening.getsockname()[1])
        place = _Place(settings, url, base_url, listening)
        with suppress(asyncio.CancelledError):
            uvloop.run(_prepare(place, signals))
        _serve(place, signals, announce)


def _serve(place: _Place, signals: Signals, announce: Any) -> None:
    """Serve what is prepared, unless told to stop meanwhile."""
    if signals.came:
        return
    announce(place.base_url, place.settings)
    if place.settings.workers == 1:
        uvloop.run(_work(place, signals))
    else:
        _supervise(place, signals)


class _Place(NamedTuple):
    """Where a server serves: its settings, its database, its own URL and its port."""

    settings: Settings
    url: str
    base_url: str
    listening: socket.socket


def _listen(settings: Settings) -> socket.socket:
    """The port, opened. Raises `ServerError`.

    API processes of a server that was killed need a moment to notice and leave the port.
    """
    deadline = time.monotonic() + (ORPHAN_SECONDS_MAX if settings.workers > 1 else 0)
    while True:
        try:
            return _bound(settings)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                where = f"{settings.host}:{settings.port}"
                raise ServerError(f"cannot listen on {where}: {error.strerror}") from None
        time.sleep(WATCH_SECONDS)


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _check_certificate(settings: Settings) -> None:
    """See that HTTPS can be served, if it is to be, before anything is begun."""
    if settings.tls_cert is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password of its own OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (OSError, ValueError) as error:
        files = f"{settings.tls_cert} and {settings.tls_key}"
        reason = _certificate_fault(error, settings)
        raise ServerError(f"cannot serve HTTPS with {files}: {reason}") from None


def _certificate_fault(error: Exception, settings: Settings) -> str:
    """What is wrong with a certificate or its key; OpenSSL says so in names of its own."""
    if not isinstance(error, ssl.SSLError):
        return getattr(error, "strerror", None) or "the key needs a password"
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is another certificate's"
    for file, what in ((settings.tls_cert, "CERTIFICATE"), (settings.tls_key, "PRIVATE KEY")):
        assert file is not None
        if f"{what}-----".encode() not in file.read_bytes():
            return f"there is no {what.lower()} in PEM form in {file}"
    return "a certificate or the key is damaged, or the key needs a password"


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """The database's URL; an embedded one runs as long as the server does, and again if it dies."""
    lock = lock_data_dir(settings.data_dir)
    try:
        if settings.database_url is not None:
            yield settings.database_url
            return
        postgres = EmbeddedPostgres.start(settings.data_dir, postgres_user=settings.postgres_user)
        with postgres.kept_alive():
            yield postgres.url
    finally:
        lock.release()


async def _prepare(place: _Place, signals: Signals) -> None:
    """Migrate, and see that the sandbox's file tells the truth; a signal cancels it."""
    settings, url, base_url, _ = place
    with signals.cancelling():
        await apply_migrations(url)
        async with running_app(settings, url, base_url) as app:
            if settings.network != "production":
                await _write_sandbox(app, settings.data_dir / SANDBOX_FILE, base_url)


async def _write_sandbox(app: App, path: Path, base_url: str) -> None:
    sandbox = _read_sandbox(path)
    if sandbox is None or not await _is_known(app, sandbox):
        sandbox = await _make_sandbox(app)
    text = json.dumps({**sandbox, "base_url": base_url}, indent=2)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    temporary.replace(path)


def _read_sandbox(path: Path) -> dict[str, str] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "secret_key" in found else None


async def _is_known(app: App, sandbox: dict[str, str]) -> bool:
    hash_ = api_key.hash_of(str(sandbox["secret_key"]))
    known = await api_key.principal(app.reader, hash_)
    return known is not None and known.status == "active"


async def _make_sandbox(app: App) -> dict[str, str]:
    """An account that may try everything, in test mode."""
    made = await app.operate(
        account.create,
        account.CreateAccount(
            name="Sandbox",
            plan="enterprise",
        ),
        account="",
        livemode=False,
    )
    # In test mode alone: what is a sandbox there is an ordinary account in live mode.
    capable = account.UpdateAccount(
        account=made.id, capabilities=["stablecoin_issuance", "finance_lender"]
    )
    await app.operate(account.update, capable, account=made.id, livemode=False)
    keys = {}
    for type_ in ("secret", "public"):
        params = api_key.CreateApiKey(type=type_, name="Sandbox")
        key = await app.operate(api_key.create, params, account=made.id, livemode=False)
        keys[f"{type_}_key"] = str(key.secret)
    return {"base_url": "", "account": made.id, "wallet": made.wallet, **keys}


def work(settings: Settings, url: str, announce: Callable[[str | None], None]) -> None:
    """Run jobs without serving anything but metrics, until told to stop."""
    check_tracing(settings)
    port = settings.metrics_port
    ours = msgspec.structs.replace(
        settings, port=port or 0, tls_cert=None, workers=1, base_url=None
    )
    listening = None if port is None else _listen(ours)
    signals = Signals()

    async def run() -> None:
        with signals.cancelling(), suppress(asyncio.CancelledError):
            async with (
                running_app(settings, url, settings.base_url or "", working=True) as app,
                watched(app, listening),
                inspected(settings, url, app),
            ):
                at = None if listening is None else listening.getsockname()[1]
                announce(None if at is None else public_url(ours, at))
                await asyncio.Event().wait()
        logger.info("stopped", pid=os.getpid())
        log.write_out()

    uvloop.run(run())


async def _work(
    place: _Place, signals: Signals, board: Board | None = None, parent: int | None = None
) -> None:
    """Serve the API in this process until a signal says stop, or the parent's pipe closes."""
    tracing = open_tracing(place.settings)
    app = make_app(place.settings, place.url, place.base_url, Meters(board), tracing)
    config = uvicorn.Config(
        app.http,
        **(UVICORN | {"http": _protocol(place.settings)}),
        ssl_certfile=place.settings.tls_cert,
        ssl_keyfile=place.settings.tls_key,
        headers=[] if place.settings.tls_cert is None else [HSTS],
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
    )
    async with app.running(working=True), inspected(place.settings, place.url, app):
        _spare_the_collector()
        server = uvicorn.Server(config)
        # uvicorn takes these itself while it serves; one that comes before or after, or that it
        # raises again when it has stopped, is to stop no more than uvicorn.
        for number in STOP_SIGNALS:
            signal.signal(number, server.handle_exit)
        server.should_exit = signals.came
        if parent is not None:
            _stop_without(parent, server)
        await server.serve(sockets=[place.listening])
    logger.info("stopped", pid=os.getpid(), **app.engine.tally.as_dict())
    log.write_out()


def _protocol(settings: Settings) -> type[asyncio.Protocol]:
    """Makes connections, as many as settings and the system let this process hold."""
    # A pool, a session for each lane, and one connection that listens, each with room to reopen.
    ours = 2 * (settings.pool_size + settings.engine_lanes + 1)
    door = Door(
        room(settings.connections_max, ours),
        settings.address_connections_max,
        settings.trusted_proxies,
    )
    return cast("type[asyncio.Protocol]", partial(Connection, door=door))


def _spare_the_collector() -> None:
    """Take what start-up made out of the garbage collector's sight, and let it look less often.

    A request makes next to no cycles; a full collection over all that is cached would hold up
    everyone for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _stop_without(parent: int, server: uvicorn.Server) -> None:
    """Stop when the parent is gone, which closes its end of this pipe however it went.

    Orphans would hold the port, and go on serving beside the next server.
    """
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(parent)
        server.should_exit = True

    loop.add_reader(parent, gone)


def _supervise(place: _Place, signals: Signals) -> None:
    """Run the API processes, start again what dies, and pass on the signal to stop."""
    settings, url, base_url, listening = place
    workers: dict[int, subprocess.Popen[bytes]] = {}
    board = shared_memory(settings.workers)
    # A command line is everybody's to read, and a URL may hold a password: both go unseen.
    ours = msgspec.structs.replace(settings, database_url=url, base_url=base_url)
    environment = {**os.environ, **ours.environment()}
    while not signals.came:
        for row in range(settings.workers):
            worker = workers.get(row)
            if worker is not None and worker.poll() is not None:
                logger.warning("worker_died", pid=worker.pid, status=worker.returncode)
                worker = None
            workers[row] = worker or _start_worker(listening, board, row, environment)
        time.sleep(WATCH_SECONDS)
    _end(workers.values())


def _end(workers: Collection[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.wait(SHUTDOWN_SECONDS_MAX + 2)
        worker.kill()  # That does nothing to one that has ended.


def _start_worker(
    listening: socket.socket, board: int, row: int, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    descriptor = listening.fileno()
    worker = subprocess.Popen(  # noqa: S603 - this program itself
        [sys.executable, "-m", "commerce.server", str(descriptor), str(board), str(row)],
        pass_fds=[descriptor, board],
        stdin=subprocess.PIPE,
        env=environment,
    )
    logger.info("worker_started", pid=worker.pid)
    return worker


def _worker(descriptor: int, board: int, row: int) -> None:
    """One API process of several: on its parent's socket, counting on a row of its board."""
    settings = Settings.load(os.environ)
    assert settings.database_url is not None
    assert settings.base_url is not None
    log.configure(settings.log_level, settings.log_format)
    with socket.socket(fileno=descriptor) as listening:
        place = _Place(settings, settings.database_url, settings.base_url, listening)
        counted = Board(settings.workers, row, board)
        uvloop.run(_work(place, Signals(), counted, parent=sys.stdin.fileno()))


if __name__ == "__main__":
    _worker(*map(int, sys.argv[1:]))
