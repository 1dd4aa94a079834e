"""The command line: `commerce serve`, and what an operator does beside a running server."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from commerce import __version__, log
from commerce.command import account, address, backup, key
from commerce.command.terminal import AsJson, DataDir, print_table, progress, read_settings
from commerce.handbook import write_pages
from commerce.installation import (
    EVERYWHERE,
    SANDBOX_FILE,
    ServerError,
    apply_migrations,
    connected,
    database_url,
    handbook,
)
from commerce.kernel.errors import ApiError
from commerce.kernel.version import API_VERSION
from commerce.ledger.audit import audit
from commerce.server import serve, work
from commerce.settings import Settings, SettingsError
from commerce.store.embedded import EmbeddedError
from commerce.store.migrate import MigrationError
from commerce.store.session import StoreUnavailable
from commerce.telemetry import verified

EXIT_WRONG = 1
EXIT_UNUSABLE = 2

cli = typer.Typer(
    name="commerce", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
DEFAULTS = Settings()
docs_cli = typer.Typer(no_args_is_help=True, help="The reference pages.")
cli.add_typer(docs_cli, name="docs")
cli.add_typer(account.cli, name="accounts")
cli.add_typer(key.cli, name="keys")
cli.add_typer(address.cli, name="addresses")
cli.command("backup")(backup.backup_command)
cli.command("restore")(backup.restore_command)


NETWORK_HELP = "One of: testnet, production, both."


def _of(setting: str, words: str) -> str:
    """The help of an option that wins over a setting: with the setting, and its default."""
    return f"{words} (COMMERCE_{setting.upper()}, by default {getattr(DEFAULTS, setting)})"


def _version(asked: bool) -> None:
    if asked:
        print(f"commerce {__version__}, API {API_VERSION}")
        raise typer.Exit


@cli.callback()
def root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    """Serve the Commerce Network API, and do what an operator does beside it."""


@cli.command("serve")
def serve_command(  # noqa: PLR0913, PLR0917 - one option each
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help=_of("host", "The address to listen on."))] = None,
    port: Annotated[
        int | None, typer.Option(help=_of("port", "The port; 0 picks a free one."))
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help=_of("workers", "The number of API processes."))
    ] = None,
    network: Annotated[str | None, typer.Option(help=_of("network", NETWORK_HELP))] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Serve HTTPS with this chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The private key of --tls-cert.")] = None,
) -> None:
    """Serve the API, with a PostgreSQL of its own unless COMMERCE_DATABASE_URL is set."""
    settings = read_settings(
        data_dir=data_dir,
        host=host,
        port=port,
        workers=workers,
        network=network,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    log.configure(settings.log_level, settings.log_format)
    serve(settings, _announce)


def _announce(base_url: str, settings: Settings) -> None:
    print(f"Commerce Network is ready at {base_url}")
    print(
        f"Reference and guides: {base_url}/docs   Specification: {base_url}/openapi.json",
        flush=True,
    )
    if settings.base_url is None and settings.host in EVERYWHERE:
        print("Set COMMERCE_BASE_URL to the URL at which others reach it", flush=True)
    # Keys of a sandbox that was made before move test money, which is not served everywhere.
    if settings.network != "production":
        print(f"Sandbox account and keys: {settings.data_dir / SANDBOX_FILE}", flush=True)


@cli.command("worker")
def worker_command(data_dir: DataDir = None) -> None:
    """Run jobs without serving, beside a server or on a machine of its own."""
    settings = read_settings(data_dir=data_dir)
    log.configure(settings.log_level, settings.log_format)

    def announce(url: str | None) -> None:
        print("Jobs are being run" + (f"; metrics: {url}/metrics" if url else ""), flush=True)

    work(settings, database_url(settings), announce)


@cli.command("migrate")
def migrate_command(
    data_dir: DataDir = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what waits.")] = False,
) -> None:
    """Apply the migrations of the database, or check that none waits."""
    url = database_url(read_settings(data_dir=data_dir))
    waiting = asyncio.run(apply_migrations(url, check=check))
    for name in waiting:
        print(f"{'waiting' if check else 'applied'}: {name}")
    if not waiting:
        print("the database is up to date")
    if check and waiting:
        raise typer.Exit(EXIT_WRONG)


@cli.command("verify")
def verify_command(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check the ledger's invariants; exit 1 and say what is wrong if one does not hold."""
    settings = read_settings(data_dir=data_dir)
    url = database_url(settings)

    async def run() -> Any:
        async with connected(url) as connection, connected(url) as beside:
            with progress("verifying") as told:
                return await audit(connection, told, beside=beside)

    report = asyncio.run(run())
    verified.note(settings.data_dir, len(report.findings), report.entries)
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        for finding in report.findings:
            print(f"wrong: {finding}")
        print(report.summary)
    if report.findings:
        raise typer.Exit(EXIT_WRONG)


@cli.command("openapi")
def openapi_command() -> None:
    """Print the OpenAPI document, as /openapi.json serves it.

    The server's URL in it is COMMERCE_BASE_URL, or made of the host and port of the settings.
    """
    print(asyncio.run(handbook(read_settings()).document()).decode())


@docs_cli.command("build")
def build_docs(
    out: Annotated[Path, typer.Option(help="The folder to write them to.")],
) -> None:
    """Write the pages of the reference and the OpenAPI document as files."""
    written = asyncio.run(write_pages(handbook(read_settings()), out))
    print(f"{written} files in {out}")


@cli.command("settings")
def settings_command(as_json: AsJson = False) -> None:
    """Print every setting, its value and what it means."""
    rows = read_settings().describe()
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
        return
    print_table(("variable", "value", "default", "meaning"), [list(row) for row in rows])


def main() -> None:
    """Run a command; what cannot be done is one clear line and an exit code."""
    try:
        cli(standalone_mode=True)
    except (ServerError, SettingsError, EmbeddedError, MigrationError, StoreUnavailable) as error:
        print(f"commerce: {error}", file=sys.stderr)
        sys.exit(EXIT_UNUSABLE)
    except ApiError as error:
        print(f"commerce: {error.message}", file=sys.stderr)
        sys.exit(EXIT_WRONG)
    finally:
        log.write_out()


if __name__ == "__main__":
    main()
