"""Authentication: from a header to a principal, remembered until somebody says otherwise."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.resource.access import Principal

REMEMBERED_MAX = 100_000


class KeyRing(NamedTuple):
    """What the area of identity knows of keys; `need` and `check` are part of every verb."""

    well_formed: Callable[[str], bool]
    hash_of: Callable[[str], bytes]
    principal: Callable[[bytes], Awaitable[Principal | None]]
    refuse_dead: Callable[[str, int | None, int], None]
    need: Callable[[Needs, Caller], None]
    check: Callable[[Tx], None]


class Authenticator:
    """Knows callers by their keys. Only hashes of keys are kept, in memory too."""

    def __init__(self, ring: KeyRing, *, networks: frozenset[bool], now: Callable[[], int]) -> None:
        self.ring = ring
        self._networks = networks
        self._now = now
        self._known: dict[bytes, Principal] = {}
        self._heard = 0

    async def authenticate(
        self, header: bytes | None, before_look_up: Callable[[], None] | None = None
    ) -> Principal:
        """The principal of an Authorization header. Raises the 401 codes.

        `before_look_up` may refuse to ask the database about a key that is not remembered.
        """
        secret = _bearer(header)
        hash_ = self.ring.hash_of(secret)
        principal = self._known.get(hash_)
        if principal is None:
            # A mistyped key is known by its checksum, without asking the database.
            if not self.ring.well_formed(secret):
                raise _refused("api_key_invalid")
            if before_look_up is not None:
                before_look_up()
            principal = await self._look_up(hash_)
        if not hmac.compare_digest(principal.hash, hash_):
            raise _refused("api_key_invalid")
        self.ring.refuse_dead(principal.status, principal.expires_at, self._now())
        if principal.livemode not in self._networks:
            mode = "live" if principal.livemode else "test"
            raise _refused("livemode_mismatch", f"This server takes no {mode} mode keys.")
        return principal

    async def _look_up(self, hash_: bytes) -> Principal:
        heard = self._heard
        principal = await self.ring.principal(hash_)
        if principal is None:
            raise _refused("api_key_invalid")
        # What was announced while the look-up ran may have been about this key.
        if heard == self._heard:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[hash_] = principal
        return principal

    def told(self, announcement: str | None) -> None:
        """Forget what an announcement says has changed; None: anything may have."""
        self._heard += 1
        if announcement is None:
            self._known.clear()
            return
        table, _, id_ = announcement.partition(":")
        if table == "api_key":
            gone = [hash_ for hash_, known in self._known.items() if known.key == id_]
            for hash_ in gone:
                del self._known[hash_]


def _bearer(header: bytes | None) -> str:
    if header is None:
        raise _refused("api_key_missing")
    scheme, _, secret = header.partition(b" ")
    if scheme.lower() != b"bearer" or not secret:
        raise _refused("api_key_invalid", "Send the key as 'Authorization: Bearer <key>'.")
    return secret.strip().decode("latin-1")


def _refused(code: str, message: str | None = None) -> ApiError:
    return ApiError(code, message, headers={"WWW-Authenticate": "Bearer"})
