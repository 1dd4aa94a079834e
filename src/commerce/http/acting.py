"""Acting on behalf of a connected account, by the `X-Account-Id` header."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from commerce.kernel.errors import ApiError
from commerce.resource.access import Principal

REMEMBERED_MAX = 100_000
_ACCOUNT_ID = re.compile(rb"acct_[0-9a-z]{26}")


class Connections:
    """Knows which account an account is connected to.

    It is fixed when the account is opened: neither a verb nor the database changes it. So what
    was read once is right for good, and needs no second look where money moves.
    """

    def __init__(self, parent_of: Callable[[str, bool], Awaitable[str | None]]) -> None:
        self._parent_of = parent_of
        self._known: dict[str, str] = {}

    async def acted_on(self, header: bytes | None, principal: Principal) -> str:
        """The account that a request acts for: the key's own, or the connected one it names.

        Raises `key_type_not_allowed` and `account_invalid`.
        """
        if header is None:
            return principal.account
        if principal.type == "public":
            message = "A public key may not act on behalf of an account."
            raise ApiError("key_type_not_allowed", message)
        if header == principal.account.encode():
            return principal.account
        if _ACCOUNT_ID.fullmatch(header) is not None:
            id_ = header.decode()
            if await self._parent(id_, principal.livemode) == principal.account:
                return id_
        message = "'X-Account-Id' names no account that is connected to this one."
        raise ApiError("account_invalid", message, param="X-Account-Id")

    async def _parent(self, id_: str, livemode: bool) -> str | None:
        parent = self._known.get(id_)
        if parent is None:
            parent = await self._parent_of(id_, livemode)
            if parent is not None:
                if len(self._known) >= REMEMBERED_MAX:
                    self._known.clear()
                self._known[id_] = parent
        return parent
