"""Events: what happened, in the words of the objects it happened to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from commerce.engine.outbox import EVENT
from commerce.kernel.version import API_VERSION
from commerce.resource.noun import COMPUTED, Noun, Part, noun


class EventData(Part, frozen=True, kw_only=True):
    """What an event tells of."""

    object: msgspec.Raw
    """The object, as it was right after. Of a customer that was deleted since, only that."""
    previous_attributes: msgspec.Raw | None = None
    """The members that changed, as they were; null for a new object. A deleted customer's are
    null."""


class EventRequest(Part, frozen=True, kw_only=True):
    """What caused an event."""

    id: str | None = None
    """The request, null for what the server did by itself."""
    idempotency_key: str | None = None
    """The request's idempotency key, if it had one."""


@noun(
    prefix="evt",
    rank=2200,
    path="events",
    order=("id",),
    scope="events:read",
    filters=("type", "object_id", "sequence"),
    table=EVENT,
)
class Event(Noun, tag="event", frozen=True, kw_only=True):
    """A change of an object, written in the same transaction as the change."""

    emits: ClassVar = ()

    account: str
    """Whose event it is."""
    type: str
    """What happened: `<object>.<what>`."""
    object_id: str
    """The object it happened to."""
    sequence: int
    """Which of the object's changes this is: 1, 2, 3, …, in the order of commits."""
    data: EventData
    """The object, and what was different before."""
    request: EventRequest
    """What caused it."""
    api_version: Literal["2026-11-01"] = API_VERSION
    """The version of the API in whose words `data.object` is."""
    pending_webhooks: Annotated[int, COMPUTED] = 0
    """How many endpoints have yet to take it."""
