"""Wallets: addresses that may send and receive, and the guards on both."""

from __future__ import annotations

from commerce.areas.identity.account import Account, main_wallet
from commerce.books import chart
from commerce.engine.caller import Caller
from commerce.engine.overlay import Needs
from commerce.engine.tx import Tx
from commerce.kernel import address as addresses
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.ledger.account import NETWORK, LedgerAccount
from commerce.ledger.directory import ADDRESS, Address


def own(tx: Tx, account: Account, text: str | None, *, param: str) -> Address:
    """The caller's wallet at an address, its main one by default.

    Raises `invalid_recipient`, `address_not_owned`.
    """
    if text is None:
        return tx.address(account.wallet)
    address = tx.address(addresses.check(text, livemode=tx.caller.livemode, param=param))
    if address.account != tx.caller.account:
        message = f"'{address.address}' is not one of your wallets."
        raise ApiError("address_not_owned", message, param=param)
    return address


def any_of(tx: Tx, text: str, *, param: str) -> Address:
    """The wallet at an address, anybody's.

    Raises `invalid_recipient`, for an address of somebody's here in the other mode as well: as an
    external wallet of this mode it would take money that nobody could ever send again.
    """
    livemode = tx.caller.livemode
    wallet = tx.address(addresses.check(text, livemode=livemode, param=param))
    if wallet.account is None and _is_of_other_mode(tx, wallet):
        here, there = ("live", "test") if livemode else ("test", "live")
        message = f"'{param}' is an address of {there} mode, but a {here} mode key was used."
        raise ApiError("invalid_recipient", message, param=param)
    return wallet


def _is_of_other_mode(tx: Tx, wallet: Address) -> bool:
    row = tx.read(ADDRESS.key, (not wallet.livemode, wallet.address))
    return row is not None and Address.of(row).account is not None


def refuse_blocked(wallet: Address, *, param: str) -> None:
    """Refuse money from or to a blocked address; raises `sanctioned_party`."""
    if wallet.blocked:
        raise ApiError("sanctioned_party", f"'{wallet.address}' is blocked.", param=param)


def available(wallet: Address, currency: str = SSUSD) -> LedgerAccount:
    """The account of what a wallet may spend."""
    return chart.available(wallet.account or NETWORK, wallet.livemode, wallet.address, currency)


def pending(wallet: Address, currency: str) -> LedgerAccount:
    """The account of what a wallet will be able to spend once it is settled."""
    return chart.pending(wallet.account or NETWORK, wallet.livemode, wallet.address, currency)


def locked(wallet: Address) -> LedgerAccount:
    """The account of what a wallet has set aside."""
    return chart.locked(wallet.account or NETWORK, wallet.livemode, wallet.address)


def need(needs: Needs, caller: Caller, text: str) -> None:
    """A wallet and what is available in it; nothing for what is no address.

    One that nobody here is known to own is looked for in the other mode, too.
    """
    address = addresses.canonical_form(text)
    if address is not None:
        owner = needs.address(caller.livemode, address)
        if owner == NETWORK:
            needs.row(ADDRESS.key, (not caller.livemode, address))
        needs.balance(chart.available(owner, caller.livemode, address))


def need_own_locked(needs: Needs, caller: Caller, text: str | None) -> None:
    """What is set aside in a wallet of the caller's."""
    address = _own_address(caller, text)
    if address is not None:
        needs.balance(chart.locked(caller.account, caller.livemode, address))


def _own_address(caller: Caller, text: str | None) -> str | None:
    if text is None:
        return main_wallet(caller.account, caller.livemode)
    return addresses.canonical_form(text)


def need_own(needs: Needs, caller: Caller, text: str | None) -> None:
    """What `own` reads, and what is available there."""
    address = _own_address(caller, text)
    if address is not None:
        needs.address(caller.livemode, address)
        needs.balance(chart.available(caller.account, caller.livemode, address))
