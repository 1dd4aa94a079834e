"""Answers: what was committed is what is answered, the same to everyone who asks again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from tests.simulation.audit.effect import Effects, verb
from tests.simulation.audit.facts import Asked, Disagreement, Facts, Row, agree, millionths
from tests.simulation.audit.refusal import Refusals
from tests.simulation.process import Reply

KEPT_SECONDS = 86_400
REMEMBERED = frozenset(
    {
        "state_invalid",
        "insufficient_funds",
        "limit_exceeded",
        "insufficient_reserve_verification",
        "sanctioned_party",
        "duplicate_reference",
    }
)
"""Refusals that were decided against state, of those that a world meets."""
Key = tuple[str, bool, str]


class Memory:
    """One answer that is remembered."""

    __slots__ = ("asked", "body", "created", "forgotten", "object_id", "status")

    def __init__(self, row: Row, asked: Asked | None, body: str | None) -> None:
        self.status: int = row["status"]
        self.body = None if body is None else body.encode()
        """None while it is sealed, and nobody was told it."""
        self.created: int = row["created"]
        self.object_id: str | None = row["object_id"]
        self.asked = asked
        self.forgotten: int | None = None
        """The number of commits when it was forgotten."""


class Answers:
    """What was answered, and what is remembered of it."""

    def __init__(self, facts: Facts, effects: Effects, refusals: Refusals) -> None:
        self._facts = facts
        self._effects = effects
        self._refusals = refusals
        self._kept: defaultdict[Key, list[Memory]] = defaultdict(list)
        self.disturbed = False
        """Something was made to fail, so that being unavailable is to be expected."""

    def commit(self, rows: dict[str, list[Row]]) -> None:
        """Take in what is remembered from now on. Raises `Disagreement`."""
        events = {event["id"]: event for event in rows.get("event", ())}
        asks: dict[Key, Asked] = {}
        for event in events.values():
            asked = self._effects.asks.get(event["request_id"])
            if asked is not None and asked.key is not None:
                asks[asked.account, asked.livemode, asked.key] = asked
        for row in rows.get("answer", ()):
            key = (row["account"], row["livemode"], row["idempotency_key"])
            kept = self._kept[key]
            agree(not kept or kept[-1].forgotten is not None, "{} is answered twice", key)
            body = row["body"]
            if row["event"] is not None:
                agree(row["event"] in events, "{}: its event is of another transaction", key)
                body = events[row["event"]]["data_object"]
            asked = asks.pop(key, None)
            quiet = row["status"] in {200, 402, 403, 409, 400}
            agree(asked is not None or quiet, "{}: {}, and nothing was done", key, row["status"])
            agree(asked is None or row["status"] < 300, "{}: refused, and it was done", key)
            kept.append(Memory(row, asked, body))
        agree(not asks, "done, and the answer is not remembered: {}", list(asks))

    def forgotten(self, keys: Sequence[Key]) -> None:
        """Answers are forgotten, a day after they were given at the earliest."""
        for key in keys:
            memory = self._kept[key][-1]
            age = self._refusals.latest() - memory.created
            agree(age >= KEPT_SECONDS, "{} was forgotten after {} seconds", key, age)
            memory.forgotten = self._facts.seq

    def check(self, asked: Asked, reply: Reply) -> None:
        """See that an answer is right. Raises `Disagreement`."""
        status = reply.status
        agree(status != 500, "{} failed: {}", asked.id, reply.body.decode())
        if asked.method == "GET":
            self._look(asked, reply)
            return
        code = None if status < 400 else msgspec.json.decode(reply.body)["error"]["code"]
        if code in {"unavailable", "idempotency_key_in_use"}:
            agree(self.disturbed, "{} was answered '{}' in quiet times", asked.id, code)
            return
        memory = self._memory(asked, reply)
        if code == "idempotency_key_reused":
            agree(asked.id not in self._effects.done, "{} was refused, and done", asked.id)
            other = memory is not None and (memory.asked or asked).same != asked.same
            agree(
                other or (memory is not None and memory.asked is None), "{} used no key", asked.id
            )
            return
        if code is None or code in REMEMBERED:
            self._remembered(asked, reply, memory)
        if code is None:
            self._done(asked, reply)
        else:
            self._refused(asked, reply)

    def _memory(self, asked: Asked, reply: Reply) -> Memory | None:
        """What is remembered under a request's key, or was at some time since it was asked.

        A clock that jumps may have an answer forgotten before it was delivered.
        """
        if asked.key is None:
            return None
        kept = self._kept.get((asked.account, asked.livemode, asked.key), ())
        known = [m for m in kept if m.forgotten is None or m.forgotten >= asked.seq]
        alike = [m for m in known if m.status == reply.status]
        same = [m for m in alike if m.body is None or m.body == reply.body]
        found = same or known
        return found[-1] if found else None

    def _remembered(self, asked: Asked, reply: Reply, memory: Memory | None) -> None:
        """An answer under a key is the one that is remembered, byte for byte."""
        if asked.key is None:
            agree(not reply.replayed, "{} has no key, and is answered what was before", asked.id)
            return
        if memory is None:
            raise Disagreement(f"{asked.id} was answered, and nothing is remembered")
        if memory.body is None:
            memory.body = reply.body
        found, kept = (reply.status, reply.body), (memory.status, memory.body)
        agree(found == kept, "{}: answered {}, remembered {}", asked.id, found, kept)
        if memory.asked is None:
            memory.asked = asked
        agree(memory.asked.same == asked.same, "{} got the answer to another request", asked.id)

    def _done(self, asked: Asked, reply: Reply) -> None:
        """What was answered for as done has been done, by this request if it was the first."""
        done = self._effects.done.get(asked.id)
        if reply.replayed:
            agree(done is None, "{} was done, and answered as if it had been before", asked.id)
            return
        body: dict[str, Any] = msgspec.json.decode(reply.body)
        if done is None:
            self._undone(asked, reply, body)
            return
        if body["object"] == "stablecoin_batch_transfer":
            rows = {row["id"]: row for row in body["transfers"]}
            told = {id_: msgspec.json.decode(text) for id_, text in done.items()}
            agree(rows == told, "{}: its rows are not what was made", asked.id)
            total = sum(millionths(row["amount"]) for row in rows.values())
            agree(
                millionths(body["total_amount"]) == total, "{}: {}", asked.id, body["total_amount"]
            )
            fees = millionths(body["fees"]["network_fee"])
            agree(fees == 10_000 * len(rows), "{}: fees of {}", asked.id, fees)
            last = body["transfers"][-1]
            agree(body["balance_after"] == last["balance_after"], "{}: of its last row", asked.id)
            return
        if "secret" in body:
            agree(body["secret"] is not None or verb(asked)[0] == "revoke", "{}: no key", asked.id)
            body["secret"] = None
            agree(body == msgspec.json.decode(done[body["id"]]), "{}: {}", asked.id, body)
            return
        agree(body["id"] in done, "{}: answered {}, and made {}", asked.id, body["id"], list(done))
        agree(reply.body == done[body["id"]].encode(), "{}: not what its event tells", asked.id)

    def _undone(self, asked: Asked, reply: Reply, body: dict[str, Any]) -> None:
        """Nothing was done: it had been before, under the same reference, or was so already."""
        agree(reply.status == 200, "{}: {}, and nothing was done", asked.id, reply.status)
        name, _ = verb(asked)
        if name in {"issue", "redeem"}:
            agree(self._effects.referred(asked) == body["id"], "{}: {}", asked.id, body["id"])
            return
        agree(name == "revoke", "{}: answered, and nothing was done", asked.id)
        agree(body["status"] == "revoked", "{}: {}", asked.id, body["status"])

    def _refused(self, asked: Asked, reply: Reply) -> None:
        agree(asked.id not in self._effects.done, "{} was refused, and done", asked.id)
        error = msgspec.json.decode(reply.body)["error"]
        if error["request_id"] == asked.id:
            self._refusals.check(asked, error)

    def _look(self, asked: Asked, reply: Reply) -> None:
        """A balance that was read is one that there was."""
        if reply.status == 503:
            agree(self.disturbed, "{} was unavailable in quiet times", asked.id)
            return
        if reply.status == 403:
            self._refused(asked, reply)
            return
        agree(reply.status == 200, "{}: {}", asked.id, reply.body.decode())
        agree(self._facts.may_act(asked), "{}: {} read {}", asked.id, asked.by, asked.account)
        body = msgspec.json.decode(reply.body)
        balances = {name: millionths(text) for name, text in body["balances"].items()}
        had = self._facts.available[asked.livemode, body["address"]].since(asked.seq)
        agree(balances["available"] in had, "{}: {} of {}", asked.id, balances, had)
        parts = balances["available"] + balances["pending"] + balances["locked"]
        agree(balances["total"] == parts, "{}: {} do not add up", asked.id, balances)
