"""Moves of payments: the one place where what a payment pays for moves on with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from commerce.areas.payments.payment import Payment
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx, missing


class _Name(NamedTuple):
    """What a refusal calls what there is not."""

    name: str


def _named(payment: Payment) -> Iterator[tuple[str, str]]:
    """The fields by which a payment names what it pays for, and the ids in them."""
    for field, id_ in (("order", payment.order_id), ("invoice", payment.invoice)):
        if id_ is not None:
            yield field, id_


def need(needs: Needs, caller: Caller, **named: str | None) -> None:
    """What `begin` and moves touch beside a payment that names these: `order=params.order`."""
    for field, id_ in named.items():
        if id_ is not None and field in needs.followers:
            needs.followers[field].need(needs, caller.account, caller.livemode, id_)


def begin(tx: Tx, payment: Payment) -> None:
    """See that what a payment is to pay for may be paid by it.

    Raises `resource_missing`, and what those refuse whose it is: `state_invalid`,
    `amount_mismatch`, `currency_unsupported`.
    """
    for field, id_ in _named(payment):
        follower = tx.means.followers.get(field)
        if follower is None:
            raise missing(_Name(field), id_, param=field)
        follower.begin(tx, payment)


def advance(  # noqa: PLR0913 - called by keyword
    tx: Tx,
    payment: Payment,
    verb: str,
    *,
    account: str,
    event: str | None = None,
    told: str | None = None,
    **fields: Any,
) -> Payment:
    """Move an account's payment along its lifecycle, and what it pays for along with it.

    `told` is what that is told, where it is not the verb.
    """
    moved = tx.advance(payment, verb, account=account, event=event, **fields)
    return followed(tx, moved, told or verb, account)


def refund(tx: Tx, payment: Payment, *, account: str, **fields: Any) -> Payment:
    """Count a refund of an account's payment, and tell what it paid for."""
    counted = tx.change(payment, account=account, event="payment.refunded", **fields)
    return followed(tx, counted, "refund", account)


def followed(tx: Tx, payment: Payment, verb: str, account: str) -> Payment:
    """Tell what an account's payment pays for of its latest move."""
    for field, _ in _named(payment):
        tx.means.followers[field].moved(tx, payment, verb, account=account)
    return payment
