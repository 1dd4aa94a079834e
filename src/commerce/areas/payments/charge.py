"""How the money of a payment is taken: at once, or set aside first and captured later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from commerce.areas.identity import spending
from commerce.areas.identity.account import Account, main_wallet
from commerce.areas.payments import move, receipt, share
from commerce.areas.payments.payment import Payment, PaymentFees, Split
from commerce.areas.stablecoin import limit, transaction, wallet
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import chart, payments
from commerce.books.payments import PROCESSING_FEE, Side
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.account import LedgerAccount
from commerce.ledger.directory import Address
from commerce.ledger.entry import Booking


class Parties(NamedTuple):
    """Who is paid: the recipients in the order of the splits, and the platform, if it is."""

    recipients: list[Address]
    platform: Address | None


class Names(NamedTuple):
    """What a refusal blames."""

    amount: str = "amount"
    wallet: str = "payment_method.wallet_address"
    recipient: str = "recipient"
    split: str = "splits[{at}].recipient"
    platform: str = "application_fee_amount"

    def of(self, at: int, *, several: bool) -> str:
        """The name of one recipient, where there may be several."""
        return self.split.format(at=at) if several else self.recipient


OF_MADE = Names(amount="id", recipient="id", split="id", platform="id")
"""What a verb on a payment that was made before can blame: it was sent no more than the id."""


def need(needs: Needs, caller: Caller) -> None:
    """What taking money reads beside wallets."""
    limit.need(needs, caller)
    spending.need(needs, caller)
    needs.balance(chart.fees_processing(caller.livemode))


def need_payee(needs: Needs, caller: Caller, account: str) -> None:
    """What almost every payment of an account touches: its main wallet."""
    wallet.need(needs, caller, main_wallet(account, caller.livemode))


def parties(tx: Tx, payment: Payment) -> Parties:
    """Who is paid by a payment that was made before."""
    found = [payment.recipient] if payment.splits is None else [s.recipient for s in payment.splits]
    platform = payment.application_fee_recipient
    tx.see_addresses(address for address in (*found, platform) if address is not None)
    return Parties(
        [tx.address(address) for address in found if address is not None],
        None if platform is None else tx.address(platform),
    )


def take(  # noqa: PLR0913, PLR0917 - who pays what to whom, and for whom
    tx: Tx, account: Account, payment: Payment, payer: Address, paid: Parties, names: Names
) -> None:
    """See that a payment may be taken from a wallet of the caller's, and count it on its limits.

    Raises `sanctioned_party`, `limit_exceeded`, `insufficient_funds`.
    """
    wallet.refuse_blocked(payer, param=names.wallet)
    refuse_blocked(payment, paid, names)
    amount = payment.amount
    several = payment.splits is not None
    first, *others = paid.recipients
    to = names.of(0, several=several)
    spending.use(tx, amount, first.address, param=names.amount, to=to)
    for at, other in enumerate(others, 1):
        spending.allow(tx, other.address, to=names.of(at, several=several))
    if paid.platform is not None:
        spending.allow(tx, paid.platform.address, to=names.platform)
    limit.use(tx, account, [amount], [names.amount])
    left = Money(tx.balance(wallet.available(payer)), amount.currency)
    if left < amount:
        message = f"{amount.text} ssUSD is more than the available {left.text}."
        raise ApiError("insufficient_funds", message, param=names.amount)


def refuse_blocked(payment: Payment, paid: Parties, names: Names) -> None:
    """Refuse to pay anybody whose address is blocked. Raises `sanctioned_party`."""
    several = payment.splits is not None
    for at, recipient in enumerate(paid.recipients):
        wallet.refuse_blocked(recipient, param=names.of(at, several=several))
    if paid.platform is not None:
        wallet.refuse_blocked(paid.platform, param=names.platform)


def charged(tx: Tx, payment: Payment, payer: Address, paid: Parties, *, account: str) -> Payment:
    """A payment that may be taken, taken from what its payer has available, or set aside."""
    method = msgspec.structs.replace(payment.payment_method, wallet_address=payer.address)
    free = wallet.available(payer)
    if payment.capture:
        source = Side(payer.address, free)
        fields = settle(tx, payment, payment.amount, source, paid, account=account)
        fields["payment_method"] = method
        return move.advance(tx, payment, "succeed", account=account, **fields)
    locked = wallet.locked(payer)
    booking = payments.held(payment.id, payment.amount.minor, free=free, locked=locked)
    tx.post(booking, account=free.owner)
    return move.advance(tx, payment, "authorize", account=account, payment_method=method)


def settle(  # noqa: PLR0913 - what is captured, from where, for whom
    tx: Tx, payment: Payment, captured: Money, source: Side, paid: Parties, *, account: str
) -> dict[str, Any]:
    """Pay everybody their share of what is captured; gives the fields of the payment after it."""
    shares = shares_of(payment, captured, PROCESSING_FEE.minor)
    hold(tx, paid, wallet.available)
    made = [
        _pay(tx, payment, net, source, recipient, at=None if at == shares.main else at)
        for at, (net, recipient) in enumerate(zip(shares.nets, paid.recipients, strict=True))
    ]
    if paid.platform is not None:
        _pay_platform(tx, payment, shares.platform, source, paid.platform)
    return taken(tx, payment, captured, shares, made, account=account)


class Shares(NamedTuple):
    """What becomes of what is captured, in the smallest unit."""

    processing: int
    """What its processing costs."""
    platform: int
    parts: list[int]
    """The recipients' parts of it, fees included."""
    nets: list[int]
    """What each of them gets."""

    @property
    def main(self) -> int:
        """With whom the fee of processing is booked: with what is the largest."""
        return self.nets.index(max(self.nets))


def shares_of(payment: Payment, captured: Money, processing: int) -> Shares:
    """What becomes of a capture. Where the fees would be more than it, the platform gets less."""
    platform = min(_platform_share(payment, captured), captured.minor - processing)
    parts = _parts(payment, captured)
    return Shares(processing, platform, parts, share.nets(parts, processing + platform))


def hold(tx: Tx, paid: Parties, account: Callable[[Address], LedgerAccount]) -> None:
    """Lock what will change of all who are paid, at once."""
    everybody = [*paid.recipients, *([] if paid.platform is None else [paid.platform])]
    tx.hold(account(each) for each in everybody)


def taken(  # noqa: PLR0913 - what was captured, and what was booked of it
    tx: Tx,
    payment: Payment,
    captured: Money,
    shares: Shares,
    made: Sequence[TransactionSummary | None],
    *,
    account: str,
) -> dict[str, Any]:
    """The fields of a payment whose money was taken; `made` paid the recipients, in their order."""
    currency, off = payment.currency, shares.processing + shares.platform
    fields: dict[str, Any] = {
        "amount_captured": captured,
        "captured": True,
        "fees": PaymentFees(processing_fee=Money(shares.processing, currency)),
        "net": Money(captured.minor - off, currency),
        "transaction": made[shares.main],
        "receipt_url": receipt.url(tx, payment, account),
    }
    if payment.application_fee_amount is not None:
        fields["application_fee_amount"] = Money(shares.platform, currency)
    if payment.splits is not None:
        parts = zip(payment.splits, shares.parts, shares.nets, made, strict=True)
        fields["splits"] = [
            msgspec.structs.replace(
                each,
                amount_captured=Money(part, currency).text,
                net=Money(net, currency).text,
                transaction=None if booked is None else booked.id,
            )
            for each, part, net, booked in parts
        ]
    return fields


def _pay(  # noqa: PLR0913 - who is paid, and which of several
    tx: Tx, payment: Payment, net: int, source: Side, recipient: Address, *, at: int | None
) -> TransactionSummary | None:
    """Pay a recipient; None where nothing moves. `at` is None for whom the fee is booked with."""
    payee = Side(recipient.address, wallet.available(recipient))
    if at is None:
        fee = PROCESSING_FEE.minor
        return _post(
            tx, payments.paid(payment.id, "paid", net, payer=source, payee=payee, fee=fee), source
        )
    if not net or payee.account == source.account:
        return None
    name = f"paid:{at + 1}"
    return _post(tx, payments.paid(payment.id, name, net, payer=source, payee=payee), source)


def _pay_platform(tx: Tx, payment: Payment, fee: int, source: Side, platform: Address) -> None:
    payee = Side(platform.address, wallet.available(platform))
    if fee and payee.account != source.account:
        _post(tx, payments.application_fee(payment.id, fee, payer=source, payee=payee), source)


def _platform_share(payment: Payment, captured: Money) -> int:
    fee = payment.application_fee_amount
    if fee is None:
        return 0
    return share.of_fee(captured.minor, payment.amount.minor, fee.minor)


def costs(payment: Payment, captured: Money) -> int:
    """What comes off a capture: the network's fee, and the platform's share of it."""
    return PROCESSING_FEE.minor + _platform_share(payment, captured)


def _parts(payment: Payment, captured: Money) -> list[int]:
    """The recipients' parts of what is captured, fees included."""
    if payment.splits is None:
        return [captured.minor]
    weights = [minor(each.amount, payment.currency) for each in payment.splits]
    return [each.minor for each in captured.split(weights)]


def minor(text: str, currency: str) -> int:
    """An amount as a split keeps it, in the smallest unit."""
    return Money.bound(text, currency, param="splits").minor


def _post(tx: Tx, booking: Booking, source: Side) -> TransactionSummary:
    """Book what moves: it stands under the account whose wallet pays, and who is paid is told."""
    booked = tx.post(booking, account=source.account.owner)
    transaction.tell_recipient(tx, booked, booking)
    return summary(booked)


def split_of(recipient: Address, amount: Money, type_: str | None) -> Split:
    """A recipient's part, before anything was captured."""
    nothing = Money(0, amount.currency).text
    return Split(
        recipient=recipient.address, amount=amount.text, type=type_, amount_refunded=nothing
    )
