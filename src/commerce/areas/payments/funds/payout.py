"""Payouts: money that leaves a wallet for a bank account."""

from __future__ import annotations

from typing import ClassVar, Literal

from commerce.areas.identity import account as accounts
from commerce.areas.identity import spending
from commerce.areas.identity.account import main_wallet
from commerce.areas.identity.spending import DOLLARS
from commerce.areas.stablecoin import wallet
from commerce.areas.stablecoin.chain.height import with_heights
from commerce.areas.stablecoin.deposit import need_operator, require_operator
from commerce.areas.stablecoin.destination import (
    Destination,
    DestinationDetails,
    checked,
    estimated_arrival,
)
from commerce.areas.stablecoin.redemption import HELD_ACCOUNT_NUMBER, Words
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import chart, payouts
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.ids import is_id
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.noun import Noun, Time, noun
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import Id, Metadata, Price, kept, priced


@noun(
    prefix="pout",
    rank=450,
    path="payouts",
    scope="payments:read",
    filters=("status", "currency", "amount", "paid_at"),
)
class Payout(Noun, tag="payout", frozen=True, kw_only=True):
    """Money of your main wallet, sent to a bank account.

    In live mode an operator of the network sends it, and says so, or that it could not be sent.
    """

    emits: ClassVar = ("payout.created",)
    complete: ClassVar = with_heights
    lifecycle: ClassVar = Lifecycle(
        "payout",
        """
        pending  complete  paid
        pending  fail      failed
        """,
    )

    amount: Money
    """How much."""
    currency: str
    """Of what: a lower-case ISO 4217 code."""
    destination: Destination
    """Where it goes."""
    status: Literal["pending", "paid", "failed"]
    """Whether it was sent; what could not be is yours again."""
    estimated_arrival: str
    """The day it is expected, `YYYY-MM-DD`: one US banking day later."""
    paid_at: Time | None = None
    """When it was sent."""
    failure_reason: str | None = None
    """Why it could not be sent, in the operator's words."""
    transaction: TransactionSummary
    """The ledger transaction that took it out of your wallet."""


class CreatePayout(Params, frozen=True, kw_only=True):
    """Money to send to a bank account."""

    amount: Price
    """How much of what is available."""
    currency: str
    """Of what: a lower-case ISO 4217 code. ssUSD is redeemed, by `POST /stablecoin/redeem`."""
    destination: DestinationDetails
    """The bank account that gets it. Its numbers are kept masked."""
    metadata: Metadata = {}
    """Pairs of your own."""


class SettlePayout(Params, frozen=True, kw_only=True):
    """A payout, and whose it is."""

    id: Id
    """The payout's id."""
    account: Id | None = None
    """Whose payout it is, if not your own. Required in live mode, where it never is."""


class FailPayout(SettlePayout, frozen=True, kw_only=True):
    """A payout that could not be sent."""

    reason: Words | None = None
    """Why, for its owner to read."""


def _needs(needs: Needs, caller: Caller, params: CreatePayout) -> None:
    accounts.need_own(needs, caller)
    spending.need(needs, caller)
    _need_money(needs, caller.account, caller.livemode, params.currency)
    if not caller.livemode:
        needs.balance(payouts.bank(caller.livemode, params.currency))


def _need_money(needs: Needs, owner: str, livemode: bool, currency: str) -> None:
    address = main_wallet(owner, livemode)
    needs.address(livemode, address)
    needs.balance(chart.available(owner, livemode, address, currency))
    needs.balance(chart.payouts_payable(livemode, currency))


async def create_example(example: Example) -> dict[str, object]:
    """Dollars to a bank account."""
    await example.call(
        "POST /payments/create",
        amount="100.00",
        currency="usd",
        payment_method="pm_card_bypassPending",
    )
    return {
        "amount": "50.00",
        "currency": "usd",
        "destination": {
            "type": "ach",
            "account_number": "000123456789",
            "routing_number": "021000021",
            "beneficiary_name": "Example Inc.",
        },
    }


@operation(
    Payout,
    "POST /payouts",
    scope="payments:write",
    params=CreatePayout,
    needs=_needs,
    example=create_example,
)
def create(tx: Tx, params: CreatePayout) -> Payout:
    """Send money from your main wallet to a bank account; in test mode it is sent at once.

    In test mode a payout to the account number 000000000000 stays pending, as in live mode. A key
    with limits counts US dollars as ssUSD, and sends no other currency.
    """
    account = accounts.own(tx)
    if params.currency == SSUSD:
        message = "ssUSD is redeemed for dollars in the bank: use POST /stablecoin/redeem."
        raise ApiError("currency_unsupported", message, param="currency")
    amount = priced(params.amount, params.currency, param="amount")
    destination = checked(params.destination)
    sender = tx.address(account.wallet)
    wallet.refuse_blocked(sender, param="destination")
    spending.use(tx, amount, None, to="destination")
    free = chart.available(account.id, account.livemode, account.wallet, amount.currency)
    left = Money(tx.balance(free), amount.currency)
    if left < amount:
        what = amount.currency.upper()
        message = f"{amount.text} {what} is more than the available {left.text}."
        raise ApiError("insufficient_funds", message, param="amount")
    id_ = tx.new_id("pout")
    booked = tx.post(payouts.withdrawn(id_, amount, wallet=free, sender=account.wallet))
    payout = tx.add(
        Payout(
            id=id_,
            livemode=account.livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            amount=amount,
            currency=amount.currency,
            destination=destination,
            status="pending",
            estimated_arrival=estimated_arrival(tx.now),
            transaction=summary(booked),
        )
    )
    if account.livemode or params.destination.account_number == HELD_ACCOUNT_NUMBER:
        return payout
    return _sent(tx, payout, account.id)


def _need_one(needs: Needs, caller: Caller, params: SettlePayout) -> None:
    owner = params.account or caller.account
    need_operator(needs, caller, owner)
    needs.row(Payout.__noun__.table.key, (owner, caller.livemode, params.id), lock=True)
    if is_id(owner, "acct"):
        # Which currency it is of is known once the payout is read: most often this one.
        _need_money(needs, owner, caller.livemode, DOLLARS)
        needs.balance(payouts.bank(caller.livemode, DOLLARS))


async def _held(example: Example) -> str:
    """A payout that is still to be sent; gives its id."""
    asked = await create_example(example)
    bank = {"type": "ach", "account_number": HELD_ACCOUNT_NUMBER, "routing_number": "021000021"}
    made = await example.call("POST /payouts", **{**asked, "destination": bank})
    return str(made["id"])


async def settle_example(example: Example) -> dict[str, object]:
    """A payout that is still to be sent."""
    return {"id": await _held(example)}


async def fail_example(example: Example) -> dict[str, object]:
    """A payout that the bank returned."""
    return {"id": await _held(example), "reason": "The account is closed."}


@operation(
    Payout,
    "POST /payouts/{id}/complete",
    scope="reserves:operate",
    params=SettlePayout,
    needs=_need_one,
    example=settle_example,
)
def complete(tx: Tx, params: SettlePayout) -> Payout:
    """Say that the money has been sent.

    In live mode only an account that operates the reserves may, and for none that it is connected
    with.
    """
    owner, payout = _operated(tx, params)
    return _sent(tx, payout, owner)


@operation(
    Payout,
    "POST /payouts/{id}/fail",
    scope="reserves:operate",
    params=FailPayout,
    needs=_need_one,
    example=fail_example,
)
def fail(tx: Tx, params: FailPayout) -> Payout:
    """Say that the money could not be sent: it is its owner's again.

    In live mode only an account that operates the reserves may, and for none that it is connected
    with.
    """
    owner, payout = _operated(tx, params)
    tx.require(payout, "fail")
    address = main_wallet(owner, payout.livemode)
    free = chart.available(owner, payout.livemode, address, payout.currency)
    booking = payouts.failed(payout.id, payout.amount, wallet=free, recipient=address)
    tx.post(booking, account=owner)
    return tx.advance(payout, "fail", account=owner, failure_reason=params.reason)


def _operated(tx: Tx, params: SettlePayout) -> tuple[str, Payout]:
    """An account's payout, for who may settle it."""
    owner = require_operator(tx, params.account)
    return owner, tx.lock(Payout, params.id, account=owner)


def _sent(tx: Tx, payout: Payout, owner: str) -> Payout:
    """An account's payout has been sent."""
    tx.require(payout, "complete")
    tx.post(payouts.sent(payout.id, payout.amount, livemode=payout.livemode), account=owner)
    return tx.advance(payout, "complete", account=owner, paid_at=tx.now)
