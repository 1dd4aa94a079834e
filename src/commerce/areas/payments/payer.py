"""The payer's side: a payment is read, and confirmed, by whoever has its client secret."""

from __future__ import annotations

from typing import Annotated

import msgspec

from commerce.areas.identity import account as accounts
from commerce.areas.payments import charge, move, secret
from commerce.areas.payments.card import later
from commerce.areas.payments.charge import OF_MADE
from commerce.areas.payments.payment import Payment, PublicPayment, public
from commerce.areas.stablecoin import wallet
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx, kind_of, missing
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.resource.example import Example
from commerce.resource.operation import Params, operation, view
from commerce.resource.outside.pending import Pending
from commerce.resource.parameter import Id
from commerce.resource.reading import Reading

Secret = Annotated[str, msgspec.Meta(max_length=200)]


class RetrievePayment(Params, frozen=True, kw_only=True):
    """Which payment, and what shows it to others than its account."""

    id: Id
    """The payment's id."""
    client_secret: Secret | None = None
    """What its account handed on, for whoever is to pay. A public key needs it."""


class WalletGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to pay with."""

    type: Annotated[str, msgspec.Meta(max_length=64)] = SSUSD
    """`ssusd`."""
    wallet_address: str | None = None
    """The wallet that pays: one of your own, your main wallet by default."""


class ConfirmPayment(RetrievePayment, frozen=True, kw_only=True):
    """A payment to confirm, and the wallet that pays it."""

    payment_method: WalletGiven | None = None
    """What to pay ssUSD with: your main wallet by default. A card is known already."""


async def retrieve_example(example: Example) -> dict[str, object]:
    """A payment of your own."""
    await example.fund("100.00")
    made = await example.call("POST /payments/create", amount="25.00", currency=SSUSD)
    return {"id": made["id"]}


@view(
    Payment,
    "GET /payments/{id}",
    scope="payments:read",
    params=RetrievePayment,
    example=retrieve_example,
    also=PublicPayment,
    public=True,
)
async def retrieve(reading: Reading, params: RetrievePayment) -> Payment | PublicPayment:
    """Retrieve one payment.

    With its `client_secret` anybody may, with a public key or another account's: they see what
    concerns a payer.
    """
    caller = reading.caller
    key = params.client_secret
    if key is None:
        _refuse_public(caller)
        return await reading.get(Payment, params.id)
    owner = secret.owner_of(params.id, key)
    kind = kind_of(Payment)
    row = None
    if owner is not None:
        row = await reading.point(kind.table.key, (owner, caller.livemode, params.id))
    payment: Payment | None = None if row is None else kind.held(row).thing
    if payment is None or not secret.opens(payment, key):
        raise missing(kind, params.id)
    if owner == caller.account and not caller.public:
        return await reading.get(Payment, params.id)
    return public(payment)


def _refuse_public(caller: Caller) -> None:
    if caller.public:
        message = "With a public key, send the payment's 'client_secret'."
        raise ApiError("key_type_not_allowed", message)


def _owner(caller: Caller, params: RetrievePayment) -> str | None:
    """Whose payment is asked for: the caller's, or the one that the secret names."""
    if params.client_secret is None:
        return caller.account
    return secret.owner_of(params.id, params.client_secret)


def _needs(needs: Needs, caller: Caller, params: ConfirmPayment) -> None:
    accounts.need_own(needs, caller)
    charge.need(needs, caller)
    method = params.payment_method
    wallet.need_own(needs, caller, None if method is None else method.wallet_address)
    owner = _owner(caller, params)
    if owner is not None:
        table = Payment.__noun__.table
        needs.row(table.key, (owner, caller.livemode, params.id), lock=True)
        charge.need_payee(needs, caller, owner)


async def example(example: Example) -> dict[str, object]:
    """A payment that anybody was asked to make."""
    await example.fund("100.00")
    method = {"type": SSUSD, "payer": "external"}
    made = await example.call(
        "POST /payments/create", amount="25.00", currency=SSUSD, payment_method=method
    )
    return {"id": made["id"]}


@operation(
    Payment,
    "POST /payments/{id}/confirm",
    scope="payments:write",
    params=ConfirmPayment,
    needs=_needs,
    example=example,
    also=PublicPayment,
    public=True,
)
def confirm(tx: Tx, params: ConfirmPayment) -> Payment | PublicPayment | Pending:
    """Pay what somebody asks for, from a wallet of yours: with their payment's `client_secret`.

    Without it the payment is one of your own. The limits that count are the payer's. A public key
    spends from no wallet.

    A payment by card is confirmed once its cardholder has authenticated, with a key of its own
    account: from a browser with a public one and the `client_secret`.
    """
    payment, owner = _asked_for(tx, params)
    method = params.payment_method
    if payment.payment_method.type == "card":
        if method is not None:
            message = "The card of this payment is known, so no 'payment_method' is to be sent."
            raise ApiError("parameter_invalid", message, param="payment_method")
        return later.confirm(tx, payment)
    method = method or WalletGiven()
    if method.type != SSUSD:
        message = "'payment_method.type' must be one of: ssusd."
        raise ApiError("parameter_invalid", message, param="payment_method.type")
    account = accounts.own(tx)
    where = "payment_method.wallet_address"
    payer = wallet.own(tx, account, method.wallet_address, param=where)
    tx.require(payment, "confirm")
    paid = charge.parties(tx, payment)
    charge.take(tx, account, payment, payer, paid, OF_MADE)
    payment = move.advance(tx, payment, "confirm", account=owner, next_action=None)
    done = charge.charged(tx, payment, payer, paid, account=owner)
    return done if owner == account.id else public(done)


def _asked_for(tx: Tx, params: ConfirmPayment) -> tuple[Payment, str]:
    """The payment, and whose it is. Raises `resource_missing`, `key_type_not_allowed`.

    Whoever has no good secret is not told whether there is such a payment.
    """
    caller, key = tx.caller, params.client_secret
    owner = _owner(caller, params)
    if owner is None:
        raise missing(kind_of(Payment), params.id)
    if key is None:
        _refuse_public(caller)
        return tx.lock(Payment, params.id), owner
    table = Payment.__noun__.table
    there = tx.read(table.key, (owner, caller.livemode, params.id)) is not None
    # The secret comes first: to compare a stranger's payment with `If-Match` would say it is there.
    if not there or not secret.opens(tx.get(Payment, params.id, account=owner), key):
        raise missing(kind_of(Payment), params.id)
    payment = tx.lock(Payment, params.id, account=owner)
    if payment.payment_method.type == "card":
        if caller.account != owner:
            message = "A payment by card is confirmed with a key of its own account."
            raise ApiError("key_type_not_allowed", message)
        return payment, owner
    if caller.public:
        message = "A public key may be anybody's, so it spends from no wallet: use a secret key."
        raise ApiError("key_type_not_allowed", message)
    return payment, owner
