"""`commerce accounts …`: accounts, their plans and capabilities."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from commerce.areas.identity import account as accounts
from commerce.command.terminal import (
    AsJson,
    DataDir,
    Mode,
    convert,
    livemode_of,
    operate,
    page_of,
    show,
    show_all,
)
from commerce.installation import ServerError
from commerce.kernel.errors import ApiError
from commerce.kernel.wording import choices
from commerce.store.table import Filter

LIMIT_MAX = 10_000
PLAN_HELP = f"One of: {choices(accounts.Plan)}."
VERIFICATION_HELP = f"One of: {choices(accounts.Verification)}."
CAPABILITY_HELP = f"What it may do; may be repeated. One of: {choices(accounts.Capability)}."
CAPABILITIES_HELP = f"All it is to have; may be repeated. One of: {choices(accounts.Capability)}."
RATE_LIMIT_HELP = "RATE/BURST/DAILY of an enterprise account (DAILY may be none), or plan."

cli = typer.Typer(no_args_is_help=True, help="Accounts, their plans and capabilities.")


@cli.command("create")
def create_account(  # noqa: PLR0913, PLR0917 - one option each
    name: Annotated[str | None, typer.Option(help="What it calls itself.")] = None,
    plan: Annotated[str, typer.Option(help=PLAN_HELP)] = "free",
    verification: Annotated[str | None, typer.Option(help=VERIFICATION_HELP)] = None,
    capability: Annotated[list[str] | None, typer.Option(help=CAPABILITY_HELP)] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Open an account, in both modes; keys are made by `commerce keys create`."""
    given = {"name": name, "plan": plan, "capabilities": capability or []}
    if verification is not None:
        given["verification"] = verification
    params = convert(accounts.CreateAccount, given)
    show(operate(data_dir, accounts.create, params, "", livemode=False), as_json=as_json)


@cli.command("update")
def update_account(  # noqa: PLR0913, PLR0917 - one option each
    account: str,
    name: Annotated[str | None, typer.Option(help="What it calls itself.")] = None,
    plan: Annotated[str | None, typer.Option(help=PLAN_HELP)] = None,
    verification: Annotated[str | None, typer.Option(help=VERIFICATION_HELP)] = None,
    capability: Annotated[list[str] | None, typer.Option(help=CAPABILITIES_HELP)] = None,
    rate_limit: Annotated[str | None, typer.Option(help=RATE_LIMIT_HELP)] = None,
    mode: Annotated[str | None, typer.Option(help="test or live; both if not given.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Set what is the operator's to set; what is not named stays.

    Of both modes, --json prints an array.
    """
    given: dict[str, Any] = {"name": name, "plan": plan, "verification": verification}
    given["capabilities"] = capability
    if rate_limit is not None:
        given["rate_limit"] = _rate_limit(rate_limit)
    given = {key: value for key, value in given.items() if value is not None}
    params = convert(accounts.UpdateAccount, {"account": account, **given})
    modes = (False, True) if mode is None else (livemode_of(mode),)
    changed = [
        operate(data_dir, accounts.update, params, account, livemode=livemode) for livemode in modes
    ]
    if as_json and mode is None:
        show_all(changed, (), as_json=True)
        return
    for each in changed:
        show(each, as_json=as_json)


def _rate_limit(text: str) -> dict[str, int | None] | str:
    """`50000/100000/none` as limits; `plan` stands for itself."""
    if text == "plan":
        return text
    form = re.fullmatch(r"([0-9]{1,16})/([0-9]{1,16})/(none|[0-9]{1,16})", text)
    if form is None:
        raise ServerError("a rate limit is RATE/BURST/DAILY, such as 50000/100000/none, or plan")
    daily = None if form[3] == "none" else int(form[3])
    return {"rate": int(form[1]), "burst": int(form[2]), "daily": daily}


@cli.command("show")
def show_account(
    account: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show one account."""
    key = [Filter("account", "=", account), Filter("livemode", "=", livemode_of(mode))]
    found = page_of(data_dir, accounts.Account, key, limit=1)
    if not found:
        raise ApiError("resource_missing", f"No such account: '{account}'.")
    show(found[0], as_json=as_json)


@cli.command("list")
def list_accounts(
    mode: Mode = "test",
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most this many.")] = 100,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List accounts, newest first."""
    found = page_of(
        data_dir, accounts.Account, [Filter("livemode", "=", livemode_of(mode))], limit=limit
    )
    show_all(found, ("id", "name", "plan", "verification", "wallet"), as_json=as_json)
