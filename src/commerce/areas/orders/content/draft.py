"""Drafts: orders that a card is being asked to pay, and that are made once it has.

Stock is reserved for a draft as for an order, and so is the number that it was given: a row of its
own says which draft has it. A draft is no object: nobody reads or lists it, and where the card is
declined nothing is left of it but the payment.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from commerce.areas.orders.content.terms import CustomerGiven
from commerce.areas.orders.order import Order, made_number
from commerce.engine.caller import Caller
from commerce.engine.overlay import Held, Needs
from commerce.engine.tx import Tx
from commerce.store.table import Column, Table

DRAFT: Final = Table(
    "order_draft",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("id", "text"),
        Column("payment", "text", nullable=True),
        Column("content", "jsonb", nullable=True),
        Column("customer", "jsonb", nullable=True),
        Column("created", "bigint"),
    ],
    key=("account", "livemode", "id"),
    rank=490,
)


class Draft(NamedTuple):
    """One row: an order as it will be, until it is or never will be."""

    account: str
    livemode: bool
    id: str
    """The id of the order; of the row that keeps a number, the number as `_of_number` has it."""
    payment: str | None
    """The payment that is being made, None until that has an id; of a number, the draft that has
    it, None once that is over."""
    content: str | None
    """The order's row, by its columns; None once nothing is left to be done."""
    customer: str | None
    """Who is to be made with it."""
    created: int

    @property
    def order(self) -> Order:
        """The order that it is to be."""
        assert self.content is not None
        kept: dict[str, Any] = msgspec.json.decode(self.content)
        spec = Order.__noun__
        order: Order = spec.thing(tuple(kept[name] for name in spec.table.names))
        return order


def need(needs: Needs, account: str, livemode: bool, id_: str) -> None:
    """The draft of an order, if it is one."""
    needs.row(DRAFT.key, (account, livemode, id_), lock=True)


def keep(tx: Tx, order: Order, customer: CustomerGiven | None) -> Draft:
    """Keep an order as a draft."""
    spec, account = Order.__noun__, tx.caller.account
    row = dict(zip(spec.table.names, spec.row(Held(spec, account, 1, order)), strict=True))
    draft = Draft(
        account,
        order.livemode,
        order.id,
        None,
        msgspec.json.encode(row).decode(),
        None if customer is None else msgspec.json.encode(customer).decode(),
        tx.now,
    )
    tx.claim(DRAFT, tuple(draft), fresh=True)
    if named(order):
        own = draft._replace(id=_of_number(order.number), payment=order.id)
        number = tuple(own._replace(content=None, customer=None))
        if tx.claim(DRAFT, number) is not None:
            # Its draft before this one is over.
            tx.rewrite(DRAFT, number)
    return draft


def named(order: Order) -> bool:
    """Whether it was given its number by whoever made it, and not one that nobody else can have."""
    return order.number != made_number(order.id)


def _of_number(number: str) -> str:
    """What the row that keeps a number has for an id: no order's id has a space in it."""
    return f"number {number}"


def need_number(needs: Needs, caller: Caller, number: str) -> None:
    """The row that `holder` reads."""
    needs.row(DRAFT.key, (caller.account, caller.livemode, _of_number(number)))


def holder(tx: Tx, number: str) -> str | None:
    """The id of the order that is to have a number of the caller's; None where there is none."""
    row = tx.read(DRAFT.key, (tx.caller.account, tx.caller.livemode, _of_number(number)))
    return None if row is None else Draft(*row).payment


def _let_go(tx: Tx, draft: Draft) -> None:
    """Let others have the number of a draft that is over."""
    order = draft.order
    if not named(order):
        return
    row = tx.read(DRAFT.key, (draft.account, draft.livemode, _of_number(order.number)))
    if row is not None and Draft(*row).payment == draft.id:
        tx.rewrite(DRAFT, tuple(Draft(*row)._replace(payment=None)))


def find(tx: Tx, id_: str, *, account: str) -> Draft | None:
    """The draft of an order that is none yet; None where there is none, or where it is over."""
    if id_ in tx.added:
        return None
    row = tx.read(DRAFT.key, (account, tx.caller.livemode, id_))
    draft = None if row is None else Draft(*row)
    return None if draft is None or draft.content is None else draft


def pay_by(tx: Tx, draft: Draft, payment: str) -> None:
    """Say which payment a draft waits for."""
    tx.rewrite(DRAFT, tuple(draft._replace(payment=payment)))


def close(tx: Tx, draft: Draft) -> CustomerGiven | None:
    """Have nothing left of a draft; gives who is to be made with it."""
    _let_go(tx, draft)
    tx.rewrite(DRAFT, tuple(draft._replace(content=None, customer=None)))
    if draft.customer is None:
        return None
    return msgspec.json.decode(draft.customer, type=CustomerGiven)
