"""Who calls, and on whose behalf."""

from __future__ import annotations

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """On whose behalf a verb runs."""

    account: str
    livemode: bool
    request_id: str | None = None
    idempotency_key: str | None = None
    key: str | None = None
    """The API key that was used; None for the command line and for jobs."""
    key_account: str | None = None
    """Whose the key is, where it acts on behalf of another account; None: `account`'s own."""
    meter: str | None = None
    """What counts the money this key moves; None where the key has no limits."""
    public: bool = False
    """The key is a public one: anybody may have it, so it moves no money of its account."""
    operator: bool = False
    """The command line of the server itself: the one that sets plans and capabilities."""

    @property
    def key_owner(self) -> str:
        """The account that the key belongs to."""
        return self.key_account or self.account
