"""Mutants of acting on behalf of a connected account: for the wrong one, or for anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from commerce.areas.identity import account
from commerce.engine.caller import Caller
from commerce.http.acting import Connections


def the_header_is_not_read(patch: pytest.MonkeyPatch) -> None:
    """Whoever acts for another pays for it."""

    async def own(_: Connections, __: bytes | None, principal: Any) -> Any:
        return principal.account

    patch.setattr(Connections, "acted_on", own)


def anybody_may_be_acted_for(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks which account the named one is connected to."""

    async def anybody(_: Connections, header: bytes | None, principal: Any) -> Any:
        return principal.account if header is None else header.decode()

    patch.setattr(Connections, "acted_on", anybody)


def who_is_acted_for_has_the_limits_of_the_key(patch: pytest.MonkeyPatch) -> None:
    """A key's limits are looked for on the account that it acts for."""
    patch.setattr(Caller, "key_owner", property(lambda self: self.account))


def a_line_is_not_one_party(patch: pytest.MonkeyPatch) -> None:
    """Who operates the reserves pays out what its own connected account redeems."""
    patch.setattr(account, "family", lambda _, whose: f"the family of {whose}")


def a_connected_account_is_nobodys(patch: pytest.MonkeyPatch) -> None:
    """Nobody writes down to which account one is connected."""
    opened: Any = account._open

    def alone(*given: Any, **named: Any) -> Any:
        *rest, _ = given
        return opened(*rest, None, **named)

    patch.setattr(account, "_open", alone)


SEEDS: dict[Callable[[pytest.MonkeyPatch], None], int] = {
    the_header_is_not_read: 0,
    anybody_may_be_acted_for: 0,
    who_is_acted_for_has_the_limits_of_the_key: 0,
    a_line_is_not_one_party: 7,
    a_connected_account_is_nobodys: 0,
}
