"""The journey of a request: match, authenticate, authorise, parse, run or read, render."""

from __future__ import annotations

from typing import Any, NamedTuple

from commerce.engine.answers import Answer, IdempotencyKey
from commerce.engine.command import Command
from commerce.engine.engine import Engine
from commerce.engine.overlay import Needs
from commerce.engine.tx import Caller, Tx
from commerce.http import idempotency, params
from commerce.http.auth import Authenticator, KeyRing
from commerce.http.body import parse_json
from commerce.http.request import Request, Response
from commerce.http.routes import Match, Router
from commerce.kernel.errors import ApiError
from commerce.kernel.version import API_VERSION
from commerce.resource import listing
from commerce.resource.access import Principal, authorise
from commerce.resource.operation import Nothing, Operation, Params, answer, encode
from commerce.resource.reading import Reader, Reading
from commerce.resource.registry import Endpoint
from commerce.resource.shelf import shelf_of

JSON_TYPES = (b"application/json",)
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
        if request.query:
            raise listing.unknown(next(iter(request.parameters()), ""), ())
        values = await self._body(request)
        parsed = params.convert(operation.params, values, match.path, strict=True)
        master_key = self.engine.means.master_key
        header = request.headers.get(b"idempotency-key")
        key = idempotency.read(header, parsed, operation, principal.key, master_key)
        request.idempotency_key = None if key is None else key.key
        caller = Caller(
            account=principal.account,
            livemode=principal.livemode,
            request_id=request.id,
            idempotency_key=request.idempotency_key,
            key=principal.key,
        )
        command = _command(operation, caller, parsed, key, self.authenticator.ring)
        given = await self.engine.submit(command)
        headers = (*given.headers, *REPLAYED) if given.replayed else given.headers
        return Response(given.status, given.body, headers)

    async def _body(self, request: Request) -> dict[str, Any]:
        body = await request.body(self.body_size_max)
        if body:
            given = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            if given not in JSON_TYPES:
                message = "Send the body as 'Content-Type: application/json'."
                raise ApiError("content_type_unsupported", message)
        return parse_json(body)

    async def _read(self, request: Request, principal: Principal, match: Match) -> Response:
        endpoint = match.endpoint
        caller = Caller(account=principal.account, livemode=principal.livemode)
        reading = Reading(self.reader, caller, self.engine.means.now())
        query = request.parameters()
        if endpoint.kind == "list":
            return await _list(reading, endpoint, query)
        values = {name: given[-1] for name, given in query.items()}
        if endpoint.kind == "view":
            operation = endpoint.operation
            assert operation is not None
            assert operation.read is not None
            parsed = params.convert(operation.params, values, match.path, strict=False)
            return Response(200, encode(await operation.read(reading, parsed)))
        params.convert(Nothing, values, {}, strict=False)
        assert endpoint.noun is not None
        shelf = shelf_of(endpoint.noun)
        if shelf is not None:
            return Response(200, encode(await shelf.get(reading, match.path["id"])))
        return Response(200, encode(await reading.get(endpoint.noun, match.path["id"])))


async def _list(reading: Reading, endpoint: Endpoint, query: dict[str, list[str]]) -> Response:
    assert endpoint.noun is not None
    url = f"/v1{endpoint.path}"
    shelf = shelf_of(endpoint.noun)
    if shelf is not None:
        return Response(200, encode(await shelf.page(reading, query, url)))
    asked = listing.parse(endpoint.noun.__noun__, query)
    return Response(200, encode(await listing.list_things(reading, endpoint.noun, asked, url)))


def _command(
    operation: Operation,
    caller: Caller,
    parsed: Params,
    key: IdempotencyKey | None,
    ring: KeyRing,
) -> Command:
    """A verb and its parameters, ready for the engine."""
    verb = operation.run
    assert verb is not None

    def run(tx: Tx) -> Answer:
        ring.check(tx)
        return answer(tx, verb(tx, parsed), secret=operation.secret)

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
