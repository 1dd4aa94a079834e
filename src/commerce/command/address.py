"""`commerce addresses …`: blocking of addresses, anybody's."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from commerce.app import App
from commerce.areas.identity import account as accounts
from commerce.command.terminal import AsJson, DataDir, Mode, livemode_of, with_app
from commerce.kernel.address import canonical_form
from commerce.ledger.directory import ADDRESS, Address

cli = typer.Typer(no_args_is_help=True, help="Blocking of addresses.")


@cli.command("block")
def block_address(
    address: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Block an address: it neither sends nor receives."""
    _block(data_dir, address, mode, blocked=True, as_json=as_json)


@cli.command("unblock")
def unblock_address(
    address: str, mode: Mode = "test", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Let a blocked address go again."""
    _block(data_dir, address, mode, blocked=False, as_json=as_json)


def _block(data_dir: Path | None, address: str, mode: str, *, blocked: bool, as_json: bool) -> None:
    params = accounts.BlockAddress(address=address, blocked=blocked)
    livemode = livemode_of(mode)

    async def work(app: App) -> tuple[bool, Address]:
        key = (livemode, canonical_form(address) or address)
        known = await app.reader.point(ADDRESS.key, key)
        before = known is not None and Address.of(known).blocked
        return before, await app.operate(accounts.block, params, account="", livemode=livemode)

    before, changed = with_app(data_dir, work)
    if as_json:
        print(json.dumps({"object": "address", **changed._asdict()}))
        return
    state = "blocked" if blocked else "not blocked"
    nothing = f": it was {state} before, and nothing changed" if before == blocked else ""
    print(f"{address} is {state} in {mode} mode{nothing}")
