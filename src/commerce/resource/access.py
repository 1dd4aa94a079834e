"""Who calls, and what it may do: principals, scopes, key types."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from commerce.kernel.errors import ApiError
from commerce.resource.operation import Access

KeyType = Literal["secret", "public", "restricted"]

Scope = Literal[
    "stablecoin:read",
    "stablecoin:issue",
    "stablecoin:redeem",
    "stablecoin:transfer",
    "payments:read",
    "payments:write",
    "orders:read",
    "orders:write",
    "customers:read",
    "customers:write",
    "products:read",
    "products:write",
    "finance:read",
    "finance:write",
    "agents:read",
    "agents:write",
    "agents:execute",
    "global:read",
    "global:write",
    "webhooks:read",
    "webhooks:write",
    "events:read",
    "accounts:read",
    "accounts:write",
    "keys:read",
    "keys:write",
    "reserves:operate",
]
SCOPES: tuple[str, ...] = get_args(Scope)


class Principal(msgspec.Struct, frozen=True):
    """Who a key speaks for, as it was when the key was last looked up."""

    account: str
    livemode: bool
    key: str
    type: KeyType
    scopes: frozenset[str]
    status: str
    """`active`, `expired` or `revoked`, as it was written down: see `expires_at` as well."""
    expires_at: int | None
    hash: bytes
    meter: str | None = None
    """What counts the money the key moves; None where it has no limits. It never changes."""
    root: str | None = None
    """The account that is charged for its requests, where it is another than its own: the first
    of its line of connected accounts. It never changes."""

    @property
    def charged(self) -> str:
        """The account in whose bucket its requests count."""
        return self.root or self.account


def widened(scopes: frozenset[str]) -> frozenset[str]:
    """Scopes with what they imply: `write` implies `read`."""
    implied = {f"{scope.partition(':')[0]}:read" for scope in scopes if scope.endswith(":write")}
    return scopes | (implied & set(SCOPES))


def authorise(principal: Principal, access: Access) -> None:
    """Let the principal through, or say what is missing. Raises 403 codes."""
    if principal.type == "secret":
        return
    if principal.type == "public":
        if access.public:
            return
        raise ApiError("key_type_not_allowed", "A public key may not call this operation.")
    if not access.any_key and access.scope not in principal.scopes:
        message = f"This key lacks the scope '{access.scope}'."
        raise ApiError("insufficient_permissions", message)
