"""Balances: what a wallet holds, and what stands behind all of them."""

from __future__ import annotations

import asyncio
from typing import Annotated, ClassVar, NamedTuple

import msgspec

from commerce.areas.identity.account import main_wallet
from commerce.areas.stablecoin.chain.block import closed
from commerce.areas.stablecoin.chain.height import last_entry
from commerce.areas.stablecoin.deposit import SOURCE_TYPES
from commerce.areas.stablecoin.transaction import Transaction
from commerce.books import chart, stablecoin
from commerce.kernel import address as addresses
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.money import Money
from commerce.ledger.account import BALANCE, NETWORK, LedgerAccount
from commerce.ledger.block import Block
from commerce.ledger.cap import CAP
from commerce.ledger.directory import ADDRESS, Address
from commerce.ledger.entry import ENTRY
from commerce.resource.noun import Part
from commerce.resource.operation import Params, view
from commerce.resource.parameter import Moment, Rejected
from commerce.resource.reading import Reading
from commerce.resource.ref import Ref
from commerce.store.table import Filter, Sum


class Balances(Part, frozen=True, kw_only=True):
    """Parts of a balance, which sum to its total."""

    available: Money
    """Free to be spent."""
    pending: Money
    """Yet to settle."""
    locked: Money
    """Set aside: scheduled, or in escrow."""
    total: Money
    """All of it."""


class Balance(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="stablecoin_balance"
):
    """What a wallet holds."""

    read_at: ClassVar = "as_of"

    address: str
    """The wallet."""
    livemode: bool
    """False in test mode."""
    currency: str = SSUSD
    """Always `ssusd`."""
    balances: Balances
    """What it holds."""
    as_of: int
    """When this was so, Unix seconds: now, or when the block was closed."""
    block_height: int | None = None
    """The block after which this was so; null for what is so now, 0 for before the first block."""
    transaction_count: int
    """How many transactions changed what is available in it. Setting aside what a scheduled
    transfer will cost is one, and so is giving it back; the transfer itself, which is paid from
    what was set aside, is none. All others stand in the list of transactions by this address."""
    first_transaction: Ref[Transaction] | None
    """The first of them; null where there is none."""
    last_transaction: Ref[Transaction] | None
    """The last of them; null where there is none."""


class Reserves(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="object", tag="stablecoin_reserves"
):
    """What stands behind ssUSD, read off the ledger."""

    read_at: ClassVar = "as_of"

    livemode: bool
    """False in test mode."""
    currency: str = SSUSD
    """Always `ssusd`; dollars are counted in millionths, as ssUSD is."""
    total_supply: Money
    """All ssUSD in being."""
    total_reserves: Money
    """Verified dollars behind the supply."""
    reserve_ratio: str
    """Reserves over supply, four digits after the point; 1.0000 where there is no ssUSD."""
    unissued_deposits: Money
    """Verified dollars not yet minted against; not part of `total_reserves`."""
    redemptions_payable: Money
    """Dollars owed for burned ssUSD and not yet sent; not part of `total_reserves`."""
    deposits_by_type: dict[str, Money]
    """Verified deposits by the way they came, all time."""
    block_height: int | None = None
    """The last closed block; null while there is none."""
    as_of: int
    """When this was read, Unix seconds."""


class Past(Params, frozen=True, kw_only=True):
    """When."""

    at: Moment | None = None
    """A time that has passed: the balance after the last block that was closed by then."""
    block_height: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    """The balance after this block; 0 is before the first one."""

    def __post_init__(self) -> None:
        """Refuse both at once."""
        if self.at is not None and self.block_height is not None:
            message = "Send 'at' or 'block_height', not both."
            raise Rejected(ApiError("parameter_invalid", message, param="block_height"))


class AddressParam(Past, frozen=True, kw_only=True):
    """Which wallet, and when."""

    address: str | None = None
    """One of your wallets; your main wallet by default."""


class OneAddress(Past, frozen=True, kw_only=True):
    """Which wallet, and when."""

    address: str
    """One of your wallets."""


@view(Balance, "GET /stablecoin/balance", scope="stablecoin:read", params=AddressParam)
async def main_balance(reading: Reading, params: AddressParam) -> Balance:
    """What your main wallet holds, or the one you name: now, or after a block."""
    caller = reading.caller
    text = params.address or main_wallet(caller.account, caller.livemode)
    return await _balance(reading, text, params)


@view(Balance, "GET /stablecoin/balance/{address}", scope="stablecoin:read", params=OneAddress)
async def balance(reading: Reading, params: OneAddress) -> Balance:
    """What one of your wallets holds: now, or after a block."""
    return await _balance(reading, params.address, params)


class _When(NamedTuple):
    """The moment of a balance: now, or the end of a block."""

    as_of: int
    height: int | None = None
    until: int | None = None


async def _when(reading: Reading, past: Past) -> _When:
    if past.at is not None:
        if past.at > reading.now:
            message = "'at' must be a time that has passed."
            raise ApiError("parameter_invalid", message, param="at")
        found = await closed(reading, Filter("created", "<=", past.at))
        return _When(past.at, 0, 0) if found is None else _at(found)
    if past.block_height is None:
        return _When(reading.now)
    last = await closed(reading)
    height = 0 if last is None else last.height
    if past.block_height == 0:
        return _When(0, 0, 0)
    if past.block_height > height:
        message = f"There is no block {past.block_height} yet: the last one is {height}."
        raise ApiError("parameter_invalid", message, param="block_height")
    found = await closed(reading, Filter("height", "=", past.block_height))
    assert found is not None, "heights have no gap"
    return _at(found)


def _at(block: Block) -> _When:
    return _When(block.created, block.height, block.until)


async def _balance(reading: Reading, text: str, past: Past) -> Balance:
    caller = reading.caller
    text = addresses.check(text, livemode=caller.livemode, param="address")
    row = await reading.point(ADDRESS.key, (caller.livemode, text))
    if row is None or Address.of(row).account != caller.account:
        message = f"No such wallet of yours: '{text}'."
        raise ApiError("resource_missing", message, param="address")
    when = await _when(reading, past)
    of = (caller.account, caller.livemode, text)
    free = chart.available(*of)
    (available, count), (pending, _), (locked, _) = await asyncio.gather(
        *(
            _read(reading, each(*of), when)
            for each in (chart.available, chart.pending, chart.locked)
        )
    )
    first, last = await asyncio.gather(
        _transaction(reading, free, min(1, count)), _transaction(reading, free, count)
    )
    return Balance(
        address=text,
        livemode=caller.livemode,
        balances=Balances(
            available=Money(available, SSUSD),
            pending=Money(pending, SSUSD),
            locked=Money(locked, SSUSD),
            total=Money(available + pending + locked, SSUSD),
        ),
        as_of=when.as_of,
        block_height=when.height,
        transaction_count=count,
        first_transaction=first,
        last_transaction=last,
    )


async def _read(reading: Reading, account: LedgerAccount, when: _When) -> tuple[int, int]:
    """An account's balance and its number of entries."""
    key = (account.owner, account.livemode, account.code, account.currency)
    if when.until is None:
        row = await reading.point(BALANCE.key, key)
        return (0, 0) if row is None else (row[6], row[7])
    number = await last_entry(reading, account, when.until)
    entry = await reading.point(ENTRY.key, (*key, number))
    return (0, 0) if entry is None else (entry[7], number)


async def _transaction(
    reading: Reading, account: LedgerAccount, number: int
) -> Ref[Transaction] | None:
    key = (account.owner, account.livemode, account.code, account.currency, number)
    row = await reading.point(ENTRY.key, key)
    return None if row is None else Ref[Transaction](row[5])


@view(Reserves, "GET /stablecoin/reserves", scope="stablecoin:read")
async def reserves(reading: Reading, _: Params) -> Reserves:
    """What stands behind ssUSD in this mode: everybody's, not only yours."""
    livemode = reading.caller.livemode
    codes, meters = await reading.sums(_reserve_balances(livemode), _meters(livemode))
    last = await closed(reading)
    held = {"cash": 0, "unissued": 0, "payable": 0}
    for code, balance in codes.items():
        held[code.partition("#")[0].split(":")[1]] += balance
    supply = meters.get(stablecoin.supply(livemode).meter, 0)
    deposits = [meters.get(stablecoin.deposits(livemode, each).meter, 0) for each in SOURCE_TYPES]
    behind = held["cash"] - held["unissued"] - held["payable"]
    return Reserves(
        livemode=livemode,
        total_supply=Money(supply, SSUSD),
        total_reserves=Money(behind, SSUSD),
        reserve_ratio=_ratio(behind, supply),
        unissued_deposits=Money(held["unissued"], SSUSD),
        redemptions_payable=Money(held["payable"], SSUSD),
        deposits_by_type={
            type_: Money(total, SSUSD) for type_, total in zip(SOURCE_TYPES, deposits, strict=True)
        },
        block_height=None if last is None else last.height,
        as_of=reading.now,
    )


def _reserve_balances(livemode: bool) -> Sum:
    """The balances of `reserves:cash`, `reserves:unissued:*` and `redemptions:payable`."""
    filters = [
        Filter("account", "=", NETWORK),
        Filter("livemode", "=", livemode),
        Filter("code", ">=", "redemptions:"),
        Filter("code", "<", "reserves;"),
        Filter("balance", "<>", 0),
    ]
    return Sum(BALANCE, "balance", "code", filters)


def _meters(livemode: bool) -> Sum:
    """What the network's meters have counted."""
    filters = [
        Filter("account", "=", NETWORK),
        Filter("livemode", "=", livemode),
        Filter("meter", ">=", "stablecoin:"),
        Filter("meter", "<", "stablecoin;"),
    ]
    return Sum(CAP, "used", "meter", filters)


def _ratio(reserves: int, supply: int) -> str:
    """Reserves over supply, rounded down to four digits: never better than it is."""
    if supply == 0:
        return "1.0000"
    ten_thousandths = reserves * 10_000 // supply
    return f"{ten_thousandths // 10_000}.{ten_thousandths % 10_000:04d}"
