"""Idempotency keys: read from a request, and asked about afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from commerce.engine.answers import RUNNING, IdempotencyKey
from commerce.engine.engine import Engine
from commerce.kernel.errors import ApiError
from commerce.kernel.master_key import MasterKey
from commerce.resource.noun import encode_money
from commerce.resource.operation import Operation, Params, view
from commerce.resource.reading import Reading

LENGTH_MAX = 255
_ENCODER = msgspec.json.Encoder(enc_hook=encode_money, order="deterministic")
"""Members of metadata have no order either, and a form may send them in another."""


class KeyState(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="idempotency_key"
):
    """What became of an idempotency key."""

    key: str
    """The key."""
    status: Literal["in_progress", "completed"]
    """Whether its request is still running."""
    response_status: int | None = None
    """The HTTP status its request was answered with."""
    object_id: str | None = None
    """The object its request made or changed, if it did."""
    created: int | None = None
    """When it was answered, Unix seconds; it is remembered for 24 hours."""


class OneKey(Params, frozen=True, kw_only=True):
    """Which key."""

    key: Annotated[str, msgspec.Meta(max_length=LENGTH_MAX)]
    """The idempotency key, as it was sent."""


def read(  # noqa: PLR0913, PLR0917 - all that a request is known again by
    header: bytes | None,
    params: Params,
    operation: Operation,
    api_key: str,
    master_key: MasterKey,
    expand: Sequence[str] = (),
) -> IdempotencyKey | None:
    """The key of a request, and the keyed hash of what it asks for.

    The hash is of the operation's documented name and of the parameters as read, so that a path
    and its alias are one, and the order of members is none. What is to be expanded is part of
    it, since it is part of the answer that is remembered. An answer with a secret is for the
    API key that asked for it, and no other gets it again. Raises `idempotency_key_invalid`.
    """
    key = None if header is None else header.decode("latin-1")
    in_body: str | None = getattr(params, "idempotency_key", None)
    if key is not None and in_body is not None and key != in_body:
        message = "The header and the body name two idempotency keys."
        raise ApiError("idempotency_key_invalid", message, param="idempotency_key")
    key = key if key is not None else in_body
    if key is None:
        return None
    if not (1 <= len(key) <= LENGTH_MAX and key.isascii() and key.isprintable()):
        name = "Idempotency-Key" if header is not None else "idempotency_key"
        message = f"'{name}' must be 1 to {LENGTH_MAX} printable ASCII characters."
        raise ApiError("idempotency_key_invalid", message, param=name)
    if in_body is not None:
        params = msgspec.structs.replace(params, idempotency_key=None)
    asker = api_key if operation.secret else ""
    asked = f"{operation.method} {operation.path}\n{asker}\n".encode() + _ENCODER.encode(params)
    if expand:
        asked += b"\n" + _ENCODER.encode(expand)
    return IdempotencyKey(key, master_key.fingerprint("request", asked))


def state_view(engine: Engine) -> Any:
    """The operation that says what became of a key."""

    @view(KeyState, "GET /idempotency_keys/{key}", scope="", any_key=True, params=OneKey)
    async def idempotency_key(reading: Reading, params: OneKey) -> KeyState:
        """What became of a request whose answer was lost; 404 for a key never seen."""
        caller = reading.caller
        key = (caller.account, caller.livemode, params.key)
        found = (await engine.find_answers([key])).get(key)
        if found is None:
            if engine.in_flight(key) or await engine.held(key):
                return KeyState(key=params.key, status="in_progress")
            # Whoever wrote it may have been done in between.
            found = (await engine.find_answers([key])).get(key)
        if found is not None and found.status == RUNNING:
            return KeyState(key=params.key, status="in_progress")
        if found is None:
            message = f"This idempotency key was never seen: '{params.key}'."
            raise ApiError("resource_missing", message, param="key")
        return KeyState(
            key=params.key,
            status="completed",
            response_status=found.status,
            object_id=found.object_id,
            created=found.created,
        )

    return idempotency_key
