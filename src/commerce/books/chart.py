"""The chart of accounts: every account of the ledger, what it means and what guards it."""

from __future__ import annotations

from functools import lru_cache

from commerce.kernel.currency import SSUSD, of_stock
from commerce.ledger.account import NETWORK, LedgerAccount


@lru_cache(65536)
def available(owner: str, livemode: bool, address: str, currency: str = SSUSD) -> LedgerAccount:
    """What the network owes a holder, free to be spent."""
    code = f"wallet:{address}:available"
    return LedgerAccount(owner, livemode, code, currency, guarded=True)


def pending(owner: str, livemode: bool, address: str, currency: str = SSUSD) -> LedgerAccount:
    """What the network will owe a holder once it has settled."""
    code = f"wallet:{address}:pending"
    return LedgerAccount(owner, livemode, code, currency, guarded=True)


def locked(owner: str, livemode: bool, address: str, currency: str = SSUSD) -> LedgerAccount:
    """What a holder has set aside: scheduled, or in escrow."""
    code = f"wallet:{address}:locked"
    return LedgerAccount(owner, livemode, code, currency, guarded=True)


def reserves_cash(livemode: bool) -> LedgerAccount:
    """Verified dollars in the bank, in millionths of a dollar."""
    return LedgerAccount(NETWORK, livemode, "reserves:cash", SSUSD, debit_normal=True, sharded=True)


def reserves_unissued(livemode: bool, deposit: str) -> LedgerAccount:
    """Dollars of one deposit that were verified and not yet minted against."""
    return LedgerAccount(NETWORK, livemode, f"reserves:unissued:{deposit}", SSUSD, guarded=True)


def redemptions_payable(livemode: bool) -> LedgerAccount:
    """Dollars owed for tokens that were burned and not yet paid for."""
    return LedgerAccount(NETWORK, livemode, "redemptions:payable", SSUSD, guarded=True)


@lru_cache(256)
def payouts_payable(livemode: bool, currency: str) -> LedgerAccount:
    """What was withdrawn to bank accounts and not yet sent."""
    return LedgerAccount(NETWORK, livemode, "payouts:payable", currency, guarded=True)


@lru_cache(8)
def fees_network(livemode: bool, currency: str = SSUSD) -> LedgerAccount:
    """What the network earned by transfer fees."""
    return LedgerAccount(NETWORK, livemode, "fees:network", currency, sharded=True)


def stock_source(owner: str, livemode: bool, product: str) -> LedgerAccount:
    """Where pieces of a product come from and are written off to: what ever came, net."""
    currency = of_stock(product)
    return LedgerAccount(owner, livemode, "stock:source", currency, debit_normal=True)


def stock_available(owner: str, livemode: bool, product: str) -> LedgerAccount:
    """Pieces on the shelf that nobody has been promised."""
    return _stock(owner, livemode, product, "available")


def stock_reserved(owner: str, livemode: bool, product: str) -> LedgerAccount:
    """Pieces on the shelf that orders have been promised."""
    return _stock(owner, livemode, product, "reserved")


def stock_shipped(owner: str, livemode: bool, product: str) -> LedgerAccount:
    """Pieces that customers have, or that are on their way to them."""
    return _stock(owner, livemode, product, "shipped")


@lru_cache(65536)
def _stock(owner: str, livemode: bool, product: str, state: str) -> LedgerAccount:
    code, currency = f"stock:{product}:{state}", of_stock(product)
    return LedgerAccount(owner, livemode, code, currency, guarded=True)


@lru_cache(8)
def fees_processing(livemode: bool, currency: str = SSUSD) -> LedgerAccount:
    """What the network earned by processing payments."""
    return LedgerAccount(NETWORK, livemode, "fees:processing", currency, sharded=True)


@lru_cache(1024)
def processor_receivable(livemode: bool, processor: str, currency: str) -> LedgerAccount:
    """What a processor has captured and not yet paid out; below zero, what it is owed back."""
    code = f"processor:{processor}:receivable"
    return LedgerAccount(NETWORK, livemode, code, currency, debit_normal=True, sharded=True)


@lru_cache(1024)
def processor_expense(livemode: bool, processor: str, currency: str) -> LedgerAccount:
    """What a processor has kept for itself."""
    code = f"processor:{processor}:expense"
    return LedgerAccount(NETWORK, livemode, code, currency, debit_normal=True, sharded=True)


@lru_cache(1024)
def bank(livemode: bool, name: str, currency: str) -> LedgerAccount:
    """Money in the bank that a processor pays into, or from which payouts are made."""
    code = f"bank:{name}"
    return LedgerAccount(NETWORK, livemode, code, currency, debit_normal=True, sharded=True)


@lru_cache(256)
def payments_losses(livemode: bool, currency: str) -> LedgerAccount:
    """What the network lost since a cardholder took back more than whoever was paid had."""
    code = "payments:losses"
    return LedgerAccount(NETWORK, livemode, code, currency, debit_normal=True, sharded=True)
