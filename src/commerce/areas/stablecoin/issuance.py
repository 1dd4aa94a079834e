"""Issuances: ssUSD minted against verified dollars."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType

from commerce.areas.identity import account as accounts
from commerce.areas.identity import spending
from commerce.areas.stablecoin import wallet
from commerce.areas.stablecoin.chain.height import with_heights
from commerce.areas.stablecoin.deposit import Deposit, SourceType, book_verified, require_issuer
from commerce.areas.stablecoin.transaction import TransactionSummary, summary
from commerce.books import chart, stablecoin
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.resource.example import Example
from commerce.resource.noun import HIDDEN, Noun, Part, noun
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import (
    CENT,
    Dollars,
    Id,
    Memo,
    Metadata,
    Reference,
    kept,
    require_ssusd,
)
from commerce.resource.ref import Ref, Wallet

AMOUNT_MIN = Money(100 * UNIT[SSUSD], SSUSD)
AMOUNT_MAX = Money(10_000_000 * UNIT[SSUSD], SSUSD)

Purpose = Literal["general", "merchant_settlement", "payroll", "vendor_payment", "treasury"]


class IssuanceSource(Part, frozen=True, kw_only=True):
    """Where the dollars behind an issuance are."""

    type: SourceType
    """How the dollars came."""
    deposit: Ref[Deposit]
    """The verified deposit that was minted against."""


class IssuanceCompliance(Part, frozen=True, kw_only=True):
    """What the issuer said it checked of the recipient."""

    kyc_verified: bool
    """Whether the recipient's identity is verified."""
    aml_check_id: str | None = None
    """The issuer's own check against money laundering."""


class IssuanceReserve(Part, frozen=True, kw_only=True):
    """The reserves right after."""

    total_supply: Money
    """All ssUSD in being."""
    total_reserves: Money
    """The verified dollars behind it."""
    reserve_ratio: Literal["1.0000"] = "1.0000"
    """Reserves over supply: minting draws on verified dollars alone, so exactly one."""


@noun(
    prefix="iss",
    rank=305,
    path="stablecoin/issuances",
    scope="stablecoin:read",
    filters=("status", "recipient", "reference_id", "purpose", "amount"),
    unique=("reference_id",),
)
class Issuance(Noun, tag="stablecoin_issuance", frozen=True, kw_only=True):
    """ssUSD minted to a wallet."""

    emits: ClassVar = ("stablecoin.issued",)
    complete: ClassVar = with_heights

    amount: Money
    """How much was minted."""
    currency: str = SSUSD
    """Always `ssusd`."""
    recipient: Wallet
    """The wallet that got it."""
    reference_id: str
    """Your reference, unique among your issuances."""
    purpose: Purpose
    """What it is for."""
    memo: str | None = None
    """Your words to it."""
    source: IssuanceSource
    """Where the dollars behind it are."""
    source_named: Annotated[bool, HIDDEN] = False
    compliance: IssuanceCompliance | None = None
    """What the issuer said it checked of the recipient."""
    status: Literal["confirmed"] = "confirmed"
    """An issuance that was made is confirmed."""
    transaction: TransactionSummary
    """The ledger transaction."""
    reserve: IssuanceReserve
    """The reserves right after."""


class IssuedFrom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dollars to mint against."""

    type: SourceType | UnsetType = UNSET
    """How the dollars came: of a deposit that is named what it says too, `bank_wire` by default
    where none is."""
    deposit: Id | None = None
    """The verified deposit to mint against."""
    amount: Dollars | None = None
    """The same as the `amount` of the issuance, if given."""


class IssueCompliance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the issuer checked of the recipient."""

    kyc_verified: bool
    """Whether the recipient's identity is verified; false is refused."""
    aml_check_id: Id | None = None
    """Your own check against money laundering."""


class CreateIssuance(Params, frozen=True, kw_only=True):
    """ssUSD to mint."""

    recipient: str
    """The wallet that gets it: any valid address."""
    amount: Dollars
    """How much, from 100.00 to 10,000,000.00."""
    currency: str = SSUSD
    """`ssusd`, if given."""
    reference_id: Reference
    """Your reference: the same one with the same terms gives the first issuance again. Terms are
    the recipient, the amount, the purpose and the source; what else you send is kept from the
    first time."""
    source: IssuedFrom = IssuedFrom()
    """Which dollars to mint against. Required in live mode, with its `deposit`."""
    compliance: IssueCompliance | None = None
    """What you checked of the recipient."""
    purpose: Purpose = "general"
    """What it is for."""
    memo: Memo | None = None
    """Your words to it, up to 256 characters."""
    metadata: Metadata = {}
    """Pairs of your own."""


def _type(source: IssuedFrom) -> SourceType:
    return "bank_wire" if source.type is UNSET else source.type


def _needs(needs: Needs, caller: Caller, params: CreateIssuance) -> None:
    accounts.need_own(needs, caller)
    spending.need(needs, caller)
    table = Issuance.__noun__.table
    needs.row(table.index("reference_id"), (caller.account, caller.livemode, params.reference_id))
    wallet.need(needs, caller, params.recipient)
    needs.cap(stablecoin.supply(caller.livemode))
    if params.source.deposit is None:
        needs.balance(chart.reserves_cash(caller.livemode))
        needs.cap(stablecoin.deposits(caller.livemode, _type(params.source)))
        if not caller.livemode:
            needs.cap(stablecoin.test_dollars(caller.account))
    else:
        key = (caller.account, caller.livemode, params.source.deposit)
        needs.row(Deposit.__noun__.table.key, key)
        needs.balance(chart.reserves_unissued(caller.livemode, params.source.deposit))


async def example(example: Example) -> dict[str, object]:
    """Test dollars for the main wallet."""
    return {
        "recipient": example.wallet,
        "amount": "1000.00",
        "reference_id": example.name(),
        "purpose": "treasury",
    }


@operation(
    Issuance,
    "POST /stablecoin/issue",
    alias="POST /stablecoin/issuances",
    scope="stablecoin:issue",
    params=CreateIssuance,
    needs=_needs,
    example=example,
    statuses=(200, 201),
)
def issue(tx: Tx, params: CreateIssuance) -> Issuance:
    """Mint ssUSD to a wallet, against a verified deposit.

    In test mode an issue that names no deposit makes a verified one of its own.
    """
    account = accounts.own(tx)
    require_issuer(account)
    recipient = wallet.any_of(tx, params.recipient, param="recipient")
    require_ssusd(params.currency)
    _require_amount(params)
    if params.compliance is not None and not params.compliance.kyc_verified:
        message, where = "The recipient's identity is not verified.", "compliance.kyc_verified"
        raise ApiError("compliance_check_failed", message, param=where)
    earlier = tx.find(Issuance, reference_id=params.reference_id)
    if earlier is not None:
        return _same_terms(earlier, recipient.address, params)
    wallet.refuse_blocked(recipient, param="recipient")
    spending.use(tx, params.amount, recipient.address, to="recipient")
    deposit = _deposit(tx, params)
    id_ = tx.new_id("iss")
    booked = tx.post(
        stablecoin.issued(
            id_,
            params.amount,
            deposit=deposit.id,
            wallet=wallet.available(recipient),
            recipient=recipient.address,
        )
    )
    total = Money(tx.use(stablecoin.supply(tx.caller.livemode), params.amount.minor), SSUSD)
    return tx.add(
        Issuance(
            id=id_,
            livemode=tx.caller.livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            amount=params.amount,
            recipient=recipient.address,
            reference_id=params.reference_id,
            purpose=params.purpose,
            memo=params.memo,
            source=IssuanceSource(type=deposit.type, deposit=deposit.ref),
            source_named=params.source.deposit is not None,
            compliance=_compliance(params),
            transaction=summary(booked),
            reserve=IssuanceReserve(total_supply=total, total_reserves=total),
        ),
        event="stablecoin.issued",
    )


def _compliance(params: CreateIssuance) -> IssuanceCompliance | None:
    said = params.compliance
    if said is None:
        return None
    return IssuanceCompliance(kyc_verified=said.kyc_verified, aml_check_id=said.aml_check_id)


def _require_amount(params: CreateIssuance) -> None:
    if not AMOUNT_MIN <= params.amount <= AMOUNT_MAX:
        message = f"An issue is of {AMOUNT_MIN.text} to {AMOUNT_MAX.text} ssUSD."
        raise ApiError("amount_invalid", message, param="amount")
    if params.source.amount is not None and params.source.amount != params.amount:
        message = "'source.amount' is not 'amount'."
        raise ApiError("amount_mismatch", message, param="source.amount")


def _same_terms(earlier: Issuance, recipient: str, params: CreateIssuance) -> Issuance:
    """The issuance made under this reference; raises `duplicate_reference` for other terms."""
    named = earlier.source.deposit if earlier.source_named else None
    before = (earlier.recipient, earlier.amount, earlier.purpose, named, earlier.source.type)
    source, type_ = params.source, params.source.type
    if type_ is UNSET:
        type_ = _type(source) if source.deposit is None else earlier.source.type
    if before != (recipient, params.amount, params.purpose, source.deposit, type_):
        message = f"'{params.reference_id}' is the reference of {earlier.id}, on other terms."
        raise ApiError("duplicate_reference", message, param="reference_id")
    return earlier


def _deposit(tx: Tx, params: CreateIssuance) -> Deposit:
    """The verified deposit to mint against.

    Raises `parameter_invalid` where it is of another type than the source says, and
    `insufficient_reserve_verification`.
    """
    if params.source.deposit is None:
        return _test_deposit(tx, params)
    deposit = tx.get(Deposit, params.source.deposit, param="source.deposit")
    if params.source.type not in (UNSET, deposit.type):
        message = f"{deposit.id} is of the type '{deposit.type}'."
        raise ApiError("parameter_invalid", message, param="source.type")
    if deposit.status != "verified":
        raise _too_little(f"{deposit.id} is not verified yet.")
    left = tx.balance(chart.reserves_unissued(tx.caller.livemode, deposit.id))
    if left < params.amount.minor:
        raise _too_little(f"{Money(left, SSUSD).text} is left of {deposit.id}.")
    return deposit


def _too_little(message: str) -> ApiError:
    return ApiError("insufficient_reserve_verification", message, param="source.deposit")


def _test_deposit(tx: Tx, params: CreateIssuance) -> Deposit:
    """Test dollars from nowhere, in whole cents; raises `parameter_missing` in live mode."""
    if tx.caller.livemode:
        message = "In live mode 'source.deposit' is required."
        raise ApiError("parameter_missing", message, param="source.deposit")
    deposit = tx.add(
        Deposit(
            id=tx.new_id("dep"),
            livemode=False,
            created=tx.now,
            amount=Money(-(-params.amount.minor // CENT) * CENT, SSUSD),
            type=_type(params.source),
            status="verified",
            verified_at=tx.now,
        )
    )
    book_verified(tx, deposit, account=tx.caller.account)
    return deposit
