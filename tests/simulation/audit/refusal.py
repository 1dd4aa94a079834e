"""Refusals: that there was a reason, at some time between the request and its answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.simulation.audit.effect import Effects, verb
from tests.simulation.audit.facts import (
    CENT,
    FEE,
    MILLION,
    Asked,
    Facts,
    agree,
    millionths,
    utc_day,
)
from tests.simulation.audit.limit import (
    LEVELS,
    TEST_DOLLARS,
    TEST_DOLLARS_DAILY_MAX,
    WINDOWS,
    Limits,
)

AVAILABLE = re.compile(r".* more than the available (\d+\.\d+)\.")
LIMIT = re.compile(
    r"The limit of (\S+) ssUSD (.*) at verification level '(\w+)'"
    r" would be exceeded; (\S+) ssUSD is left\."
)
KEY_LIMIT = re.compile(
    r"This key's limit of (\S+) ssUSD (.*) would be exceeded; (\S+) ssUSD is left\."
)
DOLLARS = re.compile(
    r"An account makes at most 1000000000\.00 test dollars a day; (\d+\.\d+) is left\."
)
OTHER_TYPE = re.compile(r"(dep_\w+) is of the type '(\w+)'\.")
SAMPLE = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
"""The documentation's address, which test mode takes."""
KEY_WINDOWS = {"per transaction": "per_transaction", "a day": "daily", "in all": "lifetime"}


class Refusals:
    """What may be refused, and why."""

    def __init__(self, facts: Facts, limits: Limits, effects: Effects) -> None:
        self._facts = facts
        self._limits = limits
        self._effects = effects
        self.latest: Callable[[], int] = lambda: 0
        """The latest time that any clock here has ever shown, Unix seconds."""

    def check(self, asked: Asked, error: dict[str, Any]) -> None:
        """See that a request was refused for a reason. Raises `Disagreement`."""
        code = error["code"]
        reason = _REASONS.get(code)
        agree(reason is not None, "{}: nobody expects '{}': {}", asked.id, code, error["message"])
        assert reason is not None
        agree(
            reason(self, asked, error["message"]), "{} was refused: {}", asked.id, error["message"]
        )

    def _rows(self, asked: Asked) -> list[dict[str, Any]]:
        body = asked.body or {}
        found: list[dict[str, Any]] = body.get("transfers") or [body]
        return found

    def _amounts(self, asked: Asked) -> list[int]:
        return [millionths(row["amount"]) for row in self._rows(asked)]

    def _funds(self, asked: Asked, message: str) -> bool:
        found = AVAILABLE.fullmatch(message)
        if found is None:
            return False
        amounts = self._amounts(asked)
        fees = FEE * len(amounts) if verb(asked)[0] == "transfer" else 0
        left = millionths(found[1])
        wallet = self._facts.wallets[asked.account, asked.livemode]
        had = self._facts.available[asked.livemode, wallet].since(asked.seq)
        return left in had and sum(amounts) + fees > left

    def _limit(self, asked: Asked, message: str) -> bool:
        found = DOLLARS.fullmatch(message)
        if found is not None:
            return self._dollars(asked, millionths(found[1]))
        found = LIMIT.fullmatch(message)
        if found is None:
            return self._key_limit(asked, message)
        most, window, level, left = found.groups()
        known = self._facts.levels[asked.account, asked.livemode].since(asked.seq)
        at = WINDOWS.index(window)
        if level not in known or millionths(most) != LEVELS[level][at] * MILLION:
            return False
        amounts, rest = self._amounts(asked), millionths(left)
        if not at:
            return max(amounts) > rest == millionths(most)
        meter = self._limits.meter(asked.account, asked.livemode)
        return sum(amounts) > rest and rest in self._rests(
            asked, meter, ("", "by_day", "by_month")[at], millionths(most)
        )

    def _dollars(self, asked: Asked, rest: int) -> bool:
        """Whether an account has made so many test dollars that so much is left."""
        name, of = verb(asked)
        account = (asked.body or {}).get("account", asked.account)
        if name == "verify":
            table = "stablecoin_reserve_deposit"
            amount = self._facts.things[table, account, False, of]["amount"]
        else:
            amount = -(-self._amounts(asked)[0] // CENT) * CENT
        meter = (account, False, TEST_DOLLARS)
        rests = self._rests(asked, meter, "by_day", TEST_DOLLARS_DAILY_MAX)
        return not asked.livemode and amount > rest and rest in rests

    def _key_limit(self, asked: Asked, message: str) -> bool:
        if asked.api_key is None:
            return False
        key = self._limits.keys[asked.api_key]
        found = KEY_LIMIT.fullmatch(message)
        if found is None:
            paid = {row["to"] for row in self._rows(asked)}
            return key["recipients"] is not None and not paid <= set(key["recipients"])
        most, window, left = found.groups()
        name = KEY_WINDOWS[window]
        if str(key["limits"][name]) != most:
            return False
        amounts, rest = self._amounts(asked), millionths(left)
        if name == "per_transaction":
            return max(amounts) > rest == millionths(most)
        meter = self._limits.meter(asked.by, asked.livemode, asked.api_key)
        field = "by_day" if name == "daily" else "total"
        before = {0}
        for amount in amounts[:-1]:
            before.add(max(before) + amount)
        rests = self._rests(asked, meter, field, millionths(most))
        return sum(amounts) > rest and any(rest + earlier in rests for earlier in before)

    def _rests(self, asked: Asked, meter: tuple[str, bool, str], field: str, most: int) -> set[int]:
        """What may have been left: of what was used, or of a day or month that was new."""
        rests = set()
        for used in self._limits.history(meter).since(asked.seq):
            rests.add(max(most - getattr(used, field), 0))
            if field != "total" and used.day < utc_day(self.latest()):
                rests.add(most)
        return rests

    def _sanctioned(self, asked: Asked, _: str) -> bool:
        wallet = self._facts.wallets[asked.account, asked.livemode]
        rows = self._rows(asked)
        others = [str(row.get("to") or row.get("recipient") or wallet) for row in rows]
        ends = others if verb(asked)[0] == "issue" else [wallet, *others]
        return True in self._facts.is_blocked(asked.livemode, ends, asked.seq)

    def _reserve(self, asked: Asked, _: str) -> bool:
        deposit = (asked.body or {})["source"]["deposit"]
        left = self._facts.unissued[deposit].since(asked.seq)
        states = self._facts.states[deposit].since(asked.seq)
        return "pending" in states or min(left) < self._amounts(asked)[0]

    def _reference(self, asked: Asked, _: str) -> bool:
        if verb(asked)[0] == "verify":
            return self._effects.paid_in(asked) not in {None, verb(asked)[1]}
        return self._effects.referred(asked) is not None

    def _state(self, asked: Asked, _: str) -> bool:
        name, of = verb(asked)
        wanted = {
            "cancel": {"scheduled", "pending"},
            "verify": {"pending"},
            "process": {"pending"},
            "complete": {"pending", "processing"},
            "fail": {"pending", "processing"},
            "roll": {"active"},
        }[name]
        states = set(self._facts.states[of].since(asked.seq))
        return not states <= wanted or of in self._limits.rolled

    def _invalid(self, asked: Asked, message: str) -> bool:
        wallet = self._facts.wallets[asked.account, asked.livemode]
        if "itself" in message:
            return any(row["to"] == wallet for row in self._rows(asked))
        found = OTHER_TYPE.fullmatch(message)
        if found is not None:
            source = (asked.body or {}).get("source", {})
            key = ("stablecoin_reserve_deposit", asked.account, asked.livemode, found[1])
            type_: str = self._facts.things[key]["type"]
            named = (source["deposit"], source["type"])
            return type_ == found[2] and named[0] == found[1] and named[1] != type_
        return "scheduled_at" in message and "scheduled_at" in (asked.body or {})

    def _recipient(self, asked: Asked, _: str) -> bool:
        found = [str(row.get("to") or row.get("recipient")) for row in self._rows(asked)]
        known = self._facts.owners
        return any(
            (asked.livemode, address) not in known and (asked.livemode or address != SAMPLE)
            for address in found
        )

    def _owned(self, asked: Asked, _: str) -> bool:
        wallet = self._facts.wallets[asked.account, asked.livemode]
        return str((asked.body or {}).get("from", wallet)) != wallet

    def _amount(self, asked: Asked, _: str) -> bool:
        amount = self._amounts(asked)[0]
        return amount < (100 if verb(asked)[0] == "issue" else 1) * MILLION

    def _precision(self, asked: Asked, _: str) -> bool:
        return verb(asked)[0] in {"deposits", "redeem"} and self._amounts(asked)[0] % CENT != 0

    def _missing(self, asked: Asked, _: str) -> bool:
        operator = "reserves_operator" in self._facts.capabilities[asked.account]
        operated = verb(asked)[0] in {"verify", "process", "complete", "fail"}
        return operated and operator and asked.livemode and "account" not in (asked.body or {})

    def _permission(self, asked: Asked, _: str) -> bool:
        owner = (asked.body or {}).get("account", asked.account)
        operator = "reserves_operator" in self._facts.capabilities[asked.account]
        party = self._facts.family(owner) == self._facts.family(asked.account)
        return (party and asked.livemode) or not operator

    def _acting(self, asked: Asked, _: str) -> bool:
        return not self._facts.may_act(asked)

    def _issuer(self, asked: Asked, _: str) -> bool:
        return "stablecoin_issuance" not in self._facts.capabilities[asked.account]

    def _dead_key(self, asked: Asked, _: str) -> bool:
        if asked.api_key is None:
            return False
        # One that was rolled lives on for a while, and then is dead without another change.
        states = self._facts.states[asked.api_key].since(asked.seq)
        return "revoked" in states or asked.api_key in self._limits.rolled


_REASONS: dict[str, Callable[[Refusals, Asked, str], bool]] = {
    "insufficient_funds": Refusals._funds,
    "limit_exceeded": Refusals._limit,
    "sanctioned_party": Refusals._sanctioned,
    "insufficient_reserve_verification": Refusals._reserve,
    "duplicate_reference": Refusals._reference,
    "state_invalid": Refusals._state,
    "parameter_invalid": Refusals._invalid,
    "invalid_recipient": Refusals._recipient,
    "address_not_owned": Refusals._owned,
    "amount_invalid": Refusals._amount,
    "amount_precision": Refusals._precision,
    "parameter_missing": Refusals._missing,
    "account_invalid": Refusals._acting,
    "insufficient_permissions": Refusals._permission,
    "unauthorized_issuer": Refusals._issuer,
    "api_key_revoked": Refusals._dead_key,
    "api_key_expired": Refusals._dead_key,
}
