"""Every endpoint there is, and how each is called so that it succeeds."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast

from commerce.app import MODULES, TABLES
from commerce.areas.customers import customer
from commerce.areas.identity.account import Capability
from commerce.areas.payments.card import sample
from commerce.engine.engine import Engine
from commerce.http.idempotency import state_view
from commerce.kernel.currency import SSUSD
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.filter import own_currency
from commerce.resource.noun import _bare
from commerce.resource.registry import Endpoint, Registry
from tests.stage import Party, Stage

REGISTRY = Registry(MODULES, TABLES, [state_view(cast("Engine", None))])
ENDPOINTS = [endpoint for endpoint, path in REGISTRY.endpoints() if path == endpoint.path]
VERBS = [endpoint for endpoint in ENDPOINTS if endpoint.kind == "verb"]
LISTS = [endpoint for endpoint in ENDPOINTS if endpoint.kind == "list"]
RETRIEVES = [endpoint for endpoint in ENDPOINTS if endpoint.kind == "retrieve"]
MAKERS = [
    endpoint
    for endpoint in VERBS
    if endpoint.operation and ("{" not in endpoint.path or 201 in endpoint.operation.statuses)
]
"""What makes an object, some of them within another's path."""
COMES_ALONG = [verb for verb in VERBS if verb.path == "/disputes/{id}"]
"""What makes no object, but whose example needs one that comes with another."""
OF_CARDS = ("dispute", "payout")
"""Nouns whose examples are in dollars; those of all others are in ssUSD."""
EVERYTHING: list[Capability] = ["stablecoin_issuance", "finance_lender", "reserves_operator"]
KEY = "a-key-that-was-used"
FIXTURES = frozenset({customer.FIXTURE, sample.FIXTURE})
"""The ids that every test account has something under."""


def collection(endpoint: Endpoint) -> str:
    """Where a list, or the list of what is retrieved, is at its plain path."""
    assert endpoint.noun is not None
    return f"/{endpoint.noun.__noun__.path}"


def of_filter(thing: dict[str, Any], name: str) -> Any:
    """What an object has under the name of a filter, which may be a field of a part."""
    if name in thing:
        return thing[name]
    part = next(each for each in thing if name.startswith(f"{each}_") and thing[each])
    return thing[part][name.removeprefix(f"{part}_")]


def beside_amounts(endpoint: Endpoint, name: str) -> str:
    """What a query needs beside a filter: amounts of several currencies are of one it names."""
    assert endpoint.noun is not None
    spec = endpoint.noun.__noun__
    money = _bare(spec.types[spec.field_of[name]])[0] is Money
    if not money or own_currency(spec) is not None:
        return ""
    return f"&currency={'usd' if spec.name in OF_CARDS else SSUSD}"


def comparable(data: list[dict[str, Any]], beside: str) -> list[dict[str, Any]]:
    """Those of a list that are left when a query has this beside its filter."""
    currency = beside.rpartition("=")[2]
    return [thing for thing in data if not beside or thing["currency"] == currency]


def named(endpoint: Endpoint) -> str:
    """How a test of an endpoint is called."""
    return endpoint.name


def filled(endpoint: Endpoint, value: str = "x") -> str:
    """The route of an endpoint, with one value for every parameter of its path."""
    return re.sub(r"{\w+}", value, endpoint.name)


class Call(NamedTuple):
    """A request that succeeds."""

    route: str
    body: dict[str, Any] | None


class Rehearsal(Example):
    """The stage of examples: one account that does everything, and another one."""

    def __init__(self, stage: Stage, party: Party, other: Party) -> None:
        """Act as `party`."""
        self.stage = stage
        self.party = party
        self.other = other
        self.wallet = party.wallet
        self.other_wallet = other.wallet

    async def call(self, operation: str, /, **params: Any) -> dict[str, Any]:
        """Call as a client would, after whatever was done before has been sealed."""
        await self.stage.seal()
        route, body = _split(operation, params)
        return await self.stage.done(route, self.party.key, **body)

    async def fund(self, amount: str) -> None:
        """Mint to the main wallet."""
        await self.stage.fund(self.wallet, amount, livemode=self.party.livemode)

    def name(self) -> str:
        """A name not used before."""
        return self.stage.name()

    async def stage_of(self, endpoint: Endpoint) -> Call:
        """Set the stage for an endpoint, and give the call that succeeds there."""
        operation = endpoint.operation
        if endpoint.kind == "verb":
            assert operation is not None
            assert operation.example is not None, f"{endpoint.name} owes an example"
            return Call(*_split(endpoint.name, await operation.example(self)))
        if endpoint.kind == "retrieve":
            return Call(filled(endpoint, await self._one(endpoint)), None)
        values = {"address": self.wallet, "key": KEY}
        if operation is not None and operation.example is not None:
            values |= {name: str(each) for name, each in (await operation.example(self)).items()}
            await self.stage.seal()
        return Call(re.sub(r"{(\w+)}", lambda at: values[at[1]], endpoint.name), None)

    async def _one(self, endpoint: Endpoint) -> str:
        """The id of an object that no other account has: the newest, or one made for this."""
        page = await self.stage.get(endpoint.path.removesuffix("/{id}"), self.party.key)
        ids = [str(thing["id"]) for thing in page["data"] if thing["id"] not in FIXTURES]
        if ids:
            return ids[0]
        made = await self.perform(next(verb for verb in MAKERS if _makes(verb, endpoint)))
        return str(made["id"])

    async def perform(self, endpoint: Endpoint) -> dict[str, Any]:
        """Set the stage for an endpoint and call it."""
        route, body = await self.stage_of(endpoint)
        return await self.stage.done(route, self.party.key, **body or {})


def _makes(verb: Endpoint, endpoint: Endpoint) -> bool:
    return verb.operation is not None and verb.operation.returns is endpoint.noun


def _split(operation: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A route with its path filled in, and what is left for the body."""
    names = re.findall(r"{(\w+)}", operation)
    route = re.sub(r"{(\w+)}", lambda at: str(params[at[1]]), operation)
    return route, {name: value for name, value in params.items() if name not in names}


async def rehearsal(stage: Stage, *, livemode: bool = False) -> Rehearsal:
    """A new account that does everything, beside a new other one."""
    party = await stage.open_account(livemode=livemode, capabilities=EVERYTHING)
    return Rehearsal(stage, party, await stage.open_account(livemode=livemode))


async def populated(stage: Stage) -> Rehearsal:
    """The same, in test mode, after every example has been run once: no list is empty."""
    play = await rehearsal(stage)
    for endpoint in VERBS:
        await play.perform(endpoint)
    await stage.ask("POST /api_keys", play.party.key, {"type": "public"}, Idempotency_Key=KEY)
    return play
