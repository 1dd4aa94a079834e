"""Transport: who sent a request, through which proxies, and whether a live key came safely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from commerce.http.request import Request
from commerce.kernel.errors import ApiError
from commerce.kernel.network import Networks, is_loopback, parse_address
from commerce.resource.access import Principal

SINGLE = {
    name.lower().encode(): name
    for name in (
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "StateSet-Version",
        "X-Account-Id",
    )
}
"""The headers that say one thing: of two, another reader on the way may have gone by the other."""


class Came(NamedTuple):
    """How a request came: from which address, and whether nobody could read it on its way."""

    peer: str | None
    secure: bool


class Proxies:
    """The proxies whose word counts on where a request came from."""

    def __init__(self, trusted: Networks) -> None:
        self._trusted = trusted

    def came(self, scope: dict[str, Any]) -> Came:
        """Where a request of an ASGI scope came from; one without a client came from within."""
        client = scope.get("client")
        if not client:
            return Came(None, secure=True)
        peer = client[0]
        if self._trusted and parse_address(peer) in self._trusted:
            return self._forwarded(scope, peer)
        return Came(peer, secure=scope.get("scheme", "http") == "https" or is_loopback(peer))

    def _forwarded(self, scope: dict[str, Any], proxy: str) -> Came:
        """Where a trusted proxy says that a request came from.

        Each proxy adds the address it heard from at the right. So names are read from there,
        over the proxies that are trusted, to the first that is not: what stands further to the
        left is its own claim. A name that is no address ends the search at who passed it on.
        """
        schemes = _named(scope, b"x-forwarded-proto")
        names = _named(scope, b"x-forwarded-for")
        peer, known = proxy, bool(names) or not schemes
        for name in reversed(names):
            address = parse_address(name)
            if address is None:
                known = False
                break
            peer = str(address)
            if address not in self._trusted:
                break
        scheme = schemes[-1].lower() if schemes else scope.get("scheme", "http")
        return Came(peer, secure=scheme == "https" or (known and is_loopback(peer)))


def _named(scope: dict[str, Any], header: bytes) -> list[str]:
    """The members of a header that may stand several times, in their order."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
    return [member.strip() for line in lines for member in line.split(",")]


def stands_twice(fields: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The first header that says one thing and stands twice, as its name is written."""
    seen = set()
    for name, _ in fields:
        if name in seen and name in SINGLE:
            return SINGLE[name]
        seen.add(name)
    return None


def refuse_unsafe(request: Request, principal: Principal) -> None:
    """Refuse a live key that others may have seen.

    Raises `secret_key_in_browser` and `https_required`.
    """
    if not principal.livemode:
        return
    if principal.type == "secret" and b"sec-fetch-site" in request.headers:
        raise ApiError("secret_key_in_browser")
    if not request.secure:
        raise ApiError("https_required")
