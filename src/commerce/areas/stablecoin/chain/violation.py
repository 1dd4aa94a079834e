"""Violations: what the operators of the reserves are told when a verify finds the ledger wrong."""

from __future__ import annotations

from typing import ClassVar

from commerce.engine.tx import Tx
from commerce.resource.noun import Noun, noun
from commerce.resource.operation import Params

EVENT = "ledger.violated"
SHOWN_MAX = 5
"""How many findings are told; `commerce verify` names more."""


@noun(prefix="viol", rank=2170, event="ledger")
class Violation(Noun, tag="ledger_violation", frozen=True, kw_only=True):
    """The ledger was verified, and is not right.

    It stands in an event alone, which every account that operates the reserves gets: in the mode
    in which something is wrong, and again after each scheduled verify until nothing is.
    """

    emits: ClassVar = (EVENT,)
    kept: ClassVar = False

    violations: int
    """How many violations were found in this mode. Of each invariant at most 20 are counted."""
    findings: list[str]
    """The first of them: the invariant that is broken, and the rows that break it."""


class TellViolation(Params, frozen=True, kw_only=True):
    """What was found in one mode, and who is to hear it."""

    accounts: list[str]
    findings: list[str]


def tell(tx: Tx, params: TellViolation) -> Violation:
    """Tell accounts what a verify has found, all of them or none."""
    violation = Violation(
        id=tx.new_id(Violation.__noun__.prefix),
        livemode=tx.caller.livemode,
        created=tx.now,
        violations=len(params.findings),
        findings=params.findings[:SHOWN_MAX],
    )
    body = Violation.__noun__.encode(violation)
    for account in params.accounts:
        tx.tell(account, EVENT, violation.id, body)
    return violation
