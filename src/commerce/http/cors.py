"""CORS: what pages of other origins may send and read. Keys are no cookies: no credentials."""

from __future__ import annotations

from commerce.http.request import Request, Response

METHODS = "GET, POST, PATCH, PUT, DELETE"
ALLOWED = (
    "authorization, content-type, idempotency-key, x-account-id, stateset-version, if-match,"
    " if-none-match"
)
EXPOSED = (
    b"Request-Id, ETag, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset,"
    b" RateLimit, RateLimit-Policy, Idempotent-Replayed"
)
PREFLIGHT_SECONDS = 86_400
"""How long a browser may remember what it was told; none remembers it for longer than a day."""

Headers = tuple[tuple[bytes, bytes], ...]

_EXPOSED = (b"access-control-expose-headers", EXPOSED)
_ANY: Headers = ((b"access-control-allow-origin", b"*"), _EXPOSED)
_VARY: Headers = ((b"vary", b"Origin"),)


class Cors:
    """The origins whose pages may call."""

    def __init__(self, origins: str) -> None:
        """Take `*`, or origins with commas between."""
        self._any = origins == "*"
        self._allowed = {origin.strip().lower().encode() for origin in origins.split(",")}

    def headers(self, request: Request) -> Headers:
        """What every answer says, errors too: whether the page that asked may read it."""
        origin = request.headers.get(b"origin")
        if self._any:
            return () if origin is None else _ANY
        if origin is None or origin.lower() not in self._allowed:
            return _VARY
        return (*_VARY, (b"access-control-allow-origin", origin), _EXPOSED)


def is_preflight(request: Request) -> bool:
    """Whether a browser asks beforehand what it may send."""
    return (
        request.method == "OPTIONS"
        and b"origin" in request.headers
        and b"access-control-request-method" in request.headers
    )


def preflight() -> Response:
    """What may be sent, wherever it goes: a path that is not there says so when it is asked for.

    Whether this origin may send it at all stands in `access-control-allow-origin`, as ever.
    """
    headers = (
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", ALLOWED),
        ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
    )
    return Response(200, b"", headers, content_type="text/plain")
