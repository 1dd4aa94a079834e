"""The auditor: sees every commit and every answer, and holds both to the contract's words.

It shares no code with the ledger, the books or the engine. It knows of tables what their columns
are called, of answers what their JSON says, and computes everything else by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.simulation.audit.answer import Answers
from tests.simulation.audit.books import Books
from tests.simulation.audit.chain import Chains
from tests.simulation.audit.effect import Effects
from tests.simulation.audit.facts import FEE, Asked, Disagreement, Facts, Row, Wish, agree
from tests.simulation.audit.limit import Limits
from tests.simulation.audit.noun import NOUNS, Nouns
from tests.simulation.audit.refusal import Refusals
from tests.simulation.process import Reply
from tests.simulation.store import Changes, Witness

if TYPE_CHECKING:
    from commerce.store.table import Key, Table


class Auditor(Witness):
    """Finds what is wrong; it goes on, and tells at the end."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.facts = Facts()
        self.books = Books(self.facts)
        self._chains = Chains()
        self._nouns = Nouns(self.facts, self.books)
        self._limits = Limits(self.facts, self.books)
        self._effects = Effects(self.facts, self._limits)
        self.refusals = Refusals(self.facts, self._limits, self._effects)
        self.answers = Answers(self.facts, self._effects, self.refusals)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        try:
            yield
        except Disagreement as disagreement:
            self.findings.append(str(disagreement))
        except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
            # What cannot be read as the contract says is wrong as well.
            self.findings.append(f"what was found makes no sense: {error!r}")

    def object(self, problem: str) -> None:
        """Note what the store saw."""
        self.findings.append(problem)

    def committed(self, changes: Changes) -> None:
        """Hold a transaction to the contract."""
        with self._looking():
            self.facts.seq += 1
            rows: dict[str, list[Row]] = {}
            for table, kept in changes.items():
                names = table.names
                rows[table.name] = [dict(zip(names, row, strict=True)) for row in kept.values()]
            for row in rows.get("address", ()):
                self.facts.learn("address", row)
            for table_name in NOUNS:
                for row in rows.get(table_name, ()):
                    self.facts.learn(table_name, row)
                    self._nouns.take(table_name, row)
            self.books.commit(rows)
            self._chains.commit(rows, self.refusals.latest())
            self._nouns.commit(rows)
            self._effects.commit(rows)
            self._limits.arrive()
            self._limits.compare(rows.get("ledger_cap", ()))
            self.answers.commit(rows)

    def forgotten(self, table: Table, keys: Sequence[Key]) -> None:
        """See that only what is old was forgotten."""
        with self._looking():
            if table.name == "answer":
                self.answers.forgotten(keys)

    def asked(self, asked: Asked) -> None:
        """Know of a request that is about to be sent."""
        self._effects.asks[asked.id] = asked._replace(seq=self.facts.seq)

    def answered(self, id_: str, reply: Reply) -> None:
        """Hold an answer to the contract, also one that got lost on its way."""
        with self._looking():
            self.answers.check(self._effects.asks[id_], reply)

    @contextmanager
    def wishing(self, livemode: bool, address: str, *, blocked: bool) -> Iterator[None]:
        """Know that the operator wants an address blocked, or let go."""
        wish = Wish(blocked)
        self.facts.wishes[livemode, address].append(wish)
        try:
            yield
        finally:
            wish.ended = self.facts.seq

    @contextmanager
    def turning(self) -> Iterator[None]:
        """Know that a worker looks for jobs."""
        began = self.facts.seq
        while began in self.facts.turns:
            began -= 1
        self.facts.turns.add(began)
        try:
            yield
        finally:
            self.facts.turns.discard(began)

    def settled(self, now: int) -> None:
        """See that nothing is left undone, once all is quiet and jobs had their time."""
        with self._looking():
            aside: dict[tuple[bool, str], int] = {}
            for (table, _, livemode, id_), row in self.facts.things.items():
                if table == "api_key" and row["status"] == "active":
                    until = row["expires_at"]
                    agree(until is None or until > now, "{} expired and is active", id_)
                if table == "stablecoin_transfer" and row["status"] == "scheduled":
                    agree(row["scheduled_at"] > now, "{} was to be made long ago", id_)
                    place = (livemode, row["sender"])
                    aside[place] = aside.get(place, 0) + row["amount"] + FEE
            self._chains.settled()
            found = self.books.set_aside()
            agree(found == aside, "set aside is {}, scheduled is {}", found, aside)
