"""Requests: what a step of a story asks for, in the words of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.story import Step

if TYPE_CHECKING:
    from tests.simulation.world import World

BANK = {"type": "ach", "account_number": "000123456789", "routing_number": "021000021"}
HELD = {**BANK, "account_number": "0" * 12}
"""In test mode a redemption to this account waits to be settled."""
STRANGER = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
"""The documented sample: an address in test mode, and none in live mode."""
NONSENSE = "stateset1nonsense"


class Ask(NamedTuple):
    """What is asked for."""

    account: str
    by: str
    """Whose key it is asked with: `account` itself, or the account that it is connected to."""
    livemode: bool
    method: str
    path: str
    body: dict[str, Any] | None = None
    with_key: int | None = None
    """The step that made the API key it is asked with; None: the account's secret key."""


def ask(step: Step, world: World) -> Ask | None:
    """What a step asks for; None where what it is about was never made."""
    account = world.accounts[step.account]
    by, found = _by(step, world), _ASKS[step.kind](step, world)
    if by is None or found is None:
        return None
    method, path, body = found
    return Ask(account, by, step.livemode, method, path, body, step.args.get("with_key"))


def _by(step: Step, world: World) -> str | None:
    """The account with whose key a step is asked for; None where that key was never asked for."""
    if "with_key" in step.args:
        return world.owner(step.args["with_key"])
    number: int = step.args.get("by", world.parent(step.account))
    return world.accounts[number]


_Found = tuple[str, str, dict[str, Any] | None] | None


def _to(step: Step, world: World, to: str | int) -> str:
    if isinstance(to, int):
        return world.wallet(to, livemode=step.livemode)
    if to == "elsewhere":
        return world.wallet(step.account, livemode=not step.livemode)
    return STRANGER if to == "stranger" else NONSENSE


def _transfer(step: Step, world: World) -> _Found:
    args = step.args
    body = {"to": _to(step, world, args["to"]), "amount": args["amount"]}
    if "seconds" in args:
        body["scheduled_at"] = world.now() + args["seconds"]
    if "memo" in args:
        body["memo"] = args["memo"]
    if "sender" in args:
        body["from"] = world.wallet(args["sender"], livemode=step.livemode)
    return "POST", "/stablecoin/transfer", body


def _batch(step: Step, world: World) -> _Found:
    rows = [{"to": _to(step, world, to), "amount": amount} for to, amount in step.args["rows"]]
    body: dict[str, Any] = {"transfers": rows}
    if "seconds" in step.args:
        body["scheduled_at"] = world.now() + step.args["seconds"]
    return "POST", "/stablecoin/transfer", body


def _issue(step: Step, world: World) -> _Found:
    args = step.args
    body: dict[str, Any] = {
        "recipient": _to(step, world, args["to"]),
        "amount": args["amount"],
        "reference_id": f"ref {args.get('reference', f'of step {step.number}')}",
    }
    if step.of is not None:
        deposit = world.made(step.of)
        if deposit is None:
            return None
        body["source"] = {"deposit": deposit}
    if "type" in args:
        body["source"] = {**body.get("source", {}), "type": args["type"]}
    return "POST", "/stablecoin/issue", body


def _deposit(step: Step, _: World) -> _Found:
    body = {"amount": step.args["amount"]}
    if "bank" in step.args:
        body["bank_reference"] = step.args["bank"]
    return "POST", "/stablecoin/reserves/deposits", body


def _redeem(step: Step, _: World) -> _Found:
    args = step.args
    body = {
        "amount": args["amount"],
        "destination": HELD if "held" in args else BANK,
        "reference_id": f"ref {args.get('reference', f'of step {step.number}')}",
    }
    return "POST", "/stablecoin/redeem", body


def _of(path: str, *, whose: bool = False) -> Callable[[Step, World], _Found]:
    """A verb about an object that was made before; `whose`: it may be another account's."""

    def asked(step: Step, world: World) -> _Found:
        assert step.of is not None
        id_ = world.made(step.of)
        if id_ is None:
            return None
        body = {"account": world.owner(step.of)} if whose else None
        if "unnamed" in step.args:
            body = {}
        return "POST", path.format(id=id_), body

    return asked


def _revoke(step: Step, world: World) -> _Found:
    assert step.of is not None
    id_ = world.made(step.of)
    return None if id_ is None else ("DELETE", f"/api_keys/{id_}", None)


def _roll(step: Step, world: World) -> _Found:
    assert step.of is not None
    id_ = world.made(step.of)
    return None if id_ is None else ("POST", f"/api_keys/{id_}/roll", {"expires_in": 5})


def _key(step: Step, world: World) -> _Found:
    body: dict[str, Any] = {"type": "restricted", "scopes": ["stablecoin:transfer"]}
    if "limits" in step.args:
        body["limits"] = step.args["limits"]
    if "recipients" in step.args:
        body["recipients"] = [_to(step, world, to) for to in step.args["recipients"]]
    return "POST", "/api_keys", body


def _open(step: Step, _: World) -> _Found:
    return "POST", "/accounts", {"name": step.args["name"]}


def _rename(step: Step, world: World) -> _Found:
    path = f"/accounts/{world.accounts[step.account]}"
    return "PATCH", path, {"name": step.args["name"]}


def _look(_: Step, __: World) -> _Found:
    return "GET", "/stablecoin/balance", None


_ASKS: dict[str, Callable[[Step, World], _Found]] = {
    "transfer": _transfer,
    "batch": _batch,
    "cancel_transfer": _of("/stablecoin/transfers/{id}/cancel"),
    "issue": _issue,
    "deposit": _deposit,
    "verify": _of("/stablecoin/reserves/deposits/{id}/verify", whose=True),
    "redeem": _redeem,
    "process": _of("/stablecoin/redemptions/{id}/process", whose=True),
    "complete": _of("/stablecoin/redemptions/{id}/complete", whose=True),
    "fail": _of("/stablecoin/redemptions/{id}/fail", whose=True),
    "cancel": _of("/stablecoin/redemptions/{id}/cancel"),
    "key": _key,
    "roll_key": _roll,
    "revoke_key": _revoke,
    "open": _open,
    "rename": _rename,
    "look": _look,
}
