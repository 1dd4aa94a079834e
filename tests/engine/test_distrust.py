"""The database trusts nobody: what the engine would never write is refused when SQL tries it."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from commerce.engine.answers import ANSWER
from commerce.engine.outbox import EVENT
from commerce.ledger.account import BALANCE
from commerce.ledger.cap import CAP
from commerce.ledger.entry import ENTRY, TRANSACTION
from commerce.store.database import Database
from commerce.store.table import Row, Table
from tests.engine.world import World

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@pytest.fixture(scope="module")
async def funded(migrated_url: str) -> str:
    """A database in which money has moved."""
    async with World(Database(migrated_url, pool_size=1)).running() as world:
        alice, bob = await world.open("100.00"), await world.open()
        await world.submit(world.transfer(alice, bob, "1.00", "k"))
        await world.store.close()
    return migrated_url


@pytest.fixture
async def sql(funded: str) -> AsyncIterator["Connection"]:
    """A line to it for SQL of the test's own, all of which is undone."""
    connection = await asyncpg.connect(funded)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def insert(sql: "Connection", table: Table, *rows: Row) -> None:
    """Insert rows, in one statement."""
    marks = ", ".join(
        f"({', '.join(f'${at * len(table.names) + place}' for place in _places(table))})"
        for at in range(len(rows))
    )
    values = [value for row in rows for value in row]
    names = ", ".join(table.names)
    await sql.execute(f"INSERT INTO {table.name} ({names}) VALUES {marks}", *values)


def _places(table: Table) -> Sequence[int]:
    return range(1, len(table.names) + 1)


async def one(sql: "Connection", table: Table, where: str = "true") -> Row:
    """Some row that is there."""
    names = ", ".join(table.names)
    found = await sql.fetchrow(f"SELECT {names} FROM {table.name} WHERE {where} LIMIT 1")
    assert found is not None
    return tuple(found)


def changed(table: Table, row: Row, **values: Any) -> Row:
    """The row with other values in some columns."""
    return tuple(values.get(name, old) for name, old in zip(table.names, row, strict=True))


def entry(code: str, amount: int, transaction: str = "txn_x", currency: str = "ssusd") -> Row:
    return ("acct_x", False, code, currency, 1, transaction, amount, 0, 0)


async def test_entries_that_balance_are_taken(sql: "Connection") -> None:
    await insert(sql, ENTRY, entry("a", 5), entry("b", -3), entry("c", -2))


@pytest.mark.parametrize(
    "rows",
    [
        [entry("a", 5)],
        [entry("a", 5), entry("b", -4)],
        [entry("a", 5), entry("b", -5, "txn_y")],
        [entry("a", 5), entry("b", -5, currency="usd")],
        [entry("a", 5), entry("b", -5), entry("c", 1, "txn_y")],
    ],
)
async def test_entries_that_do_not_balance_are_refused(sql: "Connection", rows: list[Row]) -> None:
    with pytest.raises(asyncpg.RaiseError, match="do not balance"):
        await insert(sql, ENTRY, *rows)


async def test_entries_of_one_transaction_come_in_one_statement(sql: "Connection") -> None:
    """Otherwise the check, which sees one statement's rows, would see half of it."""
    with pytest.raises(asyncpg.RaiseError, match="do not balance"):
        await insert(sql, ENTRY, entry("a", 5))


async def test_an_entry_of_nothing_is_refused(sql: "Connection") -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(sql, ENTRY, entry("a", 0))


async def test_a_guarded_balance_below_zero_is_refused(sql: "Connection") -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await sql.execute("UPDATE ledger_balance SET balance = -1 WHERE guarded")


async def test_an_unguarded_balance_may_be_below_zero(sql: "Connection") -> None:
    mine = changed(BALANCE, await one(sql, BALANCE), code="free", guarded=False, balance=-1)
    await insert(sql, BALANCE, mine)


@pytest.mark.parametrize("window", ["day_used = day_cap + 1", "month_used = month_cap + 1"])
async def test_more_than_a_cap_is_refused(sql: "Connection", window: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await sql.execute(f"UPDATE {CAP.name} SET {window} WHERE day_cap IS NOT NULL")


@pytest.mark.parametrize("table", [ENTRY, TRANSACTION])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET amount = amount + 1",
        "UPDATE {} SET amount = amount WHERE false",
        "DELETE FROM {}",
        "DELETE FROM {} WHERE false",
        "TRUNCATE {}",
        "TRUNCATE {} CASCADE",
    ],
)
async def test_what_was_booked_is_never_changed(
    sql: "Connection", table: Table, statement: str
) -> None:
    with pytest.raises(asyncpg.RaiseError, match="only ever added"):
        await sql.execute(statement.format(table.name))


async def test_one_source_is_booked_once_under_each_name(sql: "Connection") -> None:
    again = changed(TRANSACTION, await one(sql, TRANSACTION), id="txn_again")
    await insert(sql, TRANSACTION, changed(TRANSACTION, again, booking="other", id="txn_other"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(sql, TRANSACTION, again)


@pytest.mark.parametrize(
    ("column", "value"), [("amount", 0), ("amount", -1), ("tx_hash", b"short")]
)
async def test_a_transaction_that_could_not_be_one_is_refused(
    sql: "Connection", column: str, value: object
) -> None:
    row = changed(TRANSACTION, await one(sql, TRANSACTION), id="txn_x", source="x")
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(sql, TRANSACTION, changed(TRANSACTION, row, **{column: value}))


async def test_a_key_has_one_answer(sql: "Connection") -> None:
    answer = await one(sql, ANSWER)
    await insert(sql, ANSWER, changed(ANSWER, answer, idempotency_key="other"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(sql, ANSWER, answer)


async def test_an_object_has_one_event_of_each_number(sql: "Connection") -> None:
    event = changed(EVENT, await one(sql, EVENT), id="evt_x")
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(sql, EVENT, event)


async def test_an_entry_has_its_number_once(sql: "Connection") -> None:
    there = await one(sql, ENTRY)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(sql, ENTRY, changed(ENTRY, there, transaction="txn_x"))
