"""Receipts: the address of each, which nobody guesses, and what stands on it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any

from commerce.areas.payments.payment import Payment
from commerce.engine.tx import Tx
from commerce.kernel.ids import livemode_of
from commerce.resource.reading import Reader

PATH = "/receipts/"
_BYTES = 16
_TOKEN = re.compile(r"([a-z0-9_]{1,64})-([0-9a-z]{26})-([0-9a-f]{32})")

Fingerprint = Callable[[bytes], bytes]


def url(tx: Tx, payment: Payment, account: str) -> str:
    """Where the receipt of an account's payment is shown."""
    token = _token(tx.fingerprint, account, payment.id)
    return f"{tx.base_url}{PATH}{token}"


async def find(reader: Reader, fingerprint: Fingerprint, token: str) -> Payment | None:
    """The payment whose receipt has this address; None where there is none."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    id_, account = match[1], f"acct_{match[2]}"
    livemode = livemode_of(id_)
    if livemode is None or not hmac.compare_digest(token, _token(fingerprint, account, id_)):
        return None
    row = await reader.point(Payment.__noun__.table.key, (account, livemode, id_))
    if row is None:
        return None
    payment: Payment = Payment.__noun__.held(row).thing
    return payment if payment.captured else None


def told(payment: Payment) -> dict[str, Any]:
    """What a receipt says, to whoever has its address: nothing of the payer, or of fees."""
    several = ", ".join(each.recipient for each in payment.splits or ())
    return {
        "payment": payment.id,
        "created": payment.created,
        "amount": payment.amount_captured,
        "refunded": payment.amount_refunded,
        "recipient": payment.recipient or several,
        "description": payment.description,
        "livemode": payment.livemode,
    }


def _token(fingerprint: Fingerprint, account: str, payment: str) -> str:
    """A payment, whose it is, and a keyed hash of both."""
    keyed = fingerprint(f"receipt\n{account}\n{payment}".encode())[:_BYTES].hex()
    return f"{payment}-{account.removeprefix('acct_')}-{keyed}"
