"""What is due when a payment is given back: from whom, how much of it, and what it says then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from commerce.areas.identity import account as accounts
from commerce.areas.identity.account import main_wallet
from commerce.areas.payments import charge, share
from commerce.areas.payments.payment import Payment
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.directory import Address

SHOWN_MAX = 100
"""How many refunds a payment names."""


def parts(payment: Payment, amount: int) -> list[int]:
    """What each recipient, and last the platform, gives of an amount."""
    return share.back(amount, *_dues(payment))


def _dues(payment: Payment) -> tuple[list[int], list[int]]:
    """What each recipient, and last the platform, owes in all, and has given so far."""
    fee, given = payment.application_fee_amount, payment.application_fee_refunded
    owed_fee, given_fee = (0 if each is None else each.minor for each in (fee, given))
    if payment.splits is None:
        whole = [payment.amount_captured.minor]
        before = [payment.amount_refunded.minor - given_fee]
    else:
        currency = payment.currency
        whole = [charge.minor(each.amount_captured or "0", currency) for each in payment.splits]
        before = [charge.minor(each.amount_refunded, currency) for each in payment.splits]
    return share.owed(whole, owed_fee), [*before, given_fee]


def givers(tx: Tx, payment: Payment, payer: Address | None, *, account: str) -> list[Address]:
    """The wallet that gives for each recipient of an account's payment, and last the platform's.

    `payer` is the wallet that paid, None for a card. Raises `address_not_owned` where the account
    would have to give to itself what others got.
    """
    paid = charge.parties(tx, payment)
    own = tx.address(main_wallet(account, payment.livemode))
    found = []
    for recipient in paid.recipients:
        there = recipient.account
        if there is not None and (there == account or accounts.parent(tx, there) == account):
            found.append(recipient)
        elif payer is not None and payer.account == account:
            message = (
                f"'{recipient.address}' is not yours to take from: its owner can send it back."
            )
            raise ApiError("address_not_owned", message, param="payment")
        else:
            found.append(own)
    return [*found, own if paid.platform is None else paid.platform]


def counted(payment: Payment, refund: str, amount: Money, parts: Sequence[int]) -> dict[str, Any]:
    """The fields of a payment once a refund counts."""
    return {
        **_moved(payment, amount.minor, parts, 1),
        "refunds": [*payment.refunds, refund][-SHOWN_MAX:],
    }


def uncounted(payment: Payment, amount: Money, parts: Sequence[int]) -> dict[str, Any]:
    """The fields of a payment once a refund that failed counts no more."""
    return _moved(payment, amount.minor, parts, -1)


def _moved(payment: Payment, amount: int, parts: Sequence[int], sign: int) -> dict[str, Any]:
    currency = payment.currency
    fields: dict[str, Any] = {
        "amount_refunded": Money(payment.amount_refunded.minor + sign * amount, currency)
    }
    if payment.application_fee_refunded is not None:
        back = payment.application_fee_refunded.minor + sign * parts[-1]
        fields["application_fee_refunded"] = Money(back, currency)
    if payment.splits is not None:
        before = [charge.minor(each.amount_refunded, currency) for each in payment.splits]
        fields["splits"] = [
            msgspec.structs.replace(
                each, amount_refunded=Money(already + sign * part, currency).text
            )
            for each, already, part in zip(payment.splits, before, parts[:-1], strict=True)
        ]
    return fields
