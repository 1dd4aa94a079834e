"""The table of what an order may go through: each move, who may make it and what it tells."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from commerce.kernel.lifecycle import Lifecycle

Actor = Literal["caller", "payment", "job"]

TABLE: Final = """
# state              verb     becomes                                 by              tells
pending              confirm  confirmed                               caller          confirmed
pending              pay      paid                                    caller|payment  paid
pending              cancel   cancelled                               caller          cancelled
pending              hold     held                                    caller          held
pending              expire   cancelled                               job             expired
confirmed            pay      paid                                    caller|payment  paid
confirmed            cancel   cancelled                               caller          cancelled
confirmed            hold     held                                    caller          held
confirmed            expire   cancelled                               job             expired
paid                 fulfill  partially_fulfilled|fulfilled|shipped   caller          becomes
paid                 ship     shipped                                 caller          shipped
paid                 cancel   cancelled                               caller          cancelled
paid                 hold     held                                    caller          held
paid                 refund   refunded                                payment         refunded
partially_fulfilled  fulfill  partially_fulfilled|fulfilled|shipped   caller          becomes
partially_fulfilled  ship     shipped                                 caller          shipped
partially_fulfilled  return   partially_fulfilled                     caller          updated
partially_fulfilled  hold     held                                    caller          held
partially_fulfilled  refund   refunded                                payment         refunded
fulfilled            ship     shipped                                 caller          shipped
fulfilled            deliver  delivered                               caller          delivered
fulfilled            return   fulfilled|returned                      caller          becomes
fulfilled            hold     held                                    caller          held
fulfilled            refund   refunded                                payment         refunded
shipped              deliver  delivered                               caller          delivered
shipped              return   shipped|returned                        caller          becomes
shipped              dispute  disputed                                caller          disputed
shipped              refund   refunded                                payment         refunded
delivered            complete completed                               caller|job      completed
delivered            return   delivered|returned                      caller          becomes
delivered            dispute  disputed                                caller          disputed
delivered            refund   refunded                                payment         refunded
completed            return   completed|returned                      caller          becomes
completed            dispute  disputed                                caller          disputed
completed            refund   refunded                                payment         refunded
disputed             complete completed                               caller          completed
disputed             return   disputed|returned                       caller          becomes
disputed             refund   refunded                                payment         refunded
held                 release  pending|confirmed|paid|partially_fulfilled|fulfilled  caller  updated
held                 cancel   cancelled                               caller          cancelled
held                 refund   refunded                                payment         refunded
returned             refund   refunded                                payment         refunded
"""
"""`becomes` in the last column is the state that is entered, and `updated` where it stays."""


class Transition(NamedTuple):
    """One line of the table."""

    by: tuple[str, ...]
    """Who may make the move."""
    tells: str
    """The last column."""

    def event(self, before: str, after: str) -> str:
        """The type of the event that tells of the move."""
        if self.tells != "becomes":
            return f"order.{self.tells}"
        stays = before == after and after != "partially_fulfilled"
        return "order.updated" if stays else f"order.{after}"


def _rows() -> list[list[str]]:
    lines = (line.partition("#")[0].split() for line in TABLE.splitlines())
    return [words for words in lines if words]


LIFECYCLE: Final = Lifecycle("order", "\n".join(" ".join(row[:3]) for row in _rows()))
TRANSITIONS: Final[dict[tuple[str, str], Transition]] = {
    (state, verb): Transition(tuple(by.split("|")), tells) for state, verb, _, by, tells in _rows()
}


def _told() -> tuple[str, ...]:
    """The type of every event that a move of the table tells of."""
    found = [
        TRANSITIONS[state, verb].event(state, after)
        for state, verb in TRANSITIONS
        for after in LIFECYCLE.targets(state, verb)
    ]
    return tuple(dict.fromkeys(("order.created", "order.updated", *found)))


EVENTS: Final = _told()
"""Every type of event that there is of orders."""


def of_caller(state: str) -> list[str]:
    """The verbs that whoever owns an order may use in a state."""
    return [verb for verb in LIFECYCLE.allowed(state) if "caller" in TRANSITIONS[state, verb].by]
