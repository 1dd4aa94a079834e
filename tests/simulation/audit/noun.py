"""Objects and their events: one event a change, numbered without a gap, telling what is so."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from tests.simulation.audit.books import Books
from tests.simulation.audit.facts import Facts, History, Row, agree, millionths

NOUNS = {
    "account": "account",
    "api_key": "api_key",
    "stablecoin_issuance": "stablecoin.issuance",
    "stablecoin_redemption": "stablecoin.redemption",
    "stablecoin_reserve_deposit": "stablecoin.reserve_deposit",
    "stablecoin_transfer": "stablecoin.transfer",
}
_MOVES: dict[str, set[tuple[str | None, str]]] = {
    "stablecoin_transfer": {
        (None, "confirmed"),
        (None, "scheduled"),
        ("scheduled", "confirmed"),
        ("scheduled", "cancelled"),
        ("scheduled", "failed"),
    },
    "api_key": {
        (None, "active"),
        ("active", "active"),
        ("active", "expired"),
        ("active", "revoked"),
        ("expired", "revoked"),
    },
    "stablecoin_redemption": {
        (None, "pending"),
        ("pending", "processing"),
        ("pending", "completed"),
        ("pending", "failed"),
        ("pending", "cancelled"),
        ("processing", "completed"),
        ("processing", "failed"),
    },
    "stablecoin_reserve_deposit": {
        (None, "pending"),
        (None, "verified"),
        ("pending", "verified"),
    },
}
_BOOKED = {"confirmed": "transferred", "cancelled": "released", "failed": "released"}


class Nouns:
    """The events of every object."""

    def __init__(self, facts: Facts, books: Books) -> None:
        self._facts = facts
        self._books = books
        self._last: dict[tuple[str, bool, str], tuple[int, dict[str, Any]]] = {}
        """The last event of each object, by account and id: its number, and what it told."""
        self._seen: set[str] = set()

    def take(self, table: str, row: Row) -> None:
        """Take in an object as it is now."""
        key = (table, row["account"], row["livemode"], row["id"])
        before = self._facts.things.get(key)
        self._facts.things[key] = row
        if before is not None and table.startswith("stablecoin"):
            fixed = ("amount", "created", "sender", "recipient", "reference_id", "type")
            for name in fixed:
                agree(before.get(name) == row.get(name), "{}: {} has changed", row["id"], name)

    def commit(self, rows: dict[str, list[Row]]) -> None:
        """See that what changed was told, and nothing else. Raises `Disagreement`."""
        told: defaultdict[str, list[str]] = defaultdict(list)
        for event in rows.get("event", ()):
            self._hear(event, told)
        for id_, transaction in self._books.paid.items():
            payees = told.pop(id_, [])
            agree(payees == [transaction["payee"]], "{} was told to {}", id_, payees)
        agree(not told, "received, and not paid: {}", dict(told))
        for table in NOUNS:
            for row in rows.get(table, ()):
                whose = (row["account"], row["livemode"], row["id"])
                number, body = self._last.get(whose, (0, {}))
                agree(number == row["version"], "{}: {} events of its changes", row["id"], number)
                agree(body.get("status", "confirmed") == row.get("status", "confirmed"), row["id"])

    def _hear(self, event: Row, told: dict[str, list[str]]) -> None:
        id_, type_ = event["object_id"], event["type"]
        agree(event["id"] not in self._seen, "{} is there twice", event["id"])
        self._seen.add(event["id"])
        body = msgspec.json.decode(event["data_object"])
        event["body"] = body
        agree(body["id"] == id_, "{} tells of {}", event["id"], body["id"])
        if type_ == "stablecoin.received":
            told[id_].append(event["account"])
            self._received(event, body)
            return
        whose = (event["account"], event["livemode"], id_)
        number, before = self._last.get(whose, (0, {}))
        agree(
            event["sequence"] == number + 1, "{}: event {} after {}", id_, event["sequence"], number
        )
        self._last[whose] = (number + 1, body)
        event["before"] = before
        agree(type_ == _type(before, body), "{}: '{}' tells of {}", id_, type_, body.get("status"))
        if before:
            earlier = {**body, **msgspec.json.decode(event["data_previous_attributes"] or "{}")}
            agree(earlier == before, "{}: it was not as its event says it was", id_)
        self._moved(before, body)

    def _received(self, event: Row, body: dict[str, Any]) -> None:
        paid = self._books.paid.get(event["object_id"])
        agree(paid is not None, "{} paid nobody", event["object_id"])
        assert paid is not None
        told = (body["amount"], body["from"], body["to"], body["tx_hash"], event["sequence"])
        sender, recipient = paid["sender"], paid["recipient"]
        agree(millionths(told[0]) == paid["amount"], "{}: {} was received", body["id"], told[0])
        agree(told[1:] == (sender, recipient, paid["tx_hash"].hex(), 1), "{}: {}", body["id"], told)

    def _moved(self, before: dict[str, Any], body: dict[str, Any]) -> None:
        """A move that the lifecycle has, with the money it tells of."""
        id_, noun, status = body["id"], body["object"], body.get("status")
        moves = _MOVES.get(noun)
        if moves is not None:
            agree(
                (before.get("status"), status) in moves, "{}: to '{}' from {}", id_, status, before
            )
        if status is not None:
            history = self._facts.states.get(id_)
            if history is None:
                self._facts.states[id_] = History(status)
            else:
                history.become(self._facts.seq, status)
        if noun == "account":
            # In one commit it may have been at more than one level.
            level = self._facts.levels[id_, body["livemode"]]
            level.become(self._facts.seq, body["verification"])
        elif noun == "stablecoin_transfer":
            booked = _BOOKED.get(str(status), "scheduled")
            left = self._books.after.get((id_, booked))
            agree(left is not None, "{} is '{}', and was not booked '{}'", id_, status, booked)
            told = millionths(body["balance_after"])
            agree(told == left, "{}: {} is not what was left, {}", id_, told, left)
            agree(body["fees"] == {"network_fee": "0.01"}, "{}: {}", id_, body["fees"])
        elif noun == "stablecoin_issuance":
            total = self._books.supplied[id_]
            reserve = body["reserve"]
            agree(millionths(reserve["total_supply"]) == total, "{}: supply is {}", id_, total)
            agree(reserve["total_reserves"] == reserve["total_supply"], "{}: {}", id_, reserve)
            agree(reserve["reserve_ratio"] == "1.0000", "{}: {}", id_, reserve)


def _type(before: dict[str, Any], body: dict[str, Any]) -> str:
    """The type of the event that tells of a change."""
    noun, status = body["object"], body.get("status")
    if noun == "stablecoin_issuance":
        return "stablecoin.issued"
    if noun == "stablecoin_transfer" and status == "confirmed":
        return "stablecoin.transferred"
    if noun == "stablecoin_redemption" and not before:
        return "stablecoin.redeemed"
    name = NOUNS[noun]
    if noun in {"account", "api_key"}:
        ended = noun == "api_key" and before and status not in {"active", before["status"]}
        return f"{name}.{status if ended else 'updated' if before else 'created'}"
    if noun == "stablecoin_reserve_deposit" and not before:
        return f"{name}.created"
    return f"{name}.{status}"
