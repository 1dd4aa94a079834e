"""The journey of a request: match, authenticate, authorise, parse, run or read, render."""

from __future__ import annotations

from typing import Any, NamedTuple

from commerce.engine.answers import Answer, IdempotencyKey
from commerce.engine.command import Command
from commerce.engine.condition import Condition, require_met
from commerce.engine.engine import Engine
from commerce.engine.overlay import Needs
from commerce.engine.tx import Caller, Tx
from commerce.http import conditional, idempotency, params
from commerce.http.auth import Authenticator, KeyRing
from commerce.http.body import parse_json
from commerce.http.form import parse_form
from commerce.http.request import Parameters, Request, Response, split_expand
from commerce.http.routes import Match, Router
from commerce.kernel.errors import ApiError
from commerce.kernel.version import API_VERSION
from commerce.resource import listing
from commerce.resource.access import Principal, authorise
from commerce.resource.expansion import NOTHING, Expander, Plan, expanded, expanded_in
from commerce.resource.filter import single, unknown
from commerce.resource.noun import Noun
from commerce.resource.operation import Access, Nothing, Operation, Params, answer, encode
from commerce.resource.reading import Reader, Reading
from commerce.resource.registry import Endpoint

JSON_TYPE = b"application/json"
FORM_TYPE = b"application/x-www-form-urlencoded"
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
    expander: Expander

    async def run(self, request: Request) -> Response:
        """Answer a request. Raises `ApiError`."""
        match = self.router.match(request.method, request.path)
        principal = await self.authenticator.authenticate(request.headers.get(b"authorization"))
        request.account = principal.account
        authorise(principal, match.endpoint.access)
        _require_own_account(request.headers.get(b"x-account-id"), principal)
        _require_version(request.headers.get(b"stateset-version"))
        if match.endpoint.kind == "verb":
            return await self._write(request, principal, match)
        return await self._read(request, principal, match)

    async def _write(self, request: Request, principal: Principal, match: Match) -> Response:
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
        request.idempotency_key = None if key is None else key.key
        caller = Caller(
            account=principal.account,
            livemode=principal.livemode,
            request_id=request.id,
            idempotency_key=request.idempotency_key,
            key=principal.key,
        )
        wish = Wish(plan, condition)
        command = _command(operation, caller, parsed, key, self.authenticator.ring, wish)
        given = await self.engine.submit(command)
        headers = (*given.headers, *REPLAYED) if given.replayed else given.headers
        return Response(given.status, given.body, headers)

    async def _parsed(self, request: Request, type_: type[Params], path: dict[str, str]) -> Params:
        """The parameters in a body, and in the path."""
        body = await request.body(self.body_size_max)
        given = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if body and given == FORM_TYPE:
            return params.convert(type_, parse_form(body, type_), path, strict=False)
        if body and given != JSON_TYPE:
            message = "Send the body as 'Content-Type: application/json'."
            raise ApiError("content_type_unsupported", message)
        return params.convert(type_, parse_json(body), path, strict=True)

    def _plan(
        self, principal: Principal, returns: Any, paths: list[str], *, listed: bool = False
    ) -> Plan:
        """What is to be expanded, if the principal may read it."""
        plan = self.expander.plan(returns, paths, listed=listed)
        for scope in plan.scopes:
            authorise(principal, Access(scope))
        return plan

    async def _read(self, request: Request, principal: Principal, match: Match) -> Response:
        endpoint = match.endpoint
        caller = Caller(account=principal.account, livemode=principal.livemode)
        reading = Reading(self.reader, caller, self.engine.means.now())
        expand, query = split_expand(request.parameters())
        returns = endpoint.noun or (endpoint.operation and endpoint.operation.returns)
        plan = self._plan(principal, returns, expand, listed=endpoint.kind == "list")
        thing = await _thing(reading, endpoint, query, match.path)
        state = reading.state(thing) if isinstance(thing, Noun) else None
        body = await expanded(reading, plan, encode(thing))
        return conditional.answered(body, state, request.headers.get(b"if-none-match"))


async def _thing(
    reading: Reading, endpoint: Endpoint, query: Parameters, path: dict[str, str]
) -> Any:
    """What an endpoint reads."""
    if endpoint.kind == "view":
        operation = endpoint.operation
        assert operation is not None
        assert operation.read is not None
        parsed = params.convert(operation.params, single(query), path, strict=False)
        return await operation.read(reading, parsed)
    assert endpoint.noun is not None
    if endpoint.kind == "list":
        asked = listing.parse(endpoint.noun.__noun__, query)
        return await listing.list_things(reading, endpoint.noun, asked, f"/v1{endpoint.path}")
    params.convert(Nothing, single(query), {}, strict=False)
    return await reading.get(endpoint.noun, path["id"])


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
        given = answer(tx, verb(tx, parsed), secret=operation.secret)
        require_met(tx.condition)
        if not wish.plan.steps:
            return given
        # The answer differs from its event now, so it is kept by itself.
        return given._replace(body=expanded_in(tx, wish.plan, given.body), event=None)

    def needs(needs: Needs) -> None:
        ring.need(needs, caller)
        if operation.needs is not None:
            operation.needs(needs, caller, parsed)

    weight = ROWS_A_VERB if operation.weight is None else operation.weight(parsed)
    return Command(caller, run, needs, key, weight)


def _require_own_account(header: bytes | None, principal: Principal) -> None:
    """Refuse to act for another account rather than act for the wrong one."""
    if header is not None and header.decode("latin-1") != principal.account:
        raise ApiError("account_invalid", "No such account is connected to this one.")


def _require_version(header: bytes | None) -> None:
    if header is not None and header.decode("latin-1") != API_VERSION:
        message = f"The only version is '{API_VERSION}'."
        raise ApiError("api_version_unknown", message, param="StateSet-Version")
