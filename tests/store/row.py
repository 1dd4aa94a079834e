"""Rows of the product's own tables, and transactions around them, for tests of stores."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commerce.ledger.account import BALANCE
from commerce.ledger.entry import TRANSACTION
from commerce.store.session import Session, Store
from commerce.store.table import Index, Key, Row, Table, Writing

_numbers = itertools.count(1)
PLACE = BALANCE.names.index("balance")
BY_SOURCE = TRANSACTION.index("source", "booking")


def name() -> str:
    """A name not used before."""
    return f"name{next(_numbers):06}"


def balance(account: str, amount: int, code: str = "wallet") -> Row:
    """A balance of an account."""
    return (account, False, code, "ssusd", False, True, amount, 1, 0)


def balance_key(account: str, code: str = "wallet") -> Key:
    """The key of a balance."""
    return (account, False, code, "ssusd")


def address(text: str, account: str | None, *, blocked: bool = False) -> Row:
    """An address of the directory."""
    return (False, text, account, blocked)


def answer(account: str, key: str = "k", body: str = "{}") -> Row:
    """A remembered answer."""
    return (account, False, key, b"f", 201, None, body, None, None, 1)


def transaction(account: str, id_: str, source: str, amount: int = 1, created: int = 1) -> Row:
    """A transaction of the ledger."""
    head = (account, False, id_, 1, created, "{}", "transfer", "transferred", source, amount)
    return (*head, "ssusd", None, "to", "[]", bytes(32), None, None, 0)


def inserted(*rows: tuple[Table, Row], announcements: tuple[str, ...] = ()) -> Writing:
    """New rows."""
    inserts: dict[Table, list[Row]] = {}
    for table, row in rows:
        inserts.setdefault(table, []).append(row)
    return Writing(inserts, {}, announcements)


def updated(table: Table, *rows: Row) -> Writing:
    """Changed rows."""
    return Writing({}, {table: list(rows)}, ())


async def keep(store: Store, writing: Writing) -> int:
    """Write in a transaction of its own, and commit."""
    async with opened(store) as session:
        await session.begin()
        xid = await session.write(writing)
        await session.commit()
    return xid


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Session]:
    """A session that is closed afterwards."""
    session = await store.session()
    try:
        yield session
    finally:
        await session.close()


async def settle() -> None:
    """Let whoever waits go on as far as they get."""
    await asyncio.sleep(0.1)


async def amounts(store: Store, *accounts: str) -> list[int]:
    """The committed balances of accounts."""
    rows = await store.find(BALANCE.key, [balance_key(account) for account in accounts])
    return [row[PLACE] for row in rows]


async def locked(session: Session, index: Index, *keys: Key) -> list[Row]:
    """Rows, locked."""
    ((_, rows),) = await session.load({index: dict.fromkeys(keys, True)})
    return rows
