"""API keys: what proves who calls. A key is shown once and kept as a hash."""

from __future__ import annotations

import hashlib
import zlib
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from commerce.areas.identity.account import family_of
from commerce.areas.identity.key_limit import (
    KeyLimits,
    LimitsGiven,
    Reach,
    Recipients,
    kept_limits,
    kept_recipients,
    lacking,
)
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.resource.access import KeyType, Principal, Scope, widened
from commerce.resource.example import Example
from commerce.resource.noun import COMPUTED, HEX, HIDDEN, Noun, Time, noun
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id, Moment, Name
from commerce.resource.reading import Reader, Reading
from commerce.store.table import Index

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = {"secret": "sk", "public": "pk", "restricted": "rk"}
_SECRET_BYTES = 20
EXPIRE = "api_key.expire"
"""The job that writes down that a key has expired."""
_BODY_LENGTH = 27
"""Base62 digits of 160 random bits."""
_CHECK_LENGTH = 6


@noun(
    prefix="key",
    rank=50,
    path="api_keys",
    scope="keys:read",
    filters=("type", "status", "expires_at", "revoked_at"),
    announced=True,
)
class ApiKey(Noun, tag="api_key", frozen=True, kw_only=True):
    """A key to the API, of one account and one mode."""

    emits: ClassVar = (
        *("api_key.created", "api_key.updated", "api_key.expired", "api_key.revoked"),
    )

    type: KeyType
    """What the key may do: everything (`secret`), next to nothing (`public`), or its scopes."""
    name: str | None = None
    """Your name for the key."""
    scopes: list[Scope]
    """What a restricted key may do; empty for others."""
    redacted: str
    """The key's beginning and its last four characters, to know it by."""
    status: Literal["active", "expired", "revoked"]
    """Whether it still opens anything. At its `expires_at` it is `expired` at once; the event of
    that, and lists by status, may come a second or two later."""
    expires_at: Time | None = None
    """From when on the key opens nothing."""
    revoked_at: Time | None = None
    """When the key was revoked."""
    replaced_by: str | None = None
    """The key that it was rolled to; null for one that was not rolled. A key is rolled once."""
    limits: KeyLimits | None = None
    """How much the key may move; null where it is not limited."""
    recipients: list[str] | None = None
    """The only addresses the key may send to; null where it may send to any."""
    secret: Annotated[str | None, COMPUTED] = None
    """The key itself: in the answer that made it, and null ever after."""
    hash: Annotated[str, HIDDEN, HEX]
    """SHA-256 of the key, which has 160 random bits and so cannot be guessed from it."""
    meter: Annotated[str | None, HIDDEN] = None
    """What counts the money it moves: `<account>:<key>`, of the first key in its line.

    A key that was rolled, or made by a limited key, goes on counting on the same meter: limits
    are not begun anew by a new key.
    """

    @staticmethod
    async def complete(reading: Reading, found: list[ApiKey]) -> list[ApiKey]:
        """The same with their status as it is now."""
        return [each.at(reading.now) for each in found]

    def at(self, now: int) -> ApiKey:
        """The key as it is at a time: expired, also before that was written down."""
        over = self.expires_at is not None and self.expires_at <= now
        if not over or self.status != "active":
            return self
        return msgspec.structs.replace(self, status="expired")

    @property
    def reach(self) -> Reach:
        """All that it can do."""
        return Reach(self.type, self.scopes, self.expires_at, self.limits, self.recipients)


TABLE = ApiKey.__noun__.table
BY_HASH = Index(TABLE, ("hash",))
HASH_AT = TABLE.names.index("hash")
LIFE = Index(
    TABLE,
    ("account", "livemode", "id"),
    select=("account", "livemode", "id", "expires_at", "status"),
)
"""What says whether a key is alive, and no more: every verb reads it."""


class CreateApiKey(Params, frozen=True, kw_only=True):
    """What a new key is to be."""

    type: KeyType
    """`secret`, `public` or `restricted`."""
    name: Name | None = None
    """Your name for the key."""
    scopes: list[Scope] = []
    """What a restricted key may do: at least one scope; not for other types."""
    limits: LimitsGiven | None = None
    """How much a restricted key may move: per transaction, a day, in all; fees do not count."""
    recipients: Recipients | None = None
    """The only addresses a restricted key may send to; with any, it redeems nothing."""
    expires_at: Moment | None = None
    """From when on the key opens nothing."""


class RollApiKey(Params, frozen=True, kw_only=True):
    """Which key to replace, and how long the old one lives on."""

    id: Id
    """The id of the key to replace."""
    expires_in: Annotated[int, msgspec.Meta(ge=0, le=30 * 24 * 3600)] = 0
    """Seconds for which the old key goes on working; 0 revokes it at once."""


class ExpireKey(msgspec.Struct, frozen=True):
    """A key whose time is over."""

    id: str


class OneApiKey(Params, frozen=True, kw_only=True):
    """Which key."""

    id: Id
    """The key's id."""


def _secret(type_: str, random: bytes, *, livemode: bool) -> str:
    prefix = f"{_LETTERS[type_]}_{'live' if livemode else 'test'}_"
    body = _base62(int.from_bytes(random), _BODY_LENGTH)
    return f"{prefix}{body}{_check(prefix + body)}"


def _check(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def well_formed(secret: str) -> bool:
    """Whether this may be a key at all: its form and its checksum, which need no look-up."""
    head, check = secret[:-_CHECK_LENGTH], secret[-_CHECK_LENGTH:]
    return head.isascii() and check.isascii() and _check(head) == check


def hash_of(secret: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).digest()


def need_caller(needs: Needs, caller: Caller) -> None:
    """The row that `check_caller` reads."""
    if caller.key is not None:
        needs.row(LIFE, (caller.key_owner, caller.livemode, caller.key))


def check_caller(tx: Tx) -> None:
    """Decide on the loaded key what was let through on a remembered one. Raises 401 codes."""
    caller = tx.caller
    if caller.key is None:
        return
    row = tx.read(LIFE, (caller.key_owner, caller.livemode, caller.key))
    if row is None:
        raise ApiError("api_key_invalid", headers={"WWW-Authenticate": "Bearer"})
    refuse_dead(row[4], row[3], tx.now)


def refuse_dead(status: str, expires_at: int | None, now: int) -> None:
    """Refuse a key that is revoked, or expired, if by its status alone. Raises 401 codes."""
    if status == "revoked":
        raise ApiError("api_key_revoked", headers={"WWW-Authenticate": "Bearer"})
    if status == "expired" or (expires_at is not None and expires_at <= now):
        raise ApiError("api_key_expired", headers={"WWW-Authenticate": "Bearer"})


async def principal(reader: Reader, hash_: bytes) -> Principal | None:
    """Whose key has this hash."""
    row = await reader.point(BY_HASH, (hash_,))
    if row is None:
        return None
    key: ApiKey = ApiKey.__noun__.thing(row)
    family = await family_of(reader, row[0], key.livemode)
    return Principal(
        account=row[0],
        livemode=key.livemode,
        key=key.id,
        type=key.type,
        scopes=widened(frozenset(key.scopes)),
        status=key.status,
        expires_at=key.expires_at,
        hash=row[HASH_AT],
        meter=key.meter,
        root=None if family == row[0] else family,
    )


def _need_own(needs: Needs, caller: Caller, _: Params) -> None:
    """The key that `_refuse_widening` reads."""
    if caller.key is not None:
        needs.row(TABLE.key, (caller.key_owner, caller.livemode, caller.key))


async def example(example: Example) -> dict[str, object]:
    """A key that may read balances and make transfers, and nothing else."""
    scopes = ["stablecoin:read", "stablecoin:transfer"]
    return {"type": "restricted", "name": example.name(), "scopes": scopes}


async def one_example(example: Example) -> dict[str, object]:
    """A key that was made for this."""
    key = await example.call("POST /api_keys", type="restricted", scopes=["stablecoin:read"])
    return {"id": key["id"]}


@operation(
    ApiKey,
    "POST /api_keys",
    scope="keys:write",
    params=CreateApiKey,
    secret=True,
    needs=_need_own,
    example=example,
)
def create(tx: Tx, params: CreateApiKey) -> ApiKey:
    """Make a key. The answer holds `secret`, this once."""
    if params.type == "restricted" and not params.scopes:
        raise ApiError("parameter_missing", "A restricted key needs scopes.", param="scopes")
    if params.type != "restricted":
        _require_unrestricted(params)
    if params.expires_at is not None and params.expires_at <= tx.now:
        message = "'expires_at' must be in the future."
        raise ApiError("parameter_invalid", message, param="expires_at")
    reach = Reach(
        params.type,
        sorted(set(params.scopes)),
        params.expires_at,
        kept_limits(params.limits),
        kept_recipients(params.recipients, livemode=tx.caller.livemode),
    )
    _refuse_widening(tx, reach, tx.caller.meter)
    return _add(tx, reach, params.name, tx.caller.meter)


def _require_unrestricted(params: CreateApiKey) -> None:
    """Refuse what only a restricted key has. Raises `parameter_invalid`."""
    for name in ("scopes", "limits", "recipients"):
        if getattr(params, name):
            message = f"Only a restricted key has {name}."
            raise ApiError("parameter_invalid", message, param=name)


def _add(tx: Tx, reach: Reach, name: str | None, meter: str | None) -> ApiKey:
    """A new key; one with limits that goes on with no other key's meter gets its own."""
    livemode = tx.caller.livemode
    secret = _secret(reach.type, tx.random_bytes(_SECRET_BYTES), livemode=livemode)
    id_ = tx.new_id("key")
    if meter is None and (reach.limits is not None or reach.recipients is not None):
        meter = f"{tx.caller.account}:{id_}"
    key = tx.add(
        ApiKey(
            id=id_,
            livemode=livemode,
            created=tx.now,
            type=reach.type,
            name=name,
            scopes=reach.scopes,
            redacted=f"{secret[:8]}…{secret[-4:]}",
            status="active",
            expires_at=None if reach.expires_at is None else int(reach.expires_at),
            limits=reach.limits,
            recipients=reach.recipients,
            hash=hash_of(secret).hex(),
            meter=meter,
        )
    )
    if key.expires_at is not None:
        _expire_at(tx, id_, key.expires_at)
    return msgspec.structs.replace(key, secret=secret)


def _refuse_widening(tx: Tx, reach: Reach, meter: str | None) -> None:
    """A restricted key reaches no key that can do more, longer or for more money than itself.

    What it hands on counts on its own meter, so the meter of a key it reaches must be its own:
    two meters would let it move the same limit twice. Raises `insufficient_permissions`.
    """
    caller = tx.caller
    if caller.key is None:
        return
    own = tx.get(ApiKey, caller.key, account=caller.key_owner)
    if own.type == "secret":
        return
    what = lacking(own.reach, reach)
    if what is None and own.meter not in (None, meter):
        what = "limits that are counted apart from its own"
    if what is not None:
        message = f"This key cannot hand on {what}."
        raise ApiError("insufficient_permissions", message)


def _need_one(needs: Needs, caller: Caller, params: OneApiKey | RollApiKey) -> None:
    _need_own(needs, caller, params)
    needs.row(TABLE.key, (caller.account, caller.livemode, params.id), lock=True)


@operation(
    ApiKey,
    "POST /api_keys/{id}/roll",
    scope="keys:write",
    params=RollApiKey,
    secret=True,
    needs=_need_one,
    example=one_example,
    statuses=(201,),
)
def roll(tx: Tx, params: RollApiKey) -> ApiKey:
    """Replace a key by a new one of the same kind; the old one may live on for a while.

    Limits go over to the new key with what was counted against them. A key is rolled once: where
    the answer was lost, roll the key that is its `replaced_by`.
    """
    old = tx.lock(ApiKey, params.id)
    if old.replaced_by is not None:
        message = f"This key was rolled already: {old.replaced_by} has replaced it. Roll that one."
        raise ApiError("state_invalid", message)
    state = old.at(tx.now).status
    if state != "active":
        raise ApiError("state_invalid", f"A key that is '{state}' cannot be rolled to 'active'.")
    _refuse_widening(tx, old.reach, old.meter)
    new = _add(tx, old.reach, old.name, old.meter)
    if params.expires_in:
        until = tx.now + params.expires_in
        if old.expires_at is None or until < old.expires_at:
            _expire_at(tx, old.id, until)
        tx.change(old, expires_at=min(until, old.expires_at or until), replaced_by=new.id)
    else:
        _revoke(tx, old, replaced_by=new.id)
    return new


@operation(
    ApiKey,
    "DELETE /api_keys/{id}",
    scope="keys:write",
    params=OneApiKey,
    needs=_need_one,
    example=one_example,
)
def revoke(tx: Tx, params: OneApiKey) -> ApiKey:
    """Revoke a key: within a second no process takes it any more. Twice is as good as once."""
    key = tx.lock(ApiKey, params.id)
    if key.id != tx.caller.key:
        _refuse_widening(tx, key.reach, key.meter)
    return key if key.status == "revoked" else _revoke(tx, key)


def _revoke(tx: Tx, key: ApiKey, **also: Any) -> ApiKey:
    gone: dict[str, Any] = {"status": "revoked", "revoked_at": tx.now}
    return tx.change(key, event="api_key.revoked", **gone, **also)


def _expire_at(tx: Tx, id_: str, at: int) -> None:
    """Have it written down when a key expires; it opens nothing from then on anyway."""
    tx.defer(EXPIRE, f"{id_}:{at}", msgspec.json.encode(ExpireKey(id_)), at=at)
