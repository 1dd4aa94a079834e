"""`commerce keys …`: API keys, made, listed, rolled and revoked."""

from __future__ import annotations

from typing import Annotated

import typer

from commerce.areas.identity import api_key as api_keys
from commerce.command.terminal import (
    AsJson,
    DataDir,
    Mode,
    convert,
    livemode_of,
    operate,
    page_of,
    require_account,
    show,
    show_all,
)
from commerce.kernel.clock import SystemClock
from commerce.kernel.wording import choices
from commerce.resource.access import KeyType, Scope
from commerce.store.table import Filter

TYPE_HELP = f"One of: {choices(KeyType)}."
SCOPE_HELP = f"Of a restricted key; may be repeated. One of: {choices(Scope)}."

cli = typer.Typer(no_args_is_help=True, help="API keys.")


@cli.command("create")
def create_key(  # noqa: PLR0913, PLR0917 - one option each
    account: str,
    type_: Annotated[str, typer.Option("--type", help=TYPE_HELP)] = "secret",
    mode: Mode = "test",
    scope: Annotated[list[str] | None, typer.Option(help=SCOPE_HELP)] = None,
    name: Annotated[str | None, typer.Option(help="Your name for it.")] = None,
    limit_per_transaction: Annotated[str | None, typer.Option(help="ssUSD at once.")] = None,
    limit_daily: Annotated[str | None, typer.Option(help="ssUSD a UTC day.")] = None,
    limit_lifetime: Annotated[str | None, typer.Option(help="ssUSD in all.")] = None,
    recipient: Annotated[list[str] | None, typer.Option(help="The only ones it may pay.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="A date or time.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key of an account and print it, this once.

    Limits and recipients are for restricted keys.
    """
    limits = {
        "per_transaction": limit_per_transaction,
        "daily": limit_daily,
        "lifetime": limit_lifetime,
    }
    given = {
        "type": type_,
        "name": name,
        "scopes": scope or [],
        "limits": limits if any(text is not None for text in limits.values()) else None,
        "recipients": recipient or None,
        "expires_at": expires_at,
    }
    params = convert(api_keys.CreateApiKey, given)
    livemode = livemode_of(mode)
    require_account(data_dir, account, livemode=livemode)
    show(operate(data_dir, api_keys.create, params, account, livemode=livemode), as_json=as_json)


@cli.command("list")
def list_keys(
    account: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List an account's keys, newest first."""
    filters = [Filter("account", "=", account), Filter("livemode", "=", livemode_of(mode))]
    now = SystemClock().now_ms() // 1000
    found = [key.at(now) for key in page_of(data_dir, api_keys.ApiKey, filters, limit=1000)]
    columns = ("id", "type", "name", "status", "expires_at", "redacted")
    show_all(found, columns, as_json=as_json)


@cli.command("roll")
def roll_key(  # noqa: PLR0913, PLR0917 - one option each
    account: str,
    key: str,
    mode: Mode = "test",
    expires_in: Annotated[int, typer.Option(help="Seconds the old key lives on.")] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one and print it, this once."""
    params = convert(api_keys.RollApiKey, {"id": key, "expires_in": expires_in})
    made = operate(data_dir, api_keys.roll, params, account, livemode=livemode_of(mode))
    show(made, as_json=as_json)


@cli.command("revoke")
def revoke_key(
    account: str, key: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Revoke a key, everywhere within a second."""
    params = convert(api_keys.OneApiKey, {"id": key})
    revoked = operate(data_dir, api_keys.revoke, params, account, livemode=livemode_of(mode))
    show(revoked, as_json=as_json)
