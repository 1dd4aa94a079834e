"""What commands share: their options, the product beside a server, and how things are shown."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from commerce import log
from commerce.app import App
from commerce.areas.identity.account import Account
from commerce.installation import ServerError, database_url, running_app
from commerce.kernel import wording
from commerce.kernel.errors import ApiError
from commerce.resource import parameter
from commerce.resource.operation import encode
from commerce.settings import Settings
from commerce.store.table import Filter, Page

PIPED_WIDTH = 1000
_SINGULAR = {"capabilities": "capability"}

DATA_DIR_HELP = "The server's folder. (COMMERCE_DATA_DIR, by default data)"
DataDir = Annotated[Path | None, typer.Option("--data-dir", help=DATA_DIR_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Mode = Annotated[str, typer.Option("--mode", help="test or live.")]


def read_settings(**given: Any) -> Settings:
    """The settings of this environment, with what options give."""
    return Settings.load(os.environ, **given)


def livemode_of(mode: str) -> bool:
    """Which mode an option names. Raises `ServerError`."""
    if mode not in {"test", "live"}:
        raise ServerError("--mode must be one of: test, live")
    return mode == "live"


def convert(type_: type[Any], given: dict[str, Any]) -> Any:
    """Options as the parameters of a verb. Raises `ServerError`, naming the option."""
    try:
        return parameter.convert(type_, given)
    except ApiError as error:
        name = error.param or ""
        message = error.message.replace(f"'{name}'", _option(name), 1)
        raise ServerError(message.replace(wording.OR_NULL, "").removesuffix(".")) from None


def _option(name: str) -> str:
    """The option that gives a parameter: `--scope` is one of `scopes`."""
    first, _, rest = name.partition(".")
    plain, bracket, _ = first.partition("[")
    if bracket:
        plain = _SINGULAR.get(plain, plain.removesuffix("s"))
    elif first == "limits":
        plain, rest = f"limit-{rest}", ""
    option = f"--{plain.replace('_', '-')}"
    return f"{rest} of {option}" if rest else option


def with_app(data_dir: Path | None, work: Callable[[App], Any]) -> Any:
    """Do something with the product, beside a server that may be running."""
    settings = read_settings(data_dir=data_dir)
    log.configure(settings.log_level, settings.log_format)

    async def run() -> Any:
        async with running_app(settings, database_url(settings), settings.base_url or "") as app:
            return await work(app)

    return asyncio.run(run())


def operate(
    data_dir: Path | None, verb: Callable[..., Any], params: Any, account: str, *, livemode: bool
) -> Any:
    """Run a verb as the operator, on behalf of an account."""
    return with_app(
        data_dir, lambda app: app.operate(verb, params, account=account, livemode=livemode)
    )


def page_of(data_dir: Path | None, noun: Any, filters: list[Filter], *, limit: int) -> list[Any]:
    """The newest objects of a noun, of all accounts unless a filter names one."""
    spec = noun.__noun__
    page = Page(spec.table, filters, ("created", "id"), limit)
    rows = with_app(data_dir, lambda app: app.store.page(page))
    return [spec.thing(row) for row in rows]


def require_account(data_dir: Path | None, account: str, *, livemode: bool) -> None:
    """See that there is such an account. Raises `resource_missing`."""
    filters = [Filter("account", "=", account), Filter("livemode", "=", livemode)]
    if not page_of(data_dir, Account, filters, limit=1):
        raise ApiError("resource_missing", f"No such account: '{account}'.")


def show(thing: Any, *, as_json: bool) -> None:
    """Print an object: as JSON, or a member a line."""
    text = encode(thing).decode()
    if as_json:
        print(text)
        return
    for name, value in json.loads(text).items():
        print(f"{name:14} {_printed(value) if isinstance(value, str) else json.dumps(value)}")


def show_all(things: list[Any], columns: tuple[str, ...], *, as_json: bool) -> None:
    """Print objects: as a JSON array, or a line each."""
    shown = [json.loads(encode(thing)) for thing in things]
    if as_json:
        print(json.dumps(shown))
        return
    print_table(columns, [[_cell(column, each[column]) for column in columns] for each in shown])


def _printed(text: str) -> str:
    """A client's words for a terminal: what is not printed is escaped, and commands nothing."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _cell(column: str, value: Any) -> str:
    if column.endswith("_at") and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value or "")


def print_table(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print cells whole, since they are there to be copied; to a program, each row in one line."""
    table = Table(*(Column(column, overflow="fold") for column in columns))
    for row in rows:
        table.add_row(*(Text(_printed(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


@contextmanager
def progress(doing: str) -> Iterator[Callable[[float], None]]:
    """Show on a terminal how far something is; takes what is done of it, from 0 to 1."""
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(doing, total=1)
        yield lambda done: bar.update(task, completed=done)
