"""Effects: what each request has done, that it was asked for, and that it was allowed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.simulation.audit.facts import (
    CENT,
    MILLION,
    Asked,
    Disagreement,
    Facts,
    Row,
    agree,
    millionths,
)
from tests.simulation.audit.limit import Limits

OBJECT = re.compile(r"/(?:stablecoin/)?[a-z_/]+?/([a-z]+_[a-z0-9_]+)(?:/([a-z]+))?")
Events = list[Row]


class Effects:
    """What requests have done, by the request's id."""

    def __init__(self, facts: Facts, limits: Limits) -> None:
        self._facts = facts
        self._limits = limits
        self.asks: dict[str, Asked] = {}
        self.done: dict[str, dict[str, str]] = {}
        """What each request changed: the JSON of each object after it, by id."""
        self._references: dict[tuple[str, str, str, bool], str] = {}
        self._payments: dict[tuple[str, bool, str], str] = {}
        """The deposit that each payment to the bank was verified in, by its reference."""

    def commit(self, rows: dict[str, list[Row]]) -> None:
        """See what was done for whom. Raises `Disagreement`."""
        groups: defaultdict[str, Events] = defaultdict(list)
        for event in rows.get("event", ()):
            if event["type"] == "stablecoin.received":
                continue
            if event["request_id"] is None:
                self._unasked(event, rows)
            else:
                groups[event["request_id"]].append(event)
        for id_, events in groups.items():
            self._asked(id_, events)

    def _unasked(self, event: Row, rows: dict[str, list[Row]]) -> None:
        """What jobs do by themselves, when its time has come; the rest is the operator's."""
        body = event["body"]
        if body["object"] == "api_key" and event["type"] == "api_key.created":
            self._limits.know(body, None)
        if event["type"] == "api_key.expired":
            self._expired(event, rows)
        if body["object"] in {"account", "api_key"}:
            return
        id_, status = body["id"], body["status"]
        agree(
            event["before"].get("status") == "scheduled", "{}: nobody asked for '{}'", id_, status
        )
        agree(body["scheduled_at"] <= event["created"], "{} was made before its time", id_)
        ended = any(row["subject"] == id_ and row["due_at"] is None for row in rows.get("job", ()))
        agree(ended, "{}: its job goes on", id_)
        ends = (body["from"], body["to"])
        blocked = self._facts.is_blocked(body["livemode"], ends, self._facts.turned())
        agree((status == "failed") in blocked, "{} is '{}', blocked: {}", id_, status, blocked)

    @staticmethod
    def _expired(event: Row, rows: dict[str, list[Row]]) -> None:
        """A job has written down that a key's time is over, and changed nothing else."""
        body, job = event["body"], f"{event['object_id']}:{event['body']['expires_at']}"
        agree(body["expires_at"] <= event["created"], "{} expired before its time", body["id"])
        ended = any(row["subject"] == job and row["due_at"] is None for row in rows.get("job", ()))
        agree(ended, "{}: its job goes on", body["id"])
        agree({**event["before"], "status": "expired"} == body, "{}: {}", body["id"], body)

    def _asked(self, id_: str, events: Events) -> None:
        asked = self.asks.get(id_)
        if asked is None:
            raise Disagreement(f"{id_} was never sent, and has an effect")
        agree(id_ not in self.done, "{} has its effect twice", id_)
        agree(self._facts.may_act(asked), "{}: {} acted for {}", id_, asked.by, asked.account)
        for event in events:
            agree(event["request_idempotency_key"] == asked.key, "{}: another's key", id_)
        # A new account is in both modes under one id; it is answered as the caller's mode has it.
        seen = (event for event in events if event["livemode"] == asked.livemode)
        self.done[id_] = {event["object_id"]: event["data_object"] for event in seen}
        name, of = verb(asked)
        _ALLOWED[name](self, asked, events, of)

    # What each verb may do

    def _transfer(self, asked: Asked, events: Events, _: str) -> None:
        body = asked.body or {}
        rows = body.get("transfers") or [body]
        made = [event["body"] for event in events]
        agree(len(rows) == len(made), "{}: {} transfers of {}", asked.id, len(made), len(rows))
        wallet = self._facts.wallets[asked.account, asked.livemode]
        at = body.get("scheduled_at")
        for row, transfer in zip(rows, made, strict=True):
            found = (transfer["to"], millionths(transfer["amount"]), transfer["from"])
            meant = (row["to"], millionths(row["amount"]), wallet)
            agree(found == meant, "{}: made {}, asked for {}", asked.id, found, meant)
            agree(row["to"] != wallet, "{} paid itself", asked.id)
            self._here(asked, row["to"])
            agree(transfer["memo"] == row.get("memo"), "{}: {}", asked.id, transfer["memo"])
            agree(transfer["scheduled_at"] == at, "{}: for {}", asked.id, transfer["scheduled_at"])
            state = "confirmed" if at is None else "scheduled"
            agree(transfer["status"] == state, "{}: {}", asked.id, transfer["status"])
        agree(body.get("from", wallet) == wallet, "{} paid from another's wallet", asked.id)
        now = events[0]["created"]
        agree(at is None or at > now, "{} was scheduled for the past", asked.id)
        self._free(asked, wallet, *(row["to"] for row in rows))
        amounts = [millionths(row["amount"]) for row in rows]
        if asked.api_key is not None:
            paid = [(row["to"], millionths(row["amount"])) for row in rows]
            self._limits.count_key(asked.by, asked.livemode, asked.api_key, paid, now)
            self._alive(asked, now)
        self._limits.count(asked.account, asked.livemode, amounts, now, asked.seq)

    def _free(self, asked: Asked, *addresses: str) -> None:
        blocked = self._facts.is_blocked(asked.livemode, addresses, asked.seq)
        agree(False in blocked, "{} moved money of or to a blocked wallet", asked.id)

    def _here(self, asked: Asked, address: str) -> None:
        """Nobody is paid at an address that is somebody's in the other mode."""
        other = self._facts.owners.get((not asked.livemode, address))
        agree(other is None, "{} paid {}, which is of the other mode", asked.id, address)

    def _alive(self, asked: Asked, now: int) -> None:
        assert asked.api_key is not None
        states = self._facts.states[asked.api_key].since(asked.seq)
        agree("active" in states, "{} came with a dead key", asked.id)
        if self._limits.rolled.get(asked.api_key, asked.seq + 1) <= asked.seq:
            key = ("api_key", asked.by, asked.livemode, asked.api_key)
            until = self._facts.things[key]["expires_at"]
            agree(until > now, "{} came with a key that expired at {}", asked.id, until)

    def _issue(self, asked: Asked, events: Events, _: str) -> None:
        body = asked.body or {}
        made = events[-1]["body"]
        named = body.get("source", {}).get("deposit")
        amount = millionths(body["amount"])
        found = (made["recipient"], millionths(made["amount"]), made["reference_id"])
        meant = (body["recipient"], amount, body["reference_id"])
        agree(found == meant, "{}: issued {}, asked for {}", asked.id, found, meant)
        agree(100 * MILLION <= amount <= 10_000_000 * MILLION, "{}: issued {}", asked.id, amount)
        capable = "stablecoin_issuance" in self._facts.capabilities[asked.account]
        agree(capable, "{} may not issue", asked.account)
        agree(named is not None or not asked.livemode, "{}: issued from nothing", asked.id)
        if named is not None:
            agree(made["source"]["deposit"] == named, "{}: from another deposit", asked.id)
            agree(self._facts.states[named].now() == "verified", "{} is not verified", named)
        agree(len(events) == (2 if named is None else 1), "{}: {} events", asked.id, len(events))
        if named is None:
            dollars = millionths(events[0]["body"]["amount"])
            agree(dollars == -(-amount // CENT) * CENT, "{}: of {} dollars", asked.id, dollars)
        type_ = body.get("source", {}).get("type", made["source"]["type"])
        agree(made["source"]["type"] == type_, "{}: of another type than {}", asked.id, type_)
        self._here(asked, made["recipient"])
        self._refer(asked, "issue", made)
        self._free(asked, made["recipient"])

    def _refer(self, asked: Asked, what: str, made: dict[str, Any]) -> None:
        reference = (what, made["reference_id"], asked.account, asked.livemode)
        agree(reference not in self._references, "{} was used twice", reference)
        self._references[reference] = made["id"]

    def referred(self, asked: Asked) -> str | None:
        """The object that a request's reference stands for already."""
        what = verb(asked)[0]
        reference = (asked.body or {}).get("reference_id")
        return self._references.get((what, str(reference), asked.account, asked.livemode))

    def _deposit(self, asked: Asked, events: Events, _: str) -> None:
        (event,) = events
        body = asked.body or {}
        found = (millionths(event["body"]["amount"]), event["body"]["bank_reference"])
        meant = (millionths(body["amount"]), body.get("bank_reference"))
        agree(found == meant, "{}: {}", asked.id, event["body"])
        agree(found[0] % CENT == 0, "{}: a bank has no {}", asked.id, found[0])
        capable = "stablecoin_issuance" in self._facts.capabilities[asked.account]
        agree(capable, "{} may not pay in", asked.account)

    def _operated(self, asked: Asked, events: Events, of: str) -> None:
        (event,) = events
        owner = (asked.body or {}).get("account", asked.account)
        agree((event["object_id"], event["account"]) == (of, owner), "{}: another's", asked.id)
        own = owner == asked.account
        operator = "reserves_operator" in self._facts.capabilities[asked.account]
        party = self._facts.family(owner) == self._facts.family(asked.account)
        allowed = operator and not party if asked.livemode else own or operator
        agree(allowed, "{} may not settle what is {}'s", asked.account, owner)
        ends = {"verify": "verified", "process": "processing", "complete": "completed"}
        state = ends.get(verb(asked)[0], "failed")
        agree(event["body"]["status"] == state, "{} is {}", of, event["body"]["status"])
        if state == "verified":
            payment = self._payment(event["body"], owner)
            taken = None if payment is None else self._payments.setdefault(payment, of)
            agree(taken in {None, of}, "{}: its payment was verified in {}", of, taken)

    def _payment(self, deposit: dict[str, Any], owner: str) -> tuple[str, bool, str] | None:
        """What a deposit's payment is known by: live there is one bank, in test mode one each."""
        reference = "".join((deposit["bank_reference"] or "").split()).lower()
        livemode: bool = deposit["livemode"]
        return ("network" if livemode else owner, livemode, reference) if reference else None

    def paid_in(self, asked: Asked) -> str | None:
        """The deposit that has the payment of the one that is to be verified."""
        owner, of = (asked.body or {}).get("account", asked.account), verb(asked)[1]
        table = "stablecoin_reserve_deposit"
        deposit = self._facts.things[table, owner, asked.livemode, of]
        payment = self._payment(deposit, owner)
        return None if payment is None else self._payments.get(payment)

    def _redeem(self, asked: Asked, events: Events, _: str) -> None:
        body = asked.body or {}
        made, last = events[0]["body"], events[-1]["body"]
        amount = millionths(body["amount"])
        wallet = self._facts.wallets[asked.account, asked.livemode]
        found = (millionths(made["amount"]), made["sender"], made["reference_id"])
        agree(found == (amount, wallet, body["reference_id"]), "{}: burned {}", asked.id, found)
        agree(amount >= MILLION, "{}: burned {}", asked.id, amount)
        agree(amount % CENT == 0, "{}: a bank cannot pay {}", asked.id, amount)
        held = asked.livemode or not body["destination"]["account_number"].strip("0")
        state = "pending" if held else "completed"
        agree(last["status"] == state, "{}: {}", asked.id, last["status"])
        self._refer(asked, "redeem", made)
        self._free(asked, wallet)

    def _cancel(self, asked: Asked, events: Events, of: str) -> None:
        (event,) = events
        found = (event["object_id"], event["account"], event["body"]["status"])
        agree(found == (of, asked.account, "cancelled"), "{}: {}", asked.id, found)

    def _key(self, asked: Asked, events: Events, of: str) -> None:
        made = events[0]["body"]
        follows = of if verb(asked)[0] == "roll" else None
        self._limits.know(made, follows)
        agree(made["secret"] is None, "{}: its secret stands in an event", made["id"])
        if follows is not None:
            _, old = events
            found = (old["object_id"], old["body"]["replaced_by"], old["before"]["replaced_by"])
            agree(found == (of, made["id"], None), "{} changed {}", asked.id, found)

    def _open(self, asked: Asked, events: Events, of: str) -> None:
        self._other(asked, events, of)
        for event in events:
            parent = event["body"]["parent"]
            agree(parent == asked.account, "{} is connected to {}", event["object_id"], parent)

    def _other(self, asked: Asked, events: Events, of: str) -> None:
        for event in events:
            account = event["object_id"]
            known = {asked.account, account, self._facts.parents.get(account)}
            agree(event["account"] in known, "{} changed what is {}'s", asked.id, event["account"])
            agree(of in {"", event["object_id"]}, "{} changed {}", asked.id, event["object_id"])


_ALLOWED: dict[str, Callable[[Effects, Asked, Events, str], None]] = {
    "transfer": Effects._transfer,
    "cancel": Effects._cancel,
    "issue": Effects._issue,
    "deposits": Effects._deposit,
    "verify": Effects._operated,
    "redeem": Effects._redeem,
    "process": Effects._operated,
    "complete": Effects._operated,
    "fail": Effects._operated,
    "api_keys": Effects._key,
    "roll": Effects._key,
    "revoke": Effects._other,
    "accounts": Effects._open,
    "update": Effects._other,
}


def verb(asked: Asked) -> tuple[str, str]:
    """What a request asks to be done, and the id of the object to do it with."""
    found = OBJECT.fullmatch(asked.path)
    if found is None:
        return asked.path.rpartition("/")[2], ""
    plain = {"DELETE": "revoke", "PATCH": "update"}.get(asked.method, "")
    return found[2] or plain, found[1]
