"""The ASGI application: sockets on one side, the pipeline on the other, nothing lost between."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from commerce.http import cors
from commerce.http.cors import Cors
from commerce.http.limits.address import Addresses
from commerce.http.request import Disconnected, Receive, Request, Response, Send
from commerce.http.transport import Proxies, stands_twice
from commerce.kernel.errors import ApiError
from commerce.kernel.network import Networks
from commerce.kernel.version import API_VERSION
from commerce.store.session import StoreUnavailable

if TYPE_CHECKING:
    from commerce.http.pipeline import Pipeline

log = structlog.get_logger("commerce.http")

_CONTENT_TYPES: dict[str, tuple[bytes, bytes]] = {}
_VERSION = (b"stateset-version", API_VERSION.encode())

FREE = frozenset({"/healthz", "/metrics"})
"""The pages that are for those who look after the server, at no cost and no limit."""

Page = Callable[[], Awaitable[Response]]


class Application:
    """Answers requests: pages without a key (health, documents) and the API's operations."""

    def __init__(  # noqa: PLR0913 - the composition alone makes one, by keyword
        self,
        pipeline: Pipeline,
        pages: dict[str, Page],
        *,
        new_id: Callable[[], str],
        docs_url: str,
        log_request: Callable[..., None],
        proxies: Networks,
        cors_origins: str,
        addresses: Addresses | None,
    ) -> None:
        self._pipeline = pipeline
        self._pages = pages
        self._new_id = new_id
        self._docs_url = docs_url
        self._log_request = log_request
        self._proxies = Proxies(proxies)
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
        try:
            if len(request.headers) != len(fields) and (twice := stands_twice(fields)):
                self._charge(request)
                message = f"The header '{twice}' stands twice."
                raise ApiError("parameter_invalid", message, param=twice)  # noqa: TRY301 - as all
            response = await self._answer(request)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - the one place where nothing may escape
            response, code = self._refusal(request, error)
        await _send(send, request, response, self._cors.headers(request))
        self._log_request(
            request_id=request.id,
            method=request.method,
            path=request.path[:200],
            status=response.status,
            code=code,
            account=request.account,
            idempotency_key=request.idempotency_key,
            milliseconds=round((time.perf_counter() - started) * 1000, 2),
        )

    async def _answer(self, request: Request) -> Response:
        if cors.is_preflight(request):
            return cors.preflight()
        page = self._pages.get(request.path)
        if page is None:
            return await self._pipeline.run(request)
        if request.path not in FREE:
            self._charge(request)
        if request.method not in ("GET", "HEAD"):
            raise ApiError("method_not_allowed", headers={"Allow": "GET, HEAD"})
        return await page()

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
