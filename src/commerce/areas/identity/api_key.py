"""API keys: what proves who calls. A key is shown once and kept as a hash."""

from __future__ import annotations

import hashlib
import zlib
from typing import Annotated, ClassVar, Literal

import msgspec

from commerce.engine.overlay import Needs
from commerce.engine.tx import Caller, Tx
from commerce.kernel.errors import ApiError
from commerce.resource.access import KeyType, Principal, Scope, widened
from commerce.resource.example import Example
from commerce.resource.noun import COMPUTED, HEX, HIDDEN, Noun, Time, noun
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id, Moment, Name
from commerce.resource.reading import Reader
from commerce.store.table import Index

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = {"secret": "sk", "public": "pk", "restricted": "rk"}
_SECRET_BYTES = 20
_BODY_LENGTH = 27
"""Base62 digits of 160 random bits."""
_CHECK_LENGTH = 6


@noun(
    prefix="key",
    rank=50,
    path="api_keys",
    scope="keys:read",
    filters=("type", "status"),
    announced=True,
)
class ApiKey(Noun, tag="api_key", frozen=True, kw_only=True):
    """A key to the API, of one account and one mode."""

    emits: ClassVar = ("api_key.created", "api_key.updated", "api_key.revoked")

    type: KeyType
    """What the key may do: everything (`secret`), next to nothing (`public`), or its scopes."""
    name: str | None = None
    """Your name for the key."""
    scopes: list[Scope]
    """What a restricted key may do; empty for others."""
    redacted: str
    """The key's beginning and its last four characters, to know it by."""
    status: Literal["active", "revoked"]
    """Whether it still opens anything. A key past `expires_at` opens nothing either."""
    expires_at: Time | None = None
    """From when on the key opens nothing."""
    revoked_at: Time | None = None
    """When the key was revoked."""
    secret: Annotated[str | None, COMPUTED] = None
    """The key itself: in the answer that made it, and null ever after."""
    hash: Annotated[str, HIDDEN, HEX]
    """SHA-256 of the key, which has 160 random bits and so cannot be guessed from it."""


TABLE = ApiKey.__noun__.table
BY_HASH = Index(TABLE, ("hash",))
HASH_AT = TABLE.names.index("hash")
LIFE = Index(
    TABLE,
    ("account", "livemode", "id"),
    select=("account", "livemode", "id", "expires_at", "revoked_at"),
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
    expires_at: Moment | None = None
    """From when on the key opens nothing."""


class RollApiKey(Params, frozen=True, kw_only=True):
    """Which key to replace, and how long the old one lives on."""

    id: Id
    """The id of the key to replace."""
    expires_in: Annotated[int, msgspec.Meta(ge=0, le=30 * 24 * 3600)] = 0
    """Seconds for which the old key goes on working; 0 revokes it at once."""


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
        needs.row(LIFE, (caller.account, caller.livemode, caller.key))


def check_caller(tx: Tx) -> None:
    """Decide on the loaded key what was let through on a remembered one. Raises 401 codes."""
    caller = tx.caller
    if caller.key is None:
        return
    row = tx.read(LIFE, (caller.account, caller.livemode, caller.key))
    if row is None:
        raise ApiError("api_key_invalid", headers={"WWW-Authenticate": "Bearer"})
    refuse_dead(row[4], row[3], tx.now)


def refuse_dead(revoked_at: int | None, expires_at: int | None, now: int) -> None:
    """Refuse a revoked or expired key. Raises `api_key_revoked`, `api_key_expired`."""
    if revoked_at is not None:
        raise ApiError("api_key_revoked", headers={"WWW-Authenticate": "Bearer"})
    if expires_at is not None and expires_at <= now:
        raise ApiError("api_key_expired", headers={"WWW-Authenticate": "Bearer"})


async def principal(reader: Reader, hash_: bytes) -> Principal | None:
    """Whose key has this hash."""
    row = await reader.point(BY_HASH, (hash_,))
    if row is None:
        return None
    key: ApiKey = ApiKey.__noun__.thing(row)
    return Principal(
        account=row[0],
        livemode=key.livemode,
        key=key.id,
        type=key.type,
        scopes=widened(frozenset(key.scopes)),
        revoked_at=key.revoked_at,
        expires_at=key.expires_at,
        hash=row[HASH_AT],
    )


def _need_own(needs: Needs, caller: Caller, _: Params) -> None:
    """The key that `_refuse_widening` reads."""
    if caller.key is not None:
        needs.row(TABLE.key, (caller.account, caller.livemode, caller.key))


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
    if params.type != "restricted" and params.scopes:
        message = "Only a restricted key has scopes."
        raise ApiError("parameter_invalid", message, param="scopes")
    if params.expires_at is not None and params.expires_at <= tx.now:
        message = "'expires_at' must be in the future."
        raise ApiError("parameter_invalid", message, param="expires_at")
    _refuse_widening(tx, params.type, params.scopes, params.expires_at)
    return _add(tx, params.type, params.name, sorted(set(params.scopes)), params.expires_at)


def _add(
    tx: Tx, type_: KeyType, name: str | None, scopes: list[Scope], expires_at: int | None
) -> ApiKey:
    livemode = tx.caller.livemode
    secret = _secret(type_, tx.random_bytes(_SECRET_BYTES), livemode=livemode)
    key = tx.add(
        ApiKey(
            id=tx.new_id("key"),
            livemode=livemode,
            created=tx.now,
            type=type_,
            name=name,
            scopes=scopes,
            redacted=f"{secret[:8]}…{secret[-4:]}",
            status="active",
            expires_at=None if expires_at is None else int(expires_at),
            hash=hash_of(secret).hex(),
        )
    )
    return msgspec.structs.replace(key, secret=secret)


def _refuse_widening(tx: Tx, type_: KeyType, scopes: list[Scope], expires_at: int | None) -> None:
    """A restricted key reaches no key that can do more, or longer, than itself.

    Raises `insufficient_permissions`.
    """
    if tx.caller.key is None:
        return
    own = tx.get(ApiKey, tx.caller.key)
    if own.type == "secret":
        return
    lacking = set(scopes) - widened(frozenset(own.scopes))
    if type_ != "restricted" or lacking:
        what = ", ".join(sorted(lacking)) or f"{type_} keys"
        message = f"This key cannot hand on what it lacks: {what}."
        raise ApiError("insufficient_permissions", message)
    if own.expires_at is not None and (expires_at is None or expires_at > own.expires_at):
        message = "This key cannot hand on more time than it has."
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
)
def roll(tx: Tx, params: RollApiKey) -> ApiKey:
    """Replace a key by a new one of the same kind; the old one may live on for a while."""
    old = tx.lock(ApiKey, params.id)
    expired = old.expires_at is not None and old.expires_at <= tx.now
    state = "expired" if expired and old.status == "active" else old.status
    if state != "active":
        message = f"A key that is '{state}' cannot be rolled to 'active'."
        raise ApiError("state_invalid", message)
    _refuse_widening(tx, old.type, old.scopes, old.expires_at)
    if params.expires_in:
        until = tx.now + params.expires_in
        tx.change(old, expires_at=min(until, old.expires_at or until))
    else:
        _revoke(tx, old)
    return _add(tx, old.type, old.name, old.scopes, old.expires_at)


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
        _refuse_widening(tx, key.type, key.scopes, key.expires_at)
    return key if key.status == "revoked" else _revoke(tx, key)


def _revoke(tx: Tx, key: ApiKey) -> ApiKey:
    return tx.change(key, event="api_key.revoked", status="revoked", revoked_at=tx.now)
