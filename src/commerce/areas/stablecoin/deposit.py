"""Reserve deposits: dollars that came in, and stand behind what is minted."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

import msgspec

from commerce.areas.identity import account as accounts
from commerce.areas.identity.account import Account
from commerce.books import chart, stablecoin
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel.currency import SSUSD, UNIT
from commerce.kernel.errors import ApiError
from commerce.kernel.lifecycle import Lifecycle
from commerce.kernel.money import Money
from commerce.kernel.wording import MUST
from commerce.ledger.account import NETWORK
from commerce.ledger.cap import CapReached
from commerce.resource.example import Example
from commerce.resource.noun import Noun, Time, noun
from commerce.resource.operation import Params, operation
from commerce.resource.parameter import (
    Dollars,
    Id,
    Metadata,
    kept,
    require_cents,
    require_ssusd,
)
from commerce.store.table import Column, Table

AMOUNT_MAX = Money(100_000_000 * UNIT[SSUSD], SSUSD)

BANK_PAYMENT = Table(
    "stablecoin_bank_payment",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("reference", "text"),
        Column("deposit", "text"),
    ],
    key=("account", "livemode", "reference"),
    rank=301,
)
"""The deposit in which each payment to the bank was verified, by the bank's reference.

Live, the network has one bank, and the account is `network`. References of test dollars are made
up, by everybody from the same examples, so there each account has its own.
"""

BankReference = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[\t -~]*$", max_length=128, extra={MUST: "at most 128 ASCII characters"}
    ),
]
"""In ASCII, as banks write them: a letter that only looks like another, or is not seen at all,
would make two payments of one to whoever verifies them."""

SourceType = Literal["bank_wire", "ach", "treasury"]
SOURCE_TYPES: tuple[SourceType, ...] = get_args(SourceType)


@noun(
    prefix="dep",
    rank=300,
    path="stablecoin/reserves/deposits",
    scope="stablecoin:read",
    event="stablecoin.reserve_deposit",
    filters=("status", "type", "amount", "verified_at"),
)
class Deposit(Noun, tag="stablecoin_reserve_deposit", frozen=True, kw_only=True):
    """Dollars paid into the reserves."""

    emits: ClassVar = ("stablecoin.reserve_deposit.created",)
    lifecycle: ClassVar = Lifecycle(
        "stablecoin_reserve_deposit",
        """
        pending  verify  verified
        """,
    )

    amount: Money
    """How many dollars, kept in millionths in the ssUSD book."""
    currency: str = SSUSD
    """The book that the dollars stand in: `ssusd`."""
    type: SourceType
    """How the dollars came."""
    bank_reference: str | None = None
    """The bank's reference of the payment, which is verified once: in live mode in one deposit of
    the whole network, in test mode in one of yours. Spaces and case make no difference."""
    status: Literal["pending", "verified"]
    """Only a verified deposit can be minted against."""
    verified_at: Time | None = None
    """When an operator found the dollars in the bank."""


class CreateDeposit(Params, frozen=True, kw_only=True):
    """Dollars that were sent to the reserves."""

    amount: Dollars
    """How many dollars, in whole cents, up to 100,000,000.00."""
    currency: str = SSUSD
    """`ssusd`, if given."""
    type: SourceType = "bank_wire"
    """How they were sent."""
    bank_reference: BankReference | None = None
    """The bank's reference of the payment, as the bank writes it: up to 128 characters of ASCII."""
    metadata: Metadata = {}
    """Pairs of your own."""


class VerifyDeposit(Params, frozen=True, kw_only=True):
    """A deposit that has been found in the bank."""

    id: Id
    """The deposit's id."""
    account: Id | None = None
    """Whose deposit it is, if not your own. Required in live mode, where it never is."""


def require_issuer(account: Account) -> None:
    """Let only issuers mint and pay reserves in; raises `unauthorized_issuer`."""
    if "stablecoin_issuance" not in account.capabilities:
        raise ApiError("unauthorized_issuer", "This account may not issue ssUSD.")


async def example(example: Example) -> dict[str, object]:
    """Dollars by wire."""
    return {"amount": "5000.00", "type": "bank_wire", "bank_reference": example.name()}


def _need_create(needs: Needs, caller: Caller, _: CreateDeposit) -> None:
    accounts.need_own(needs, caller)


@operation(
    Deposit,
    "POST /stablecoin/reserves/deposits",
    scope="stablecoin:issue",
    params=CreateDeposit,
    needs=_need_create,
    example=example,
)
def create(tx: Tx, params: CreateDeposit) -> Deposit:
    """Announce dollars that are on their way to the reserves."""
    require_issuer(accounts.own(tx))
    require_ssusd(params.currency)
    if params.amount > AMOUNT_MAX:
        message = f"A deposit is of at most {AMOUNT_MAX.text} dollars."
        raise ApiError("amount_invalid", message, param="amount")
    require_cents(params.amount)
    return tx.add(
        Deposit(
            id=tx.new_id("dep"),
            livemode=tx.caller.livemode,
            created=tx.now,
            metadata=kept(params.metadata),
            amount=params.amount,
            type=params.type,
            bank_reference=params.bank_reference,
            status="pending",
        )
    )


def _need_verify(needs: Needs, caller: Caller, params: VerifyDeposit) -> None:
    owner = params.account or caller.account
    need_operator(needs, caller, owner)
    needs.row(Deposit.__noun__.table.key, (owner, caller.livemode, params.id), lock=True)
    needs.balance(chart.reserves_cash(caller.livemode))
    for type_ in SOURCE_TYPES:
        needs.cap(stablecoin.deposits(caller.livemode, type_))
    if not caller.livemode:
        needs.cap(stablecoin.test_dollars(owner))


async def verify_example(example: Example) -> dict[str, object]:
    """A deposit that has arrived."""
    deposit = await example.call("POST /stablecoin/reserves/deposits", amount="5000.00")
    return {"id": deposit["id"]}


@operation(
    Deposit,
    "POST /stablecoin/reserves/deposits/{id}/verify",
    scope="reserves:operate",
    params=VerifyDeposit,
    needs=_need_verify,
    example=verify_example,
)
def verify(tx: Tx, params: VerifyDeposit) -> Deposit:
    """Say that the dollars of a deposit are in the bank: from now on it can be minted against.

    In live mode only an account that operates the reserves may, for an issuer that is not of its
    own line of connected accounts. In test mode an account's deposits are verified up to
    1,000,000,000.00 a UTC day.
    """
    owner = require_operator(tx, params.account)
    deposit = tx.lock(Deposit, params.id, account=owner)
    tx.require(deposit, "verify")
    _claim_payment(tx, deposit, owner)
    verified = tx.advance(deposit, "verify", account=owner, verified_at=tx.now)
    book_verified(tx, deposit, account=owner)
    return verified


def _claim_payment(tx: Tx, deposit: Deposit, owner: str) -> None:
    """Take a payment for a deposit; raises `duplicate_reference` where another one has it."""
    reference = "".join((deposit.bank_reference or "").split()).lower()
    if not reference:
        return
    livemode = tx.caller.livemode
    row = (NETWORK if livemode else owner, livemode, reference, deposit.id)
    taken = tx.claim(BANK_PAYMENT, row)
    if taken is not None:
        message = f"The payment '{deposit.bank_reference}' was verified in {taken[3]} already."
        raise ApiError("duplicate_reference", message, param="id")


def book_verified(tx: Tx, deposit: Deposit, *, account: str) -> None:
    """Book the dollars of an account's deposit into the reserves.

    Raises `limit_exceeded` where an account makes too many test dollars in a day: the ledger's
    integers hold what very many accounts may make, and nobody fills them for the others.
    """
    if not tx.caller.livemode:
        _use_test_dollars(tx, account, deposit.amount)
    booking = stablecoin.deposit_verified(deposit.id, deposit.amount, livemode=tx.caller.livemode)
    tx.found(chart.reserves_unissued(tx.caller.livemode, deposit.id))
    tx.post(booking, account=account)
    tx.use(stablecoin.deposits(tx.caller.livemode, deposit.type), deposit.amount.minor)


def _use_test_dollars(tx: Tx, account: str, amount: Money) -> None:
    try:
        tx.use(stablecoin.test_dollars(account), amount.minor)
    except CapReached as reached:
        most, left = Money(reached.ceiling, SSUSD).text, Money(reached.left, SSUSD).text
        message = f"An account makes at most {most} test dollars a day; {left} is left."
        raise ApiError("limit_exceeded", message, param="amount") from None


def need_operator(needs: Needs, caller: Caller, owner: str) -> None:
    """The rows that `require_operator` reads."""
    accounts.need_own(needs, caller)
    accounts.need_family(needs, owner, caller.livemode)


def require_operator(tx: Tx, named: str | None) -> str:
    """Let only who operates the reserves act on an account's deposits and redemptions.

    In live mode the account must be named, and be of another line of connected accounts than the
    caller: whoever opened an account can make keys of it, so that a line is one party. In test
    mode an account is its own operator. Gives whose deposits and redemptions they are. Raises
    `insufficient_permissions`, `parameter_missing`.
    """
    caller = tx.caller
    owner = named or caller.account
    if not caller.livemode and owner in {caller.account, caller.key_owner}:
        return owner
    if "reserves_operator" not in accounts.own(tx).capabilities:
        raise ApiError("insufficient_permissions", "This account does not operate the reserves.")
    if caller.livemode and named is None:
        message = "In live mode 'account' is required: whose it is, since it is not your own."
        raise ApiError("parameter_missing", message, param="account")
    if caller.livemode and accounts.family(tx, owner) == accounts.own(tx).family:
        message = (
            "In live mode nobody operates the reserves in a matter of its own, or of an account"
            " that it is connected with."
        )
        raise ApiError("insufficient_permissions", message)
    return owner
