"""The auditor's books: every transaction checked against its object, every entry added up anew."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict

import msgspec

from tests.simulation.audit.facts import FEE, Disagreement, Facts, Row, agree

GUARDED = re.compile(r"wallet:.*|reserves:unissued:.*|redemptions:payable")
"""What may not fall below zero, by the chart of accounts."""
CASH = "reserves:cash"
"""The one account of the ssUSD book that is kept on the debit side."""
_TYPES = {
    "verified": "reserve",
    "issued": "issue",
    "transferred": "transfer",
    "scheduled": "reserve",
    "released": "reserve",
    "burned": "redeem",
    "completed": "settlement",
    "failed": "redeem",
    "cancelled": "redeem",
}
"""What a transaction of each booking is called to those who read it."""
_LEAVES = {"transferred": "sender", "burned": "sender"}
_COMES_TO = {
    "issued": "recipient",
    "transferred": "recipient",
    "failed": "sender",
    "cancelled": "sender",
}
"""What an object calls the wallet that each booking takes from, or brings to."""
Account = tuple[str, bool, str, str]
Legs = dict[tuple[str, str], int]

_SOURCES = {
    "iss": "stablecoin_issuance",
    "tr": "stablecoin_transfer",
    "red": "stablecoin_redemption",
    "dep": "stablecoin_reserve_deposit",
}


class Books:
    """Balances, summed from the entries alone."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._balances: dict[Account, tuple[int, int]] = {}
        self._booked: set[tuple[str, str]] = set()
        self._cash: defaultdict[bool, int] = defaultdict(int)
        self._owed: defaultdict[bool, int] = defaultdict(int)
        self._set_aside: defaultdict[tuple[bool, str], int] = defaultdict(int)
        self.supply: defaultdict[bool, int] = defaultdict(int)
        self.deposited: defaultdict[tuple[bool, str], int] = defaultdict(int)
        self.after: dict[tuple[str, str], int] = {}
        """What was available to the payer after each booking of this commit, by source."""
        self.supplied: dict[str, int] = {}
        """The supply after each issuance of this commit."""
        self.paid: dict[str, Row] = {}
        """This commit's transactions that paid a wallet somebody owns, by id."""
        self.arrived: list[Row] = []
        """This commit's transactions by which dollars came into the reserves."""

    def commit(self, rows: dict[str, list[Row]]) -> None:
        """Book what was committed. Raises `Disagreement`."""
        self.after, self.supplied, self.paid, self.arrived = {}, {}, {}, []
        entries: defaultdict[str, list[Row]] = defaultdict(list)
        for entry in rows.get("ledger_entry", ()):
            entries[entry["transaction"]].append(entry)
        touched: set[Account] = set()
        for transaction in rows.get("ledger_transaction", ()):
            own = entries.pop(transaction["id"], [])
            self._book(transaction, own)
            touched.update(self._enter(entry) for entry in own)
            self._conclude(transaction)
        agree(not entries, "entries without a transaction: {}", list(entries))
        self._compare(rows.get("ledger_balance", ()), touched)

    def _book(self, row: Row, entries: list[Row]) -> None:
        """See that a transaction is what its object asks for, and that its entries are its legs."""
        name = f"{row['booking']} of {row['source']}"
        agree((row["source"], row["booking"]) not in self._booked, "{}: booked twice", name)
        self._booked.add((row["source"], row["booking"]))
        legs: defaultdict[tuple[str, str], int] = defaultdict(int)
        postings = msgspec.json.decode(row["postings"])
        for debit_owner, debit, credit_owner, credit, currency, amount in postings:
            agree(
                currency == "ssusd" and amount > 0, "{}: a posting of {} {}", name, amount, currency
            )
            legs[debit_owner, debit] += amount
            legs[credit_owner, credit] -= amount
        meant = self._meant(row)
        agree(dict(legs) == meant, "{}: booked {}, meant {}", name, dict(legs), meant)
        made = {(e["account"], e["code"].partition("#")[0]): e["amount"] for e in entries}
        agree(made == meant and len(made) == len(entries), "{}: entries {}", name, made)
        agree(sum(made.values()) == 0, "{}: entries do not sum to zero", name)
        agree(row["tx_hash"] == _hash(row, postings), "{}: its hash is another's", name)

    def _meant(self, row: Row) -> Legs:
        """What the chart of postings says is booked for an object."""
        table = _SOURCES[row["source"].partition("_")[0]]
        livemode, booking = row["livemode"], row["booking"]
        thing = self._facts.things.get((table, row["account"], livemode, row["source"]))
        if thing is None:
            raise Disagreement(f"a transaction of {row['source']}, which is not there")
        amount = thing["amount"]
        cost = amount + FEE if booking in {"scheduled", "released"} else amount
        agree(row["amount"] == cost, "{}: {} is not its amount", row["source"], row["amount"])
        _told(row, thing)
        if booking == "verified":
            return _legs(("network", CASH), self._unissued(thing["id"]), amount)
        if booking == "issued":
            wallet = self._wallet(livemode, thing["recipient"])
            return _legs(self._unissued(thing["source_deposit"]), wallet, amount)
        payer = self._wallet(livemode, thing["sender"])
        held = (payer[0], f"wallet:{thing['sender']}:locked")
        payable = ("network", "redemptions:payable")
        if booking == "transferred":
            source = payer if thing["scheduled_at"] is None else held
            payee = self._wallet(livemode, thing["recipient"])
            return {source: amount + FEE, payee: -amount, ("network", "fees:network"): -FEE}
        if booking == "scheduled":
            return _legs(payer, held, amount + FEE)
        if booking == "released":
            return _legs(held, payer, amount + FEE)
        if booking == "burned":
            return _legs(payer, payable, amount)
        if booking == "completed":
            return _legs(payable, ("network", CASH), amount)
        agree(booking in {"failed", "cancelled"}, "nobody knows a booking '{}'", booking)
        return _legs(payable, payer, amount)

    def _wallet(self, livemode: bool, address: str) -> tuple[str, str]:
        owner = self._facts.owners.get((livemode, address)) or "network"
        return owner, f"wallet:{address}:available"

    @staticmethod
    def _unissued(deposit: str) -> tuple[str, str]:
        return "network", f"reserves:unissued:{deposit}"

    def _enter(self, entry: Row) -> Account:
        """Add an entry to its account's balance."""
        livemode, code = entry["livemode"], entry["code"]
        account = (entry["account"], livemode, code, entry["currency"])
        balance, number = self._balances.get(account, (0, 0))
        is_cash = code.partition("#")[0] == CASH
        change = entry["amount"] if is_cash else -entry["amount"]
        balance += change
        agree(entry["number"] == number + 1, "{}: entry {} after {}", code, entry["number"], number)
        agree(
            entry["balance_after"] == balance,
            "{}: entry {} says {}, it is {}",
            code,
            number + 1,
            entry["balance_after"],
            balance,
        )
        agree(balance >= 0 or not GUARDED.fullmatch(code), "{} falls to {}", code, balance)
        self._balances[account] = (balance, number + 1)
        (self._cash if is_cash else self._owed)[livemode] += change
        facts = self._facts
        if code.startswith("wallet:"):
            _, address, part = code.split(":")
            if part == "available":
                facts.available[livemode, address].become(facts.seq, balance)
            else:
                self._set_aside[livemode, address] = balance
        elif code.startswith("reserves:unissued:"):
            facts.unissued[code.rpartition(":")[2]].become(facts.seq, balance)
        return account

    def _conclude(self, row: Row) -> None:
        """What holds after every transaction: the reserves are what is owed."""
        livemode, booking, source = row["livemode"], row["booking"], row["source"]
        cash, owed = self._cash[livemode], self._owed[livemode]
        agree(
            cash == owed, "after {} of {}: {} in the reserves, {} owed", booking, source, cash, owed
        )
        if booking == "issued":
            self.supply[livemode] += row["amount"]
            self.supplied[source] = self.supply[livemode]
        elif booking == "burned":
            self.supply[livemode] -= row["amount"]
        elif booking in {"failed", "cancelled"}:
            self.supply[livemode] += row["amount"]
        elif booking == "verified":
            table = "stablecoin_reserve_deposit"
            deposit = self._facts.things[table, row["account"], livemode, source]
            self.deposited[livemode, deposit["type"]] += row["amount"]
            self.arrived.append(row)
        if source.startswith("tr_"):
            transfer = self._facts.things["stablecoin_transfer", row["account"], livemode, source]
            left = self._facts.available[livemode, transfer["sender"]].now()
            self.after[source, booking] = left
        owner = self._facts.owners.get((livemode, row["recipient"]))
        agree(
            row["payee"] == owner, "{} of {}: paid {}, not {}", booking, source, row["payee"], owner
        )
        if booking == "transferred" and owner is not None:
            self.paid[row["id"]] = row

    def _compare(self, rows: list[Row] | tuple[()], touched: set[Account]) -> None:
        """The balances that are kept are those that the entries come to."""
        kept = set()
        for row in rows:
            account = (row["account"], row["livemode"], row["code"], row["currency"])
            kept.add(account)
            found = (row["balance"], row["entries"])
            mine = self._balances.get(account, (0, 0))
            agree(found == mine, "{}: kept {}, entries come to {}", row["code"], found, mine)
        agree(touched <= kept, "balances not kept: {}", touched - kept)

    def set_aside(self) -> dict[tuple[bool, str], int]:
        """What is locked in each wallet."""
        return {place: amount for place, amount in self._set_aside.items() if amount}


def _told(row: Row, thing: Row) -> None:
    """See that a transaction is called what it is, and names the wallets that it changes."""
    name, booking = f"{row['booking']} of {row['source']}", row["booking"]
    agree(row["type"] == _TYPES.get(booking), "{}: of type '{}'", name, row["type"])
    meant = tuple(
        None if booking not in ends else thing[ends[booking]] for ends in (_LEAVES, _COMES_TO)
    )
    agree((row["sender"], row["recipient"]) == meant, "{}: not between {}", name, meant)


def _legs(debit: tuple[str, str], credit: tuple[str, str], amount: int) -> Legs:
    return {debit: amount, credit: -amount}


def _hash(row: Row, postings: list[list[object]]) -> bytes:
    """SHA-256 over the canonical form, written by another library than the ledger's."""
    head = ["commerce.transaction.1", row["account"], row["id"], row["created"]]
    names = ("type", "source", "booking", "amount", "currency", "sender", "recipient", "memo")
    form = [*head, *(row[name] for name in names), postings]
    text = json.dumps(form, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()
