"""Permission: what a key must be allowed beside what its operation asks for."""

from __future__ import annotations

from commerce.areas.identity.api_key import TABLE, ApiKey
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.resource.access import Scope, widened


def need(needs: Needs, caller: Caller) -> None:
    """The row that `require` reads."""
    if caller.key is not None:
        needs.row(TABLE.key, (caller.key_owner, caller.livemode, caller.key))


def require(tx: Tx, scope: Scope, *, param: str) -> None:
    """See that a restricted key has a scope, where a parameter asks for what that is about.

    A verb of one group may do another group's work within, such as an order that is paid as it is
    made. Raises `insufficient_permissions`, which names the scope.
    """
    caller = tx.caller
    if caller.key is None:
        return
    key = tx.get(ApiKey, caller.key, account=caller.key_owner)
    if key.type == "restricted" and scope not in widened(frozenset(key.scopes)):
        message = f"This key lacks the scope '{scope}', which '{param}' asks for."
        raise ApiError("insufficient_permissions", message, param=param)
