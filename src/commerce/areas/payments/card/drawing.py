"""What a payment by card gives back: its own money that has not settled first, then what is free.

Amounts are in the smallest unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from commerce.areas.payments.payment import Payment, Unsettled
from commerce.books import chart
from commerce.books.returns import Purse
from commerce.engine.tx import Tx
from commerce.ledger.account import NETWORK
from commerce.ledger.directory import Address


class Part(NamedTuple):
    """What one wallet is to give."""

    wallet: Address
    amount: int


class Drawn(NamedTuple):
    """Where one wallet's part comes from."""

    wallet: Address
    pending: int
    """Of what has not settled of this payment."""
    free: int
    """Of what is available."""
    lacking: int
    """What the wallet does not have."""


Rest = list[Unsettled] | None
"""What is still pending of a payment."""


def draw(tx: Tx, payment: Payment, parts: Sequence[Part]) -> tuple[list[Drawn], Rest]:
    """Where each part comes from, and what is pending of the payment after that. Books nothing."""
    rest = None if payment.unsettled is None else list(payment.unsettled)
    free: dict[str, int] = {}
    drawn: list[Drawn] = []
    for address, amount in parts:
        pending = 0
        for at, (wallet, there) in enumerate((each.wallet, each.amount) for each in rest or ()):
            if wallet == address.address:
                assert rest is not None
                some = min(there, amount - pending)
                rest[at] = Unsettled(wallet, there - some)
                pending += some
        if address.address not in free:
            free[address.address] = tx.balance(purse(payment, address).available)
        from_free = min(amount - pending, free[address.address])
        free[address.address] -= from_free
        drawn.append(Drawn(address, pending, from_free, amount - pending - from_free))
    return drawn, rest


def put_back(payment: Payment, wallet: str, pending: int) -> tuple[bool, Rest]:
    """Whether what was pending of a payment is so again, and what is pending of it then.

    What has settled meanwhile is available.
    """
    if payment.unsettled is None or not pending:
        return False, payment.unsettled
    rest = list(payment.unsettled)
    at = next(at for at, each in enumerate(rest) if each.wallet == wallet)
    rest[at] = Unsettled(wallet, rest[at].amount + pending)
    return True, rest


def purse(payment: Payment, address: Address) -> Purse:
    """A wallet's money in the currency of a payment."""
    of = (address.account or NETWORK, payment.livemode, address.address, payment.currency)
    return Purse(address.address, chart.pending(*of), chart.available(*of))


def processor(payment: Payment) -> str:
    """The processor that has the money of a payment."""
    assert payment.processor_response is not None
    return payment.processor_response.processor
