"""The rehearsal: every operation's example, run once against the product, as a client would."""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from commerce.resource.example import Example
from commerce.resource.registry import Endpoint, Registry

Ask = Callable[[str, str, dict[str, Any] | None, str | None], Awaitable[tuple[int, Any]]]
"""Sends a method, a path, a body and an idempotency key; gives the status and the answer."""
FUND_MIN = 1_000


class Exchange(NamedTuple):
    """A request and its answer."""

    method: str
    path: str
    """Below the API's root, filled in, with its query."""
    body: dict[str, Any] | None
    idempotency_key: str | None
    status: int
    answer: dict[str, Any]


class Shown(NamedTuple):
    """An operation's example: what sets its stage, and the exchange itself."""

    setup: tuple[Exchange, ...]
    call: Exchange
    wallet: str
    """The main wallet of the account that called."""


class Unstaged(Exception):
    """An operation has no example that succeeds."""


class Wallets(NamedTuple):
    """The main wallets of the account that calls, and of another."""

    own: str
    other: str


class _Scene(Example):
    """What one example sets its stage with; it is written down as it happens."""

    def __init__(self, title: str, ask: Ask, wallets: Wallets) -> None:
        self.wallet, self.other_wallet = wallets
        self.setup: list[Exchange] = []
        self._title = re.sub(r"\W+", "-", title.lower()).strip("-")
        self._ask = ask
        self._names = itertools.count(1)

    async def call(self, operation: str, /, **params: Any) -> dict[str, Any]:
        """Call an operation that must succeed."""
        exchange = await self.send(operation, params)
        self.setup.append(exchange)
        return exchange.answer

    async def fund(self, amount: str) -> None:
        """Mint to the main wallet: at least the least there is."""
        units = max(FUND_MIN, int(amount.partition(".")[0]) * 2)
        await self.call(
            "POST /stablecoin/issue",
            recipient=self.wallet,
            amount=f"{units}.00",
            reference_id=self.name(),
        )

    def name(self) -> str:
        """A name that no other example uses."""
        return f"{self._title}-{next(self._names)}"

    async def send(
        self, operation: str, params: dict[str, Any], idempotency_key: str | None = None
    ) -> Exchange:
        """Fill in a route and call it."""
        method, _, route = operation.partition(" ")
        names = re.findall(r"{(\w+)}", route)
        path = re.sub(r"{(\w+)}", lambda at: str(params[at[1]]), route)
        rest = {name: value for name, value in params.items() if name not in names}
        if method == "GET" and rest:
            path += "?" + "&".join(f"{name}={value}" for name, value in rest.items())
            rest = {}
        body = rest or None
        status, answer = await self._ask(method, path, body, idempotency_key)
        if status not in (200, 201):
            raise Unstaged(f"{method} {path} in {self._title}: {status} {answer}")
        return Exchange(method, path, body, idempotency_key, status, answer)


class Rehearsal:
    """Runs every endpoint's example: those that make things first, so that there is something."""

    def __init__(self, registry: Registry, ask: Ask, wallets: Wallets) -> None:
        """Call through `ask`, as the owner of `wallets.own`."""
        self._endpoints = registry.documented()
        self._ask = ask
        self._wallets = wallets

    async def run(self) -> dict[str, Shown]:
        """The example of every endpoint, by the endpoint's name. Raises `Unstaged`."""
        ordered = sorted(self._endpoints, key=lambda each: each.kind != "verb")
        return {endpoint.name: await self._shown(endpoint) for endpoint in ordered}

    async def _shown(self, endpoint: Endpoint) -> Shown:
        scene = _Scene(endpoint.name, self._ask, self._wallets)
        params, key = await self._params(endpoint, scene)
        call = await scene.send(endpoint.name, params, key)
        return Shown(tuple(scene.setup), call, self._wallets.own)

    async def _params(self, endpoint: Endpoint, scene: _Scene) -> tuple[dict[str, Any], str | None]:
        operation = endpoint.operation
        if operation is not None and operation.example is not None:
            return dict(await operation.example(scene)), None
        if endpoint.kind == "retrieve":
            return {"id": await self._one(endpoint, scene)}, None
        names = re.findall(r"{(\w+)}", endpoint.path)
        return {name: await self._value(name, endpoint, scene) for name in names}, None

    async def _value(self, name: str, endpoint: Endpoint, scene: _Scene) -> str:
        """What stands in a path of a view that has no example of its own."""
        if name == "address":
            return scene.wallet
        if name == "key":
            maker = next(each for each in self._endpoints if each.makes_freely)
            assert maker.operation is not None
            assert maker.operation.example is not None
            params = dict(await maker.operation.example(scene))
            made = await scene.send(maker.name, params, scene.name())
            scene.setup.append(made)
            return str(made.idempotency_key)
        raise Unstaged(f"{endpoint.name} owes an example for '{name}'")

    async def _one(self, endpoint: Endpoint, scene: _Scene) -> str:
        """An object to retrieve: a new one where a verb makes it, else the newest of the list."""
        for maker in self._endpoints:
            operation = maker.operation
            if maker.makes_freely and operation is not None and operation.returns is endpoint.noun:
                assert operation.example is not None
                made = await scene.call(maker.name, **dict(await operation.example(scene)))
                return str(made["id"])
        page = await scene.call(f"GET {endpoint.path.removesuffix('/{id}')}", limit=1)
        if not page["data"]:
            raise Unstaged(f"{endpoint.name}: its list is empty")
        return str(page["data"][0]["id"])
