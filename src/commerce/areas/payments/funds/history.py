"""The history of a balance: every movement of the main wallet, and what caused it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from commerce.areas.identity.account import main_wallet
from commerce.areas.stablecoin import history
from commerce.areas.stablecoin.history import STOCK, Merged, Stream
from commerce.areas.stablecoin.transaction import Transaction, placed
from commerce.kernel.money import Money
from commerce.ledger.entry import TRANSACTION
from commerce.resource import listing
from commerce.resource.listing import ListOf
from commerce.resource.noun import COMPUTED, Noun, noun
from commerce.resource.reading import Reading, completed
from commerce.resource.shelf import Shelf
from commerce.store.table import Filter, Row

OUTSIDE_OF_WALLETS = ("verified", "completed", "settled", "sent", "covered", "recovered")
"""The bookings that name no wallet since none moves: reserves that came in, redemptions and
payouts that were sent, what came from a processor, what the network has lost. All others that name
none move money within one."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """By how much a movement changed the parts of a balance: decimal strings in its currency.

    What left one is below zero, `-10.01`.
    """

    available: str
    """What may be spent."""
    pending: str
    """What is yet to settle."""
    locked: str
    """What is set aside."""


@noun(
    prefix="txn",
    rank=2000,
    path="balance/history",
    order=("id",),
    scope="payments:read",
    filters=("type", "currency"),
    table=TRANSACTION,
)
class BalanceTransaction(Transaction, tag="balance_transaction", frozen=True, kw_only=True):
    """A movement of your main wallet, in any currency, and the object that caused it (`source`).

    It is the same transaction that `GET /stablecoin/transactions/{id}` shows, under the same id;
    `change` is what it did to your balance, fees included. Stock is not among them.
    """

    shelf: ClassVar[Shelf]
    emits: ClassVar[tuple[str, ...]] = ()
    complete: ClassVar[Any]

    change: Annotated[Change | None, COMPUTED] = None
    """What it did to your balance."""


async def _complete(reading: Reading, found: list[Any]) -> list[Any]:
    """Transactions with their heights, and with what each did."""
    return [
        msgspec.structs.replace(each, change=_change(reading, each.postings, each.currency))
        for each in await placed(reading, found)
    ]


def _change(reading: Reading, postings: msgspec.Raw, currency: str) -> Change | None:
    """What postings did to the parts of the caller's wallet; None where they did nothing to it.

    What a wallet holds is owed to it: a credit is more, a debit less.
    """
    account, address = reading.caller.account, _wallet(reading)
    parts = dict.fromkeys(Change.__struct_fields__, 0)
    touched = False
    for debit_owner, debit, credit_owner, credit, _, amount in msgspec.json.decode(postings):
        for owner, code, signed in ((debit_owner, debit, -amount), (credit_owner, credit, amount)):
            wallet, _, part = code.removeprefix("wallet:").partition(":")
            if (owner, wallet) == (account, address):
                parts[part] += signed
                touched = True
    if not touched:
        return None
    return Change(**{part: Money(minor, currency).text for part, minor in parts.items()})


def _wallet(reading: Reading) -> str:
    return main_wallet(reading.caller.account, reading.caller.livemode)


async def _row_of(reading: Reading, id_: str) -> Row | None:
    """The row of a transaction that moved the caller's wallet."""
    row = await history.row_of(reading, id_)
    if row is None:
        return None
    seen = Transaction.__noun__.thing(row)
    return None if _change(reading, seen.postings, seen.currency) is None else row


async def _page(reading: Reading, given: Mapping[str, Sequence[str]], url: str) -> ListOf:
    asked = listing.parse(BalanceTransaction.__noun__, given)
    of_money = Filter("type", "<>", STOCK)
    asked = msgspec.structs.replace(asked, filters=[*asked.filters, of_money])
    found = Merged(BalanceTransaction, _streams(_wallet(reading)), url, _row_of)
    return await history.merged(reading, asked, found)


def _streams(address: str) -> list[Stream]:
    """What left the wallet, what came into it, and what moved within it."""
    outside = (Filter("booking", "<>", name) for name in OUTSIDE_OF_WALLETS)
    within = (Filter("sender", "null", None), Filter("recipient", "null", None), *outside)
    into = (Filter("recipient", "=", address),)
    return [
        Stream("account", (Filter("sender", "=", address),)),
        Stream("account", into),
        Stream("payee", into),
        Stream("account", within),
    ]


async def _get(reading: Reading, id_: str) -> Noun:
    spec = BalanceTransaction.__noun__
    row = await _row_of(reading, id_)
    if row is None:
        raise await reading.missing(spec, id_)
    things: list[Any] = await completed(reading, spec, [row])
    found: Noun = things[0]
    return found


BalanceTransaction.complete = _complete
BalanceTransaction.shelf = Shelf({}, _page, _get)
