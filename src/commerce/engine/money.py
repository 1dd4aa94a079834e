"""The part of a verb's view in which money is: wallets, balances, bookings, caps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from commerce.engine.overlay import Overlay
from commerce.kernel.errors import ApiError
from commerce.ledger.account import BALANCE, LedgerAccount
from commerce.ledger.cap import CAP, USED_AT, Cap, count
from commerce.ledger.directory import ADDRESS, Address
from commerce.ledger.entry import (
    AMOUNT_MAX,
    ENTRY,
    TRANSACTION,
    Booking,
    canonical,
    net,
    postings_json,
    transaction_hash,
)
from commerce.store.table import Key

if TYPE_CHECKING:
    from commerce.engine.caller import Caller
    from commerce.store.table import Row


class Booked(NamedTuple):
    """A booked transaction: its id and its hash."""

    id: str
    tx_hash: bytes


class Bookkeeper:
    """What a `Tx` does with money."""

    __slots__ = ()

    _ids: Callable[..., str]
    _overlay: Overlay
    caller: Caller
    lane: int
    mark: int
    now: int

    # The directory of addresses

    def address(self, address: str) -> Address:
        """What the directory knows of an address; one nobody here owns is external."""
        row = self._overlay.read(ADDRESS.key, (self.caller.livemode, address))
        if row is None:
            return Address(self.caller.livemode, address, None, blocked=False)
        return Address.of(row)

    def list_address(self, address: Address) -> None:
        """Write a new wallet into the directory. Its address is new too, so nobody looks first."""
        key = (address.livemode, address.address)
        self._overlay.put(ADDRESS.key, key, tuple(address))

    def change_address(self, address: Address) -> None:
        """Change what the directory says of an address; an external one is written into it."""
        key = (address.livemode, address.address)
        self._overlay.read(ADDRESS.key, key, lock=True)
        self._overlay.put(ADDRESS.key, key, tuple(address))

    # Money

    def balance(self, account: LedgerAccount) -> int:
        """What is on a guarded account now, on its normal side, in the smallest unit."""
        return int(self._balance(account, account.shard(self.lane))[6])

    def _balance(self, account: LedgerAccount, key: Key) -> Row:
        row: Row | None = self._overlay.read(BALANCE.key, key, lock=True)
        return row or (*key, account.debit_normal, account.guarded, 0, 0, 0)

    def see_addresses(self, addresses: Iterable[str]) -> None:
        """Look many addresses up at once, which one by one would each take a round of loading."""
        livemode = self.caller.livemode
        self._overlay.read_all(ADDRESS.key, [(livemode, address) for address in addresses])

    def hold(self, accounts: Iterable[LedgerAccount]) -> None:
        """Lock the balances of many accounts at once, for the same reason."""
        keys = dict.fromkeys(account.shard(self.lane) for account in accounts)
        self._overlay.read_all(BALANCE.key, keys, lock=True)

    def found(self, account: LedgerAccount) -> None:
        """Say that an account is new, so that nobody looks for it: it belongs to a new object."""
        key = account.shard(self.lane)
        self._overlay.put(BALANCE.key, key, (*key, account.debit_normal, account.guarded, 0, 0, 0))

    def post(self, booking: Booking, *, account: str | None = None) -> Booked:
        """Book a transaction: all of its postings. Raises `insufficient_funds` below a floor.

        It is listed under the account of its source, the caller's unless another is given.
        """
        owner = account or self.caller.account
        # A new account is given test money by whoever opens it, in whatever mode.
        livemode = booking.postings[0].debit.livemode
        made = self._ids("txn", livemode=livemode)
        mark = self._enter(made, net(booking))
        postings = postings_json(booking)
        tx_hash = transaction_hash(canonical(owner, made, self.now, booking, postings))
        self._overlay.append(
            TRANSACTION,
            (
                owner,
                livemode,
                made,
                1,
                self.now,
                "{}",
                booking.type,
                booking.name,
                booking.source,
                booking.amount,
                booking.currency,
                booking.sender,
                booking.recipient,
                postings.decode(),
                tx_hash,
                booking.payee,
                booking.memo,
                mark,
            ),
        )
        return Booked(made, tx_hash)

    def _enter(self, transaction: str, amounts: dict[LedgerAccount, int]) -> int:
        """Enter a transaction on its accounts, and give its mark.

        That is the batch's own, or the largest that was entered on one of them before: another
        batch may have got its lock first although it began later.
        """
        mark = self.mark
        entered = []
        for account, amount in amounts.items():
            if amount:
                key = account.shard(self.lane)
                *_, balance, entries, before = self._balance(account, key)
                mark = max(mark, before)
                after = balance + (amount if account.debit_normal else -amount)
                _require_within(account, after)
                entered.append((account, key, entries + 1, amount, after))
        for account, key, number, amount, after in entered:
            row = (*key, account.debit_normal, account.guarded, after, number, mark)
            self._overlay.put(BALANCE.key, key, row)
            self._overlay.append(ENTRY, (*key, number, transaction, amount, after, mark))
        return mark

    def use(self, cap: Cap, amount: int) -> int:
        """Count an amount against a cap and give what has passed in all; raises `CapReached`."""
        row: Row | None = self._overlay.read(CAP.key, cap.key, lock=True)
        counted = count(cap, row, amount, self.now)
        self._overlay.put(CAP.key, cap.key, counted)
        return int(counted[USED_AT])


def _require_within(account: LedgerAccount, after: int) -> None:
    if account.guarded and after < 0:
        raise ApiError("insufficient_funds", f"{account.code} holds too little for this.")
    if abs(after) > AMOUNT_MAX:
        raise ApiError("limit_exceeded", f"{account.code} can hold no more.")
