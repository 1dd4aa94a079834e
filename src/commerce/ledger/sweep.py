"""Sweeps: passes over all entries that see whether anything is wrong, many invariants at once.

They share nothing with the engine, and say no more than the first thing they meet: what it breaks
is for the invariants to say.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

ROWS_AT_ONCE = 5_000

# Along each account, from its first entry to its balance. The sum of the entries is the balance
# where each follows from the one before, the first from nothing, and the last leads to it.
ACCOUNTS = """
    SELECT account, livemode, code, currency, e.number
    FROM (
        SELECT *, lag(balance_after, 1, 0::bigint) OVER chain AS before,
            lag(mark, 1, 0::bigint) OVER chain AS mark_before,
            row_number() OVER chain AS place,
            lead(number) OVER chain IS NULL AS is_last
        FROM ledger_entry
        WINDOW chain AS (PARTITION BY account, livemode, code, currency ORDER BY number)
    ) e
    FULL JOIN ledger_balance b USING (account, livemode, code, currency)
    WHERE b.mark IS NULL
        OR (e.number IS NULL AND (b.balance, b.entries, b.mark) <> (0, 0, 0))
        OR e.number <> e.place
        OR e.balance_after <> e.before + CASE WHEN b.debit_normal THEN e.amount ELSE -e.amount END
        OR e.mark < e.mark_before
        OR (b.guarded AND e.balance_after < 0)
        OR (e.is_last AND (e.balance_after, e.number, e.mark) <> (b.balance, b.entries, b.mark))
    LIMIT 1"""

_TRANSACTIONS = """
    SELECT livemode, account, id, created, type, source, booking, amount, currency, sender,
        recipient, memo, postings, tx_hash, t.mark, made, mark_min, mark_max
    FROM ledger_transaction t
    FULL JOIN (
        SELECT livemode, transaction AS id, min(mark) AS mark_min, max(mark) AS mark_max,
            json_agg(json_build_array(account, code, currency, amount))::text AS made
        FROM ledger_entry GROUP BY livemode, transaction
    ) e USING (livemode, id)"""


decode_postings = msgspec.json.Decoder(list[tuple[str, str, str, str, str, int]]).decode
decode_entries = msgspec.json.Decoder(list[tuple[str, str, str, int]]).decode


class Seen(NamedTuple):
    """A transaction with which something is wrong."""

    livemode: bool
    id: str
    is_hashed: bool
    """Its hash is that of what it stands for."""
    is_booked: bool
    """Its entries are what its postings come to, and have its mark."""


async def accounts(connection: Connection) -> dict[str, Any] | None:
    """The first account on which anything is wrong; None where all is right."""
    row = await connection.fetchrow(ACCOUNTS)
    return None if row is None else dict(row)


async def transactions(
    connection: Connection, told: Callable[[int], None]
) -> AsyncGenerator[Seen, None]:
    """The transactions with which anything is wrong.

    `told` hears of every few thousand that were looked at. Reads by cursor, in memory that does
    not grow; the connection must be in a transaction.
    """
    looked = 0
    async for row in connection.cursor(_TRANSACTIONS, prefetch=ROWS_AT_ONCE):
        looked += 1
        if looked % ROWS_AT_ONCE == 0:
            told(ROWS_AT_ONCE)
        livemode, *fields, postings, tx_hash, mark, made, mark_min, mark_max = row
        # Entries without a transaction have no hash, and a transaction without entries no marks.
        is_hashed = tx_hash is None or _is_hashed(fields, postings, tx_hash)
        is_booked = mark_min == mark_max == mark and _is_booked(postings, made)
        if not (is_hashed and is_booked):
            yield Seen(livemode, fields[1], is_hashed, is_booked)


def _is_hashed(fields: list[Any], postings: str, tx_hash: bytes) -> bool:
    """Whether a transaction's hash is that of its canonical form, which is written here anew."""
    account, id_, created, type_, source, booking, amount, currency, *rest = fields
    sender, recipient, memo = rest
    text = (
        f'["commerce.transaction.1",{quoted(account)},{quoted(id_)},{created},{quoted(type_)},'
        f"{quoted(source)},{quoted(booking)},{amount},{quoted(currency)},{_optional(sender)},"
        f"{_optional(recipient)},{_optional(memo)},{postings}]"
    )
    return hashlib.sha256(text.encode()).digest() == tx_hash


def _optional(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _is_booked(postings: str, made: str) -> bool:
    """Whether a transaction's entries are its postings, netted."""
    legs: dict[tuple[str, str, str], int] = {}
    try:
        for debit_owner, debit, credit_owner, credit, currency, amount in decode_postings(postings):
            to, of = (debit_owner, debit, currency), (credit_owner, credit, currency)
            legs[to] = legs.get(to, 0) + amount
            legs[of] = legs.get(of, 0) - amount
    except msgspec.MsgspecError:
        return False
    entries = decode_entries(made)
    netted = {
        (account, code.partition("#")[0], currency): amount
        for account, code, currency, amount in entries
    }
    # Of an account that is kept in parts one is used: a second entry has no other's place.
    if len(netted) != len(entries):
        return False
    return netted == legs or netted == {leg: amount for leg, amount in legs.items() if amount}
