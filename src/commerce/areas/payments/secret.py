"""Client secrets: with one, a payer finds a payment that is another account's, and may pay it."""

from __future__ import annotations

import hashlib
import hmac
import re

from commerce.areas.payments.payment import Payment
from commerce.engine.tx import Tx

_BYTES = 16
_SECRET = re.compile(r"(.{1,64})_secret_([0-9a-z]{26})([0-9a-f]{32})")


def make(tx: Tx, payment: str) -> str:
    """The secret of a payment of the caller's: the payment, whose it is, and a keyed hash of both.

    It says whose the payment is, since nothing else does: ids are an account's own. It is the
    same whenever it is made, since a payment by card is answered by another commit than made it.
    """
    account = tx.caller.account
    keyed = tx.fingerprint(f"client_secret\n{account}\n{payment}".encode())[:_BYTES].hex()
    return f"{payment}_secret_{account.removeprefix('acct_')}{keyed}"


def owner_of(payment: str, secret: str) -> str | None:
    """The account whose payment a secret says it is; None for what is no secret of this payment."""
    match = _SECRET.fullmatch(secret)
    return None if match is None or match[1] != payment else f"acct_{match[2]}"


def hash_of(secret: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def opens(payment: Payment, secret: str) -> bool:
    """Whether this is the secret of a payment; compared in constant time."""
    kept = payment.client_secret_hash or ""
    return hmac.compare_digest(kept, hash_of(secret))
