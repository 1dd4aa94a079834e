"""The ASGI application: sockets on one side, the pipeline on the other, nothing lost between."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from commerce.http import cors
from commerce.http.cors import Cors
from commerce.http.limits.address import Addresses
from commerce.http.request import Disconnected, Receive, Request, Response, Send
from commerce.http.transport import Proxies, stands_twice
from commerce.kernel.errors import ApiError
from commerce.kernel.network import Networks, parse_address
from commerce.kernel.version import API_VERSION
from commerce.store.session import StoreUnavailable

if TYPE_CHECKING:
    from commerce.http.pipeline import Pipeline

log = structlog.get_logger("commerce.http")

_CONTENT_TYPES: dict[str, tuple[bytes, bytes]] = {}
_VERSION = (b"stateset-version", API_VERSION.encode())

METRICS = "/metrics"
_FORWARDED = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"})
PREFLIGHT = "OPTIONS"
"""What requests by which browsers ask for leave are counted as."""
FREE = frozenset({"/healthz", METRICS})
"""The pages that are for those who look after the server, at no cost and no limit."""

RECEIPTS = "/receipts/"
"""Below it each receipt has its page, at an address that nobody guesses."""

Page = Callable[[], Awaitable[Response]]
Receipt = Callable[[str], Awaitable[Response]]
Answered = Callable[[str, int, int, str | None, str | None], None]
"""Told of each answer: the operation, the status, the nanoseconds, the error's code, the plan."""


class Tracing(Protocol):
    """What requests are told to where they are traced."""

    def began(self, request_id: str, method: str) -> None:
        """A request has come."""

    def ended(self, request_id: str, operation: str, status: int | None, code: str | None) -> None:
        """It was answered, or its client has gone: then there is no status."""


def page_operation(path: str) -> str:
    """What a page is counted as: the pages of the reference are one, and so are receipts."""
    if path.startswith(RECEIPTS):
        return "GET /receipts"
    return "GET /docs" if path.startswith("/docs") else f"GET {path}"


_NUMBER = re.compile(r"[0-9](?:(?:[ +_-]|%20|%2B)?[0-9]){11,}")
"""Twelve digits or more, as a card's number has, however they are set apart."""


def _shown(path: str) -> str:
    """As much of a path as is logged: no number that somebody may have sent by mistake.

    Nor what opens a receipt: whoever has its whole address may see it.
    """
    if path.startswith(RECEIPTS):
        path = path.partition("-")[0] + "-…"
    return _NUMBER.sub("*", path)[:200]


class Application:
    """Answers requests: pages without a key (health, documents) and the API's operations."""

    def __init__(  # noqa: PLR0913 - the composition alone makes one, by keyword
        self,
        pipeline: Pipeline,
        pages: dict[str, Page],
        *,
        receipt: Receipt | None = None,
        new_id: Callable[[], str],
        docs_url: str,
        log_request: Callable[..., None],
        answered: Answered,
        watchers: Networks,
        tracing: Tracing | None,
        proxies: Networks,
        cors_origins: str,
        addresses: Addresses | None,
    ) -> None:
        self._pipeline = pipeline
        self._pages = pages
        self._receipt = receipt
        self._new_id = new_id
        self._docs_url = docs_url
        self._log_request = log_request
        self._answered = answered
        self._watchers = watchers
        self._tracing = tracing
        self._proxies = Proxies(proxies)
        self._behind_proxies = bool(proxies)
        self._cors = Cors(cors_origins)
        self._addresses = addresses

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        came = self._proxies.came(scope)
        fields = scope["headers"]
        request = Request(
            id=self._new_id(),
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"],
            headers=dict(fields),
            receive=receive,
            peer=came.peer,
            secure=came.secure,
            whole=scope.get("body"),
        )
        code: str | None = None
        if self._tracing is not None:
            self._tracing.began(request.id, request.method)
        try:
            if len(request.headers) != len(fields) and (twice := stands_twice(fields)):
                self._charge(request)
                message = f"The header '{twice}' stands twice."
                raise ApiError("parameter_invalid", message, param=twice)  # noqa: TRY301 - as all
            response = await self._answer(request)
        except Disconnected:
            if self._tracing is not None:
                self._tracing.ended(request.id, request.operation, None, None)
            return
        except Exception as error:  # noqa: BLE001 - the one place where nothing may escape
            response, code = self._refusal(request, error)
        # Before it is sent: who has an answer, and asks another process, finds it counted.
        nanoseconds = int((time.perf_counter() - started) * 1_000_000_000)
        self._answered(request.operation, response.status, nanoseconds, code, request.plan)
        await _send(send, request, response, self._cors.headers(request))
        if self._tracing is not None:
            self._tracing.ended(request.id, request.operation, response.status, code)
        self._log_request(
            request_id=request.id,
            method=request.method,
            path=_shown(request.path),
            status=response.status,
            code=code,
            account=request.account,
            idempotency_key=request.idempotency_key,
            milliseconds=round((time.perf_counter() - started) * 1000, 2),
        )

    async def _answer(self, request: Request) -> Response:
        if cors.is_preflight(request):
            request.operation = PREFLIGHT
            return cors.preflight()
        page = self._page(request.path)
        if page is None or (request.path == METRICS and not self._may_watch(request)):
            return await self._pipeline.run(request)
        request.operation = page_operation(request.path)
        if request.path not in FREE:
            self._charge(request)
        if request.method not in ("GET", "HEAD"):
            raise ApiError("method_not_allowed", headers={"Allow": "GET, HEAD"})
        return await page()

    def _page(self, path: str) -> Page | None:
        """What is shown at a path to whoever asks; None where it is the pipeline's."""
        if self._receipt is not None and path.startswith(RECEIPTS):
            return partial(self._receipt, path.removeprefix(RECEIPTS))
        return self._pages.get(path)

    def _may_watch(self, request: Request) -> bool:
        """Whether metrics are shown to who asks; to others there is nothing at their path.

        What a proxy passed on that nobody trusts may come from anywhere.
        """
        passed_on = not _FORWARDED.isdisjoint(request.headers) and not self._behind_proxies
        return request.peer is None or (
            parse_address(request.peer) in self._watchers and not passed_on
        )

    def _charge(self, request: Request) -> None:
        """Charge to its address what nobody's key pays for. Raises `rate_limit_exceeded`."""
        if self._addresses is not None:
            self._addresses.take(request)

    def _refusal(self, request: Request, error: Exception) -> tuple[Response, str]:
        """The answer that an error is. What is not an `ApiError` is told to the log alone."""
        if isinstance(error, StoreUnavailable):
            log.warning("store_unavailable", request_id=request.id, reason=str(error))
            error = ApiError("unavailable", headers={"Retry-After": "1"})
        elif not isinstance(error, ApiError):
            log.error("request_failed", request_id=request.id, exc_info=error)
            error = ApiError("internal_error")
        assert isinstance(error, ApiError)
        body = msgspec.json.encode(error.body(request.id, self._docs_url))
        return Response(error.status, body, tuple(error.headers.items())), error.code


async def _send(
    send: Send, request: Request, response: Response, cross_origin: Sequence[tuple[bytes, bytes]]
) -> None:
    content_type = _CONTENT_TYPES.get(response.content_type)
    if content_type is None:
        content_type = (b"content-type", response.content_type.encode())
        _CONTENT_TYPES[response.content_type] = content_type
    headers = [
        (b"request-id", request.id.encode()),
        _VERSION,
        *request.limits,
        *cross_origin,
    ]
    if response.status != HTTPStatus.NOT_MODIFIED:
        # Of a 304 they would speak of the answer that the client has (RFC 9110, 8.6).
        headers += [content_type, (b"content-length", str(len(response.body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = b"" if request.method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})
