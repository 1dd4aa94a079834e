"""Accounts: who holds money here, on which plan, with which limits and capabilities."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel import address as addresses
from commerce.kernel.errors import ApiError
from commerce.ledger.directory import Address
from commerce.resource.noun import HIDDEN, Noun, Part, noun
from commerce.resource.operation import Params, view
from commerce.resource.parameter import Name
from commerce.resource.reading import Reader, Reading
from commerce.store.table import Filter, Index, Page

Plan = Literal["free", "starter", "growth", "enterprise"]
Verification = Literal["basic", "verified", "premium", "business"]
Capability = Literal["stablecoin_issuance", "reserves_operator", "finance_lender"]


class RateLimit(Part, frozen=True, kw_only=True):
    """The rate limits of one account, where they are not its plan's."""

    rate: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """Requests a second, in each mode."""
    burst: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    """Requests at once, after a pause: how deep the bucket is."""
    daily: Annotated[int, msgspec.Meta(ge=1, le=10**15)] | None = None
    """Requests in a UTC day; null where there is no such limit."""


@noun(
    prefix="acct",
    rank=100,
    path="accounts",
    scope="accounts:read",
    filters=("plan", "verification"),
    listed_under="parent",
    announced=True,
)
class Account(Noun, tag="account", frozen=True, kw_only=True):
    """A business or a person with a wallet in each mode.

    An account is in both modes under one id; what it owns in one is apart from the other. So are
    its name, metadata, plan, verification and capabilities: opened alike, each mode keeps its own.
    """

    name: str | None = None
    """What the account calls itself in this mode."""
    plan: Plan
    """The plan, which sets the rate limits; a connected account is charged to those of the first
    account of its line. The operator's to set."""
    verification: Verification
    """How far the holder's identity was verified, which sets the transfer limits."""
    capabilities: list[Capability]
    """What the account may do beyond the ordinary. The operator's to set."""
    wallet: str
    """The address of the main wallet in this mode."""
    rate_limit: RateLimit | None = None
    """The rate limits of an enterprise account that has its own; null for those of the plan."""
    parent: str | None = None
    """The account that this one is connected to, for good; null where it stands alone."""
    root: Annotated[str | None, HIDDEN] = None
    """The first account of its line, for good: its parent, or its parent's root."""

    @property
    def family(self) -> str:
        """The first account of its line, itself where it stands alone: one for all of them."""
        return self.root or self.id


TABLE = Account.__noun__.table
OPERATORS_MAX = 100
"""How many accounts are told, at most, what those who operate the reserves are to know."""
LINE = Index(
    TABLE,
    ("account", "livemode", "id"),
    select=("account", "livemode", "id", "parent", "root"),
)
"""What says which account one is connected to, and no more: none of it ever changes."""


class CreateAccount(Params, frozen=True, kw_only=True):
    """What the operator says of a new account."""

    name: Name | None = None
    plan: Plan = "free"
    verification: Verification | None = None
    capabilities: list[Capability] = []


class UpdateAccount(Params, frozen=True, kw_only=True):
    """What the operator changes of an account; what is left out stays."""

    account: str
    name: Name | None = None
    plan: Plan | None = None
    verification: Verification | None = None
    capabilities: list[Capability] | None = None
    rate_limit: RateLimit | Literal["plan"] | None = None
    """Limits of its own, for the enterprise plan alone; `plan` for those of the plan again."""


@lru_cache(65536)
def main_wallet(account: str, livemode: bool) -> str:
    """The address of an account's main wallet: made from its id, so that nobody looks it up."""
    return addresses.new(f"{account}:{'live' if livemode else 'test'}".encode())


def create(tx: Tx, params: CreateAccount) -> Account:
    """Open an account with a main wallet in each mode; gives it as the caller's mode shows it.

    A test account starts as premium, a live one as basic.
    """
    _require_operator(tx)
    id_ = tx.new_account_id()
    made = [_open(tx, id_, params, {}, None, livemode=livemode) for livemode in (False, True)]
    return made[tx.caller.livemode]


def open_connected(tx: Tx, name: str | None, metadata: dict[str, str]) -> Account:
    """Open an account connected to the caller's, with nothing that is the operator's to give."""
    id_ = tx.new_account_id()
    parent, params = own(tx), CreateAccount(name=name)
    made = [_open(tx, id_, params, metadata, parent, livemode=mode) for mode in (False, True)]
    return made[tx.caller.livemode]


def _open(  # noqa: PLR0913 - all that a new account consists of
    tx: Tx,
    id_: str,
    params: CreateAccount,
    metadata: dict[str, str],
    parent: Account | None,
    *,
    livemode: bool,
) -> Account:
    wallet = main_wallet(id_, livemode)
    tx.list_address(Address(livemode, wallet, id_, blocked=False))
    account = Account(
        id=id_,
        livemode=livemode,
        created=tx.now,
        metadata=metadata,
        name=params.name,
        plan=params.plan,
        verification=params.verification or ("basic" if livemode else "premium"),
        capabilities=list(params.capabilities),
        wallet=wallet,
        parent=None if parent is None else parent.id,
        root=None if parent is None else parent.family,
    )
    account = tx.add(account, account=id_, told=account.parent)
    if not livemode:
        tx.furnish(account)
    return account


def update(tx: Tx, params: UpdateAccount) -> Account:
    """Set what is the operator's to set, in the caller's mode.

    An account that leaves the enterprise plan loses the rate limits of its own. Raises
    `parameter_invalid` for rate limits on another plan, and for a connected account that is to
    operate the reserves: whoever it is connected to could act on its behalf.
    """
    _require_operator(tx)
    account = tx.lock(Account, params.account, account=params.account)
    if account.parent is not None and "reserves_operator" in (params.capabilities or ()):
        message = "Only an account that stands alone operates the reserves; this one is connected."
        raise ApiError("parameter_invalid", message, param="capabilities")
    is_enterprise = (params.plan or account.plan) == "enterprise"
    if isinstance(params.rate_limit, RateLimit) and not is_enterprise:
        message = "Only an enterprise account has rate limits of its own."
        raise ApiError("parameter_invalid", message, param="rate_limit")
    given: dict[str, Any] = {
        name: value
        for name in ("name", "plan", "verification", "capabilities")
        if (value := getattr(params, name)) is not None
    }
    if params.rate_limit is not None or not is_enterprise:
        own_limit = isinstance(params.rate_limit, RateLimit)
        given["rate_limit"] = params.rate_limit if own_limit else None
    return change(tx, account, **given)


def change(tx: Tx, account: Account, **fields: Any) -> Account:
    """Change an account; the one that it is connected to is told as well."""
    return tx.change(account, account=account.id, told=account.parent, **fields)


class BlockAddress(Params, frozen=True, kw_only=True):
    """An address, and whether it is to be blocked."""

    address: str
    blocked: bool


def block(tx: Tx, params: BlockAddress) -> Address:
    """Block an address, anybody's, or let it go again; blocked, it neither sends nor receives."""
    _require_operator(tx)
    text = addresses.check(params.address, livemode=tx.caller.livemode, param="address")
    address = tx.address(text)._replace(blocked=params.blocked)
    tx.change_address(address)
    return address


def _require_operator(tx: Tx) -> None:
    if not tx.caller.operator:
        raise ApiError("insufficient_permissions", "Only the operator may do this.")


def own(tx: Tx) -> Account:
    """The account that acts."""
    return tx.get(Account, tx.caller.account)


async def find(reader: Reader, account: str, livemode: bool) -> Account | None:
    """An account as one mode has it."""
    row = await reader.point(Account.__noun__.table.key, (account, livemode, account))
    return None if row is None else Account.__noun__.held(row).thing


def need_own(needs: Needs, caller: Caller) -> None:
    """The rows that `own` reads."""
    needs.row(TABLE.key, (caller.account, caller.livemode, caller.account))


async def operators(reader: Reader, livemode: bool) -> list[str]:
    """The accounts that operate the reserves in a mode, the newest of too many."""
    filters = [
        Filter("livemode", "=", livemode),
        Filter("capabilities", "@>", '["reserves_operator"]'),
    ]
    page = Page(TABLE, filters, ("created", "id"), OPERATORS_MAX, select=("id",))
    return [row[0] for row in await reader.store.page(page)]


async def parent_of(reader: Reader, id_: str, livemode: bool) -> str | None:
    """The account that one is connected to: it never changes, and is the same in both modes."""
    row = await reader.point(LINE, (id_, livemode, id_))
    return None if row is None else row[3]


async def family_of(reader: Reader, id_: str, livemode: bool) -> str:
    """The first account of an account's line, itself where it stands alone: for good as well."""
    row = await reader.point(LINE, (id_, livemode, id_))
    return id_ if row is None else row[4] or id_


def need_family(needs: Needs, account: str, livemode: bool) -> None:
    """The row that `family` reads."""
    needs.row(LINE, (account, livemode, account))


def family(tx: Tx, account: str) -> str:
    """What `family_of` gives, within a verb."""
    row = tx.read(LINE, (account, tx.caller.livemode, account))
    return account if row is None else row[4] or account


def parent(tx: Tx, account: str) -> str | None:
    """What `parent_of` gives, within a verb: which account one is connected to."""
    row = tx.read(LINE, (account, tx.caller.livemode, account))
    return None if row is None else row[3]


@view(Account, "GET /account", scope="accounts:read")
async def mine(reading: Reading, _: Params) -> Account:
    """The account that asks, or on whose behalf `X-Account-Id` asks."""
    return await reading.get(Account, reading.caller.account)
