"""`commerce addresses …`: blocking of addresses, anybody's."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from commerce.areas.identity import account as accounts
from commerce.command.terminal import AsJson, DataDir, Mode, livemode_of, operate

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
    changed = operate(data_dir, accounts.block, params, "", livemode=livemode_of(mode))
    if as_json:
        print(json.dumps({"object": "address", **changed._asdict()}))
        return
    print(f"{address} is {'blocked' if blocked else 'not blocked'} in {mode} mode")
