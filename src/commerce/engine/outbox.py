"""Events on their way out: rows written with what they tell of, read by whoever delivers them."""

from __future__ import annotations

from collections.abc import Mapping

from commerce.store.table import Column, Key, Rewrite, Table

EVENT = Table(
    "event",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("id", "text"),
        Column("version", "bigint"),
        Column("created", "bigint"),
        Column("metadata", "jsonb"),
        Column("type", "text"),
        Column("object_id", "text"),
        Column("sequence", "bigint"),
        Column("data_object", "text"),
        Column("data_previous_attributes", "text", nullable=True),
        Column("request_id", "text", nullable=True),
        Column("request_idempotency_key", "text", nullable=True),
    ],
    key=("account", "livemode", "id"),
    rank=2200,
)
"""One row a change of an object; `sequence` counts an object's changes in commit order."""
OBJECT_AT = EVENT.names.index("data_object")
"""Where an event's row holds the object's JSON."""


def redaction(bodies: Mapping[Key, str]) -> Rewrite:
    """That all events of objects show these bodies, and nothing of what changed.

    The bodies are by account, mode and id of the object.
    """
    match = ("account", "livemode", "object_id")
    changed = ("data_object", "data_previous_attributes")
    rows = [(*key, body, None) for key, body in sorted(bodies.items())]
    return Rewrite(EVENT, match, changed, rows)
