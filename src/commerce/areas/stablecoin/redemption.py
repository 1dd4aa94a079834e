"""Redemptions: ssUSD burned for dollars that are then owed, and paid."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from commerce.areas.identity import account as accounts
from commerce.areas.identity import spending
from commerce.areas.stablecoin import wallet
from commerce.areas.stablecoin.chain.height import with_heights
from commerce.areas.stablecoin.destination import (
    Destination,
    DestinationDetails,
    checked,
    estimated_arrival,
)
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import chart, stablecoin
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.noun import HEX, HIDDEN, Hash, Noun, Time, noun
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import (
    Amount,
    Metadata,
    Reference,
    kept,
    require_cents,
    require_ssusd,
)
from commerce.resource.ref import Wallet

AMOUNT_MIN = Money(UNIT[SSUSD], SSUSD)
HELD_ACCOUNT_NUMBER = "000000000000"
"""A redemption to this account is not paid at once in test mode, so that its ends can be tried."""

State = Literal["pending", "processing", "completed", "failed", "cancelled"]
Words = Annotated[str, msgspec.Meta(max_length=256)]


@noun(
    prefix="red",
    rank=320,
    path="stablecoin/redemptions",
    scope="stablecoin:read",
    event="stablecoin.redemption",
    filters=("status", "sender", "reference_id", "amount", "completed_at"),
    unique=("reference_id",),
)
class Redemption(Noun, tag="stablecoin_redemption", frozen=True, kw_only=True):
    """ssUSD burned, and the dollars owed for it."""

    emits: ClassVar = ("stablecoin.redeemed",)
    complete: ClassVar = with_heights
    lifecycle: ClassVar = Lifecycle(
        "stablecoin_redemption",
        """
        pending     process   processing
        pending     complete  completed
        pending     fail      failed
        pending     cancel    cancelled
        processing  complete  completed
        processing  fail      failed
        """,
    )

    amount: Money
    """How much was burned."""
    currency: str = SSUSD
    """Always `ssusd`."""
    sender: Wallet
    """The wallet it was burned from."""
    reference_id: str
    """Your reference, unique among your redemptions."""
    destination: Destination
    """Where the dollars go."""
    fiat_currency: str = "usd"
    """What is paid."""
    status: State
    """Whether the dollars are still owed (`pending`, `processing`) or have been sent."""
    estimated_arrival: str
    """The day the dollars are expected, `YYYY-MM-DD`: one US banking day later."""
    completed_at: Time | None = None
    """When the dollars were sent."""
    purpose: str | None = None
    """What you said it is for."""
    source_of_funds: str | None = None
    """Where you said the ssUSD came from."""
    tx_hash: Hash
    """The hash of the ledger transaction that burned it."""
    transaction: TransactionSummary
    """The ledger transaction that burned it."""
    failure_reason: str | None = None
    """Why the dollars could not be sent, in the operator's words."""
    terms: Annotated[str, HIDDEN, HEX]


class RedeemCompliance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What you say of the money."""

    purpose: Words | None = None
    """What the dollars are for."""
    source_of_funds: Words | None = None
    """Where the ssUSD came from."""


class CreateRedemption(Params, frozen=True, kw_only=True):
    """ssUSD to turn into dollars."""

    sender: str | None = None
    """The wallet to burn from: one of your own, your main wallet by default."""
    amount: Amount
    """How much, in whole cents, at least 1.00; or a coin, `{"denom": "ssusd", "amount": \
"<millionths>"}`."""
    currency: str = SSUSD
    """`ssusd`, if given."""
    destination: DestinationDetails
    """The bank account that gets the dollars. Its numbers are kept masked."""
    reference_id: Reference
    """Your reference: the same one with the same terms gives the first redemption again. Terms are
    the sender, the amount and the destination; what else you send is kept from the first time."""
    compliance: RedeemCompliance = RedeemCompliance()
    """What you say of the money."""
    metadata: Metadata = {}
    """Pairs of your own."""


def _needs(needs: Needs, caller: Caller, params: CreateRedemption) -> None:
    accounts.need_own(needs, caller)
    spending.need(needs, caller)
    table = Redemption.__noun__.table
    needs.row(table.index("reference_id"), (caller.account, caller.livemode, params.reference_id))
    wallet.need_own(needs, caller, params.sender)
    needs.balance(chart.redemptions_payable(caller.livemode))
    needs.balance(chart.reserves_cash(caller.livemode))
    needs.cap(stablecoin.supply(caller.livemode))


async def example(example: Example) -> dict[str, object]:
    """Dollars to a bank account, by wire."""
    await example.fund("1000.00")
    return {
        "amount": "250.00",
        "reference_id": example.name(),
        "destination": {
            "type": "bank_wire",
            "account_number": "000123456789",
            "routing_number": "021000021",
            "bank_name": "Example Bank",
            "beneficiary_name": "Example Inc.",
        },
    }


@operation(
    Redemption,
    "POST /stablecoin/redeem",
    alias="POST /stablecoin/redemptions",
    scope="stablecoin:redeem",
    params=CreateRedemption,
    needs=_needs,
    example=example,
    statuses=(200, 201),
)
def redeem(tx: Tx, params: CreateRedemption) -> Redemption:
    """Burn ssUSD and owe its holder dollars; in test mode they are paid at once.

    In test mode a redemption to the account number 000000000000 stays pending, as in live mode.
    """
    account = accounts.own(tx)
    sender = wallet.own(tx, account, params.sender, param="sender")
    require_ssusd(params.currency)
    if params.amount < AMOUNT_MIN:
        message = f"A redemption is of at least {AMOUNT_MIN.text} ssUSD."
        raise ApiError("amount_invalid", message, param="amount")
    require_cents(params.amount)
    destination = checked(params.destination)
    # The numbers are kept masked, so terms are compared by a keyed hash of them.
    terms = tx.fingerprint(
        msgspec.json.encode([sender.address, params.amount.text, params.destination])
    )
    earlier = tx.find(Redemption, reference_id=params.reference_id)
    if earlier is not None:
        return _same_terms(earlier, terms)
    wallet.refuse_blocked(sender, param="sender")
    spending.use(tx, params.amount, None, to="destination")
    payer = wallet.available(sender)
    left = Money(tx.balance(payer), SSUSD)
    if left < params.amount:
        message = f"{params.amount.text} ssUSD is more than the available {left.text}."
        raise ApiError("insufficient_funds", message, param="amount")
    redemption = _burn(tx, params, destination, sender.address, terms)
    if tx.caller.livemode or params.destination.account_number == HELD_ACCOUNT_NUMBER:
        return redemption
    return complete(tx, redemption, account=tx.caller.account)


def _burn(
    tx: Tx, params: CreateRedemption, destination: Destination, sender: str, terms: bytes
) -> Redemption:
    id_ = tx.new_id("red")
    payer = chart.available(tx.caller.account, tx.caller.livemode, sender)
    booked = tx.post(stablecoin.burned(id_, params.amount, wallet=payer, sender=sender))
    tx.use(stablecoin.supply(tx.caller.livemode), -params.amount.minor)
    return tx.add(
        Redemption(
            id=id_,
            livemode=tx.caller.livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            amount=params.amount,
            sender=sender,
            reference_id=params.reference_id,
            destination=destination,
            status="pending",
            estimated_arrival=estimated_arrival(tx.now),
            purpose=params.compliance.purpose,
            source_of_funds=params.compliance.source_of_funds,
            tx_hash=booked.tx_hash.hex(),
            transaction=summary(booked),
            terms=terms.hex(),
        ),
        event="stablecoin.redeemed",
    )


def complete(tx: Tx, redemption: Redemption, *, account: str) -> Redemption:
    """The dollars of an account's redemption have been sent."""
    tx.require(redemption, "complete")
    tx.post(
        stablecoin.completed(redemption.id, redemption.amount, livemode=redemption.livemode),
        account=account,
    )
    return tx.advance(redemption, "complete", account=account, completed_at=tx.now)


def _same_terms(earlier: Redemption, terms: bytes) -> Redemption:
    """The redemption made under this reference; raises `duplicate_reference` for other terms."""
    if earlier.terms != terms.hex():
        message = f"'{earlier.reference_id}' is the reference of {earlier.id}, on other terms."
        raise ApiError("duplicate_reference", message, param="reference_id")
    return earlier
