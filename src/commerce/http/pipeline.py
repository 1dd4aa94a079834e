"""The journey of a request: match, authenticate, authorise, limit, parse, run or read, render."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import msgspec

from commerce.engine.answers import Answer, IdempotencyKey
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.condition import Condition, require_met
from commerce.engine.engine import Engine
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.http import conditional, idempotency, params, transport
from commerce.http.acting import Connections
from commerce.http.auth import Authenticator, KeyRing
from commerce.http.body import parse_json
from commerce.http.form import parse_form
from commerce.http.limits.account import Limiter
from commerce.http.limits.address import Addresses
from commerce.http.request import Parameters, Request, Response, split_expand
from commerce.http.routes import Match, Router
from commerce.kernel.errors import ApiError
from commerce.kernel.version import API_VERSION
from commerce.kernel.wording import unknown
from commerce.resource import listing
from commerce.resource.access import Principal, authorise
from commerce.resource.expansion import NOTHING, Expander, Plan, expanded, expanded_in
from commerce.resource.filter import single
from commerce.resource.noun import Noun
from commerce.resource.operation import Access, Nothing, Operation, Params, answer, encode
from commerce.resource.reading import Reader, Reading
from commerce.resource.registry import Endpoint
from commerce.resource.shelf import shelf_of
from commerce.store.session import StoreUnavailable

JSON_TYPE = b"application/json"
FORM_TYPE = b"application/x-www-form-urlencoded"
IDENTITY = b"identity"
"""The name of no encoding of a body."""
_CHARSET = re.compile(rb"(?:^|;)\s*charset\s*=\s*\"?([^\";\s]*)", re.IGNORECASE)
ROWS_A_VERB = 10
"""About as many rows a verb writes that says nothing else: a transfer, its entries, its event."""
REPLAYED = (("Idempotent-Replayed", "true"),)


class Pipeline(NamedTuple):
    """What every request passes through."""

    router: Router
    authenticator: Authenticator
    engine: Engine
    reader: Reader
    body_size_max: int
    limiter: Limiter | None
    addresses: Addresses | None
    connections: Connections
    expander: Expander

    async def run(self, request: Request) -> Response:
        """Answer a request. Raises `ApiError`."""
        try:
            match = self.router.match(request.method, request.path)
        except ApiError as missing:
            raise await self._lost(request, missing) from None
        request.operation = match.endpoint.name
        principal = await self._authenticate(request)
        request.account = principal.account
        try:
            transport.refuse_unsafe(request, principal)
            authorise(principal, match.endpoint.access)
        except ApiError:
            await self._charge(request, principal)
            raise
        if self.limiter is not None:
            await self.limiter.take(request, principal.charged, principal.livemode)
        named = request.headers.get(b"x-account-id")
        caller = _caller(request, principal, await self.connections.acted_on(named, principal))
        request.account = caller.account
        _require_version(request.headers.get(b"stateset-version"))
        if match.endpoint.kind == "verb":
            return await self._write(request, principal, caller, match)
        return await self._read(request, principal, caller, match)

    async def _authenticate(self, request: Request) -> Principal:
        """Who calls. Who cannot say is charged by address, and asks the database in bounds."""
        header, addresses = request.headers.get(b"authorization"), self.addresses
        guard = None if addresses is None else partial(addresses.check, request.peer)
        try:
            return await self.authenticator.authenticate(header, guard)
        except ApiError:
            if addresses is not None:
                addresses.take(request)
            raise

    async def _lost(self, request: Request, missing: ApiError) -> ApiError:
        """What to answer where nothing is: that, unless who asks has asked too often for nobody."""
        try:
            await self._charge(request, await self._authenticate(request))
        except ApiError as refusal:
            return refusal if refusal.type == "rate_limit_error" else missing
        except StoreUnavailable:
            return missing
        return missing

    async def _charge(self, request: Request, principal: Principal) -> None:
        """Charge a request that is refused anyway to whoever sent it."""
        if self.limiter is not None:
            with suppress(ApiError, StoreUnavailable):
                await self.limiter.take(request, principal.charged, principal.livemode)

    async def _write(
        self, request: Request, principal: Principal, caller: Caller, match: Match
    ) -> Response:
        operation = match.endpoint.operation
        assert operation is not None
        expand, rest = split_expand(request.parameters())
        if rest:
            raise unknown(next(iter(rest)), ("expand[]",))
        plan = self._plan(principal, operation.returns, expand)
        condition = conditional.condition(request.headers.get(b"if-match"), match.path)
        parsed = await self._parsed(request, operation.params, match.path)
        master_key = self.engine.means.master_key
        header = request.headers.get(b"idempotency-key")
        key = idempotency.read(header, parsed, operation, principal.key, master_key, plan.paths)
        if key is not None:
            request.idempotency_key = key.key
            caller = msgspec.structs.replace(caller, idempotency_key=key.key)
        wish = Wish(plan, condition)
        command = _command(operation, caller, parsed, key, self.authenticator.ring, wish)
        given = await self.engine.submit(command)
        headers = (*given.headers, *REPLAYED) if given.replayed else given.headers
        return Response(given.status, given.body, headers)

    async def _parsed(self, request: Request, type_: type[Params], path: dict[str, str]) -> Params:
        """The parameters in a body, and in the path."""
        body = await request.body(self.body_size_max)
        given, _, rest = request.headers.get(b"content-type", b"").partition(b";")
        given = given.strip().lower()
        if body and given not in (JSON_TYPE, FORM_TYPE):
            message = "Send the body as 'Content-Type: application/json'."
            raise ApiError("content_type_unsupported", message, param="Content-Type")
        if body and request.headers.get(b"content-encoding", IDENTITY).lower() != IDENTITY:
            message = "Send the body as it is: no 'Content-Encoding' is taken."
            raise ApiError("content_type_unsupported", message, param="Content-Encoding")
        charset = _CHARSET.search(rest)
        if body and charset is not None and charset[1].lower() not in (b"utf-8", b"utf8"):
            message = "Send the body in UTF-8, the only charset that is taken."
            raise ApiError("content_type_unsupported", message, param="Content-Type")
        if given == FORM_TYPE:
            return params.convert(type_, parse_form(body, type_), path, strict=False)
        return params.convert(type_, parse_json(body), path, strict=True)

    def _plan(
        self, principal: Principal, returns: Any, paths: list[str], *, listed: bool = False
    ) -> Plan:
        """What is to be expanded, if the principal may read it."""
        plan = self.expander.plan(returns, paths, listed=listed)
        for scope in plan.scopes:
            authorise(principal, Access(scope))
        return plan

    async def _read(
        self, request: Request, principal: Principal, caller: Caller, match: Match
    ) -> Response:
        endpoint = match.endpoint
        reading = Reading(self.reader, caller, self.engine.means.now())
        expand, query = split_expand(request.parameters())
        returns = endpoint.noun or (endpoint.operation and endpoint.operation.returns)
        plan = self._plan(principal, returns, expand, listed=endpoint.kind == "list")
        thing = await _thing(reading, endpoint, query, match.path)
        state = reading.state(thing) if isinstance(thing, Noun) else None
        body = await expanded(reading, plan, encode(thing))
        at = getattr(type(thing), "read_at", None)
        moment = None if at is None else f'"{at}":{getattr(thing, at)}'.encode()
        return conditional.answered(body, state, request.headers.get(b"if-none-match"), moment)


async def _thing(
    reading: Reading, endpoint: Endpoint, query: Parameters, path: dict[str, str]
) -> Any:
    """What an endpoint reads."""
    operation = endpoint.operation
    if operation is not None:
        assert operation.read is not None
        parsed = params.convert(operation.params, single(query), path, strict=False)
        return await operation.read(reading, parsed)
    assert endpoint.noun is not None
    shelf = shelf_of(endpoint.noun)
    if endpoint.kind == "list":
        if shelf is not None:
            return await shelf.page(reading, query, endpoint.url)
        asked = listing.parse(endpoint.noun.__noun__, query)
        return await listing.list_things(reading, endpoint.noun, asked, endpoint.url)
    params.convert(Nothing, single(query), {}, strict=False)
    get = partial(reading.get, endpoint.noun) if shelf is None else partial(shelf.get, reading)
    return await get(path["id"])


class Wish(NamedTuple):
    """What a write asks for beside its parameters."""

    plan: Plan = NOTHING
    condition: Condition | None = None


PLAIN = Wish()


def _command(  # noqa: PLR0913, PLR0917 - all that a verb is run with
    operation: Operation,
    caller: Caller,
    parsed: Params,
    key: IdempotencyKey | None,
    ring: KeyRing,
    wish: Wish = PLAIN,
) -> Command:
    """A verb and its parameters, ready for the engine."""
    verb = operation.run
    assert verb is not None

    def run(tx: Tx) -> Answer:
        ring.check(tx)
        tx.condition = wish.condition
        given = answer(tx, verb(tx, parsed), secret=operation.secret, plan=wish.plan)
        require_met(tx.condition)
        if not wish.plan.steps or given.errand is not None:
            return given
        # The answer differs from its event now, so it is kept by itself.
        return given._replace(body=expanded_in(tx, wish.plan, given.body), event=None)

    def needs(needs: Needs) -> None:
        ring.need(needs, caller)
        if operation.needs is not None:
            operation.needs(needs, caller, parsed)

    weight = ROWS_A_VERB if operation.weight is None else operation.weight(parsed)
    return Command(caller, run, needs, key, weight)


def _caller(request: Request, principal: Principal, account: str) -> Caller:
    """Who acts: a key, for its own account or on behalf of a connected one."""
    return Caller(
        account=account,
        livemode=principal.livemode,
        request_id=request.id,
        key=principal.key,
        key_account=None if account == principal.account else principal.account,
        meter=principal.meter,
        public=principal.type == "public",
    )


def _require_version(header: bytes | None) -> None:
    if header is not None and header.decode("latin-1") != API_VERSION:
        message = f"The only version is '{API_VERSION}'."
        raise ApiError("api_version_unknown", message, param="StateSet-Version")
