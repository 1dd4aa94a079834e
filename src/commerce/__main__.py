"""The command line: `commerce serve`, and what an operator does beside a running server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from commerce import log
from commerce.app import App
from commerce.areas.identity import account as accounts
from commerce.areas.identity import api_key as api_keys
from commerce.installation import (
    ServerError,
    apply_migrations,
    connected,
    database_url,
    running_app,
)
from commerce.kernel.errors import ApiError
from commerce.ledger.audit import audit
from commerce.resource.noun import encode_money
from commerce.resource.operation import encode
from commerce.server import serve, work
from commerce.settings import Settings, SettingsError
from commerce.store.embedded import EmbeddedError
from commerce.store.migrate import MigrationError
from commerce.store.session import StoreUnavailable
from commerce.store.table import Filter, Page

EXIT_WRONG = 1
EXIT_UNUSABLE = 2
PIPED_WIDTH = 1000

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The server's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Mode = Annotated[str, typer.Option("--mode", help="test or live.")]

cli = typer.Typer(
    name="commerce", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
accounts_cli = typer.Typer(no_args_is_help=True, help="Accounts, their plans and capabilities.")
keys_cli = typer.Typer(no_args_is_help=True, help="API keys.")
addresses_cli = typer.Typer(no_args_is_help=True, help="Blocking of addresses.")
cli.add_typer(accounts_cli, name="accounts")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(addresses_cli, name="addresses")


@cli.command("serve")
def serve_command(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 picks a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="The number of API processes.")] = None,
    network: Annotated[str | None, typer.Option(help="testnet, production or both.")] = None,
) -> None:
    """Serve the API, with a PostgreSQL of its own unless COMMERCE_DATABASE_URL is set."""
    settings = _settings(data_dir=data_dir, host=host, port=port, workers=workers, network=network)
    log.configure(settings.log_level, settings.log_format)
    serve(settings, _announce)


def _announce(base_url: str, sandbox: Path) -> None:
    print(f"Commerce Network is ready at {base_url}")
    print(f"Specification: {base_url}/openapi.json   Errors: {base_url}/docs/errors", flush=True)
    if sandbox.exists():
        print(f"Sandbox account and keys: {sandbox}", flush=True)


@cli.command("worker")
def worker_command(data_dir: DataDir = None) -> None:
    """Run jobs without serving, beside a server or on a machine of its own."""
    settings = _settings(data_dir=data_dir)
    log.configure(settings.log_level, settings.log_format)
    work(settings, database_url(settings), lambda: print("Jobs are being run", flush=True))


@cli.command("migrate")
def migrate_command(
    data_dir: DataDir = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what waits.")] = False,
) -> None:
    """Apply the migrations of the database, or check that none waits."""
    url = database_url(_settings(data_dir=data_dir))
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
    url = database_url(_settings(data_dir=data_dir))

    async def run() -> Any:
        async with connected(url) as connection:
            return await audit(connection)

    report = asyncio.run(run())
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        for finding in report.findings:
            print(f"wrong: {finding}")
        print(report.summary)
    if report.findings:
        raise typer.Exit(EXIT_WRONG)


@cli.command("settings")
def settings_command(as_json: AsJson = False) -> None:
    """Print every setting, its value and what it means."""
    rows = _settings().describe()
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
        return
    _print_table(("variable", "value", "default", "meaning"), [list(row) for row in rows])


@accounts_cli.command("create")
def create_account(  # noqa: PLR0913, PLR0917 - one option each
    name: Annotated[str | None, typer.Option(help="What it calls itself.")] = None,
    plan: Annotated[str, typer.Option(help="free, starter, growth or enterprise.")] = "free",
    verification: Annotated[str | None, typer.Option(help="basic, verified, …")] = None,
    capability: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Open an account, in both modes; keys are made by `commerce keys create`."""
    given = {"name": name, "plan": plan, "capabilities": capability or []}
    if verification is not None:
        given["verification"] = verification
    params = _convert(accounts.CreateAccount, given)
    _show(_operate(data_dir, accounts.create, params, "", livemode=False), as_json=as_json)


@accounts_cli.command("update")
def update_account(  # noqa: PLR0913, PLR0917 - one option each
    account: str,
    name: Annotated[str | None, typer.Option(help="What it calls itself.")] = None,
    plan: Annotated[str | None, typer.Option(help="free, starter, …")] = None,
    verification: Annotated[str | None, typer.Option(help="basic, verified, …")] = None,
    capability: Annotated[list[str] | None, typer.Option(help="All it is to have.")] = None,
    mode: Annotated[str | None, typer.Option(help="test or live; both if not given.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Set what is the operator's to set; what is not named stays."""
    given = {"name": name, "plan": plan, "verification": verification, "capabilities": capability}
    given = {key: value for key, value in given.items() if value is not None}
    params = _convert(accounts.UpdateAccount, {"account": account, **given})
    modes = (False, True) if mode is None else (_livemode(mode),)
    for livemode in modes:
        changed = _operate(data_dir, accounts.update, params, account, livemode=livemode)
        _show(changed, as_json=as_json)


@accounts_cli.command("show")
def show_account(
    account: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show one account."""
    key = [Filter("account", "=", account), Filter("livemode", "=", _livemode(mode))]
    found = _page(data_dir, accounts.Account, key, limit=1)
    if not found:
        raise ApiError("resource_missing", f"No such account: '{account}'.")
    _show(found[0], as_json=as_json)


@accounts_cli.command("list")
def list_accounts(
    mode: Mode = "test",
    limit: Annotated[int, typer.Option(help="At most this many.")] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List accounts, newest first."""
    found = _page(
        data_dir, accounts.Account, [Filter("livemode", "=", _livemode(mode))], limit=limit
    )
    _show_all(found, ("id", "name", "plan", "verification", "wallet"), as_json=as_json)


@keys_cli.command("create")
def create_key(  # noqa: PLR0913, PLR0917 - one option each
    account: str,
    type_: Annotated[str, typer.Option("--type", help="secret, public or restricted.")] = "secret",
    mode: Mode = "test",
    scope: Annotated[list[str] | None, typer.Option(help="Of a restricted key.")] = None,
    name: Annotated[str | None, typer.Option(help="Your name for it.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key of an account and print it, this once."""
    given = {"type": type_, "name": name, "scopes": scope or []}
    params = _convert(api_keys.CreateApiKey, given)
    livemode = _livemode(mode)
    _require_account(data_dir, account, livemode=livemode)
    _show(_operate(data_dir, api_keys.create, params, account, livemode=livemode), as_json=as_json)


@keys_cli.command("list")
def list_keys(
    account: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List an account's keys, newest first."""
    filters = [Filter("account", "=", account), Filter("livemode", "=", _livemode(mode))]
    found = _page(data_dir, api_keys.ApiKey, filters, limit=1000)
    _show_all(found, ("id", "type", "name", "status", "redacted"), as_json=as_json)


@keys_cli.command("roll")
def roll_key(  # noqa: PLR0913, PLR0917 - one option each
    account: str,
    key: str,
    mode: Mode = "test",
    expires_in: Annotated[int, typer.Option(help="Seconds the old key lives on.")] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one and print it, this once."""
    params = _convert(api_keys.RollApiKey, {"id": key, "expires_in": expires_in})
    made = _operate(data_dir, api_keys.roll, params, account, livemode=_livemode(mode))
    _show(made, as_json=as_json)


@keys_cli.command("revoke")
def revoke_key(
    account: str, key: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Revoke a key, everywhere within a second."""
    params = _convert(api_keys.OneApiKey, {"id": key})
    revoked = _operate(data_dir, api_keys.revoke, params, account, livemode=_livemode(mode))
    _show(revoked, as_json=as_json)


@addresses_cli.command("block")
def block_address(address: str, mode: Mode = "test", data_dir: DataDir = None) -> None:
    """Block an address: it neither sends nor receives."""
    _block(data_dir, address, mode, blocked=True)


@addresses_cli.command("unblock")
def unblock_address(address: str, mode: Mode = "test", data_dir: DataDir = None) -> None:
    """Let a blocked address go again."""
    _block(data_dir, address, mode, blocked=False)


def _block(data_dir: Path | None, address: str, mode: str, *, blocked: bool) -> None:
    params = accounts.BlockAddress(address=address, blocked=blocked)
    _operate(data_dir, accounts.block, params, "", livemode=_livemode(mode))
    print(f"{address} is {'blocked' if blocked else 'not blocked'} in {mode} mode")


def _settings(**given: Any) -> Settings:
    return Settings.load(os.environ, **given)


def _livemode(mode: str) -> bool:
    if mode not in {"test", "live"}:
        raise ServerError("the mode is test or live")
    return mode == "live"


def _convert(type_: type[Any], given: dict[str, Any]) -> Any:
    try:
        return msgspec.convert(given, type_)
    except msgspec.ValidationError as error:
        raise ServerError(str(error)) from None


def _with_app(data_dir: Path | None, work: Callable[[App], Any]) -> Any:
    """Do something with the product, beside a server that may be running."""
    settings = _settings(data_dir=data_dir)
    log.configure(settings.log_level, settings.log_format)

    async def run() -> Any:
        async with running_app(settings, database_url(settings), settings.base_url or "") as app:
            return await work(app)

    return asyncio.run(run())


def _operate(
    data_dir: Path | None, verb: Callable[..., Any], params: Any, account: str, *, livemode: bool
) -> Any:
    return _with_app(
        data_dir, lambda app: app.operate(verb, params, account=account, livemode=livemode)
    )


def _page(data_dir: Path | None, noun: Any, filters: list[Filter], *, limit: int) -> list[Any]:
    spec = noun.__noun__
    page = Page(spec.table, filters, ("created", "id"), limit)
    rows = _with_app(data_dir, lambda app: app.store.page(page))
    return [spec.thing(row) for row in rows]


def _require_account(data_dir: Path | None, account: str, *, livemode: bool) -> None:
    filters = [Filter("account", "=", account), Filter("livemode", "=", livemode)]
    if not _page(data_dir, accounts.Account, filters, limit=1):
        raise ApiError("resource_missing", f"No such account: '{account}'.")


def _show(thing: Any, *, as_json: bool) -> None:
    text = encode(thing).decode()
    if as_json:
        print(text)
        return
    for name, value in json.loads(text).items():
        print(f"{name:14} {value if isinstance(value, str) else json.dumps(value)}")


def _show_all(things: list[Any], columns: tuple[str, ...], *, as_json: bool) -> None:
    shown = [json.loads(encode(thing)) for thing in things]
    if as_json:
        print(msgspec.json.encode(shown, enc_hook=encode_money).decode())
        return
    _print_table(columns, [[str(each[column] or "") for column in columns] for each in shown])


def _print_table(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print cells whole, since they are there to be copied; to a program, each row in one line."""
    table = Table(*(Column(column, overflow="fold") for column in columns))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


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
