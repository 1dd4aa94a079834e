"""The audit finds what nobody should ever find: each invariant, broken behind the ledger's back."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from commerce.engine.sealer import Sealer
from commerce.ledger.audit import CHAIN, FINDINGS_MAX, SWEPT, audit
from commerce.ledger.invariant import INVARIANTS
from commerce.ledger.recount import wrong
from commerce.store.database import Database
from commerce.store.embedded import EmbeddedPostgres
from tests.database import copied, migrated
from tests.engine.world import World

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

WALLET = "code LIKE 'wallet:%' AND balance > 0"
SPOILED = {
    "in every currency and mode, entries sum to zero": """
        UPDATE ledger_entry SET amount = amount + 1 WHERE code LIKE 'fees:%'
    """,
    "the entries of every transaction sum to zero": """
        UPDATE ledger_entry SET amount = amount + CASE number WHEN 1 THEN 1 ELSE -1 END
        WHERE code = (SELECT code FROM ledger_entry WHERE number = 2 AND code LIKE 'wallet:%'
                      LIMIT 1) AND number < 3
    """,
    "every balance is the sum of its entries": f"""
        UPDATE ledger_balance SET balance = balance + 1 WHERE {WALLET}
    """,
    "each entry's balance follows from the one before": """
        UPDATE ledger_entry SET balance_after = balance_after + 1
        WHERE code LIKE 'wallet:%' AND number = 1
    """,
    "no guarded account was ever below zero": """
        UPDATE ledger_entry SET balance_after = -1 WHERE code LIKE 'wallet:%' AND number = 1
    """,
    "cash in the reserves is what is owed in ssUSD": """
        UPDATE ledger_balance SET balance = balance + 1 WHERE code LIKE 'reserves:cash%'
    """,
    "the meter of the supply is what wallets and fees hold": """
        UPDATE ledger_cap SET used = used + 1 WHERE meter = 'stablecoin:supply'
    """,
    "every transaction has entries, and every entry its transaction": """
        DELETE FROM ledger_transaction WHERE type = 'transfer'
    """,
    "every object that moves money has its transaction, and none is without its object": """
        DELETE FROM stablecoin_transfer
    """,
    "what is set aside is what scheduled transfers and payments to capture will cost": """
        UPDATE stablecoin_transfer SET status = 'scheduled'
    """,
    "what a payment says was given back is what its refunds and its parties say": f"""
        INSERT INTO payment (account, livemode, id, version, created, metadata, amount,
            amount_captured, amount_refunded, currency, status, capture, captured,
            payment_method_type, payment_method_payer, recipient, refunds, transaction_id)
        SELECT account, livemode, 'pay_test_1', 1, 0, '{{}}', 2, 2, 1, 'ssusd', 'succeeded', true,
            true, 'ssusd', 'own', 'x', '[]', 'x'
        FROM ledger_balance WHERE {WALLET} LIMIT 1
    """,
    "what is pending in wallets is what their payments by card have unsettled": f"""
        UPDATE ledger_balance SET code = replace(code, ':available', ':pending') WHERE {WALLET}
    """,
    "what is owed to bank accounts is what payouts have not sent": f"""
        UPDATE ledger_balance SET code = 'payouts:payable', account = 'network', currency = 'usd'
        WHERE ctid = (SELECT ctid FROM ledger_balance WHERE {WALLET} LIMIT 1)
    """,
    "what is reserved of every product, and what has left, is what orders say": f"""
        INSERT INTO ledger_balance (account, livemode, code, currency, debit_normal, guarded,
            balance, entries, mark)
        SELECT account, livemode, 'stock:prod_test_1:reserved', 'unit:prod_test_1', false, true,
            1, 0, 0
        FROM ledger_balance WHERE {WALLET} LIMIT 1
    """,
    "what orders say was paid and not given back is what their payments say": f"""
        INSERT INTO sales_order (account, livemode, id, version, created, metadata, number, status,
            payment_status, currency, items, discounts, subtotal, discount_total, tax_total,
            shipping_total, total, amount_paid, amount_due, amount_refunded, escrow, payments,
            refunds, fulfillments, returns, expires_at, counted, given_back)
        SELECT account, livemode, 'ord_test_1', 1, 0, '{{}}', '1', 'paid', 'paid', 'ssusd', '[]',
            '[]', 2, 0, 0, 0, 2, 2, 0, 0, false, '[]', '[]', '[]', '[]', 0, '[]', '{{}}'
        FROM ledger_balance WHERE {WALLET} LIMIT 1
    """,
    "the events of every object are numbered without a gap": """
        UPDATE event SET sequence = 3 WHERE type = 'stablecoin.transferred'
    """,
    "the entries of every transaction are what its postings come to": """
        UPDATE ledger_transaction SET postings = '[]' WHERE type = 'transfer'
    """,
    "the marks of every account never fall, and are those of its transactions": """
        UPDATE ledger_entry SET mark = mark + 1 WHERE code LIKE 'fees:%'
    """,
    CHAIN: "UPDATE ledger_transaction SET tx_hash = sha256(tx_hash) WHERE type = 'transfer'",
}
TAMPERED = {
    "a row's amount": "UPDATE ledger_transaction SET amount = amount + 1",
    "a row's recipient": "UPDATE ledger_transaction SET recipient = 'x' WHERE type = 'transfer'",
    "a row's memo": "UPDATE ledger_transaction SET memo = 'Invoice 43'",
    "a row's postings": "UPDATE ledger_transaction SET postings = '{' WHERE type = 'transfer'",
    "what a posting is": "UPDATE ledger_transaction SET postings = '[[1]]' WHERE type = 'issue'",
    "a row's time": "UPDATE ledger_transaction SET created = created + 1",
    "a row and its hash": "UPDATE ledger_transaction SET tx_hash = sha256(tx_hash)",
    "a row that is gone": "DELETE FROM ledger_transaction WHERE type = 'transfer'",
    "an entry in two": """
        INSERT INTO ledger_entry
        SELECT e.account, e.livemode, e.code || '#7', e.currency, 1, e.transaction, 1, 0, e.mark
        FROM ledger_entry e WHERE e.code LIKE 'wallet:%' AND number = 1""",
    "an entry": "UPDATE ledger_entry SET amount = amount * 2, balance_after = balance_after * 2",
    "a balance": "UPDATE ledger_balance SET mark = mark + 1",
    "a block's time": "UPDATE ledger_block SET created = created + 1 WHERE height = 1",
    "a block's root": "UPDATE ledger_block SET merkle_root = sha256(merkle_root)",
    "a block's count": "UPDATE ledger_block SET transaction_count = transaction_count + 1",
    "a block's end": "UPDATE ledger_block SET until = until + 1000 WHERE height = 1",
    "a block's hash": "UPDATE ledger_block SET hash = sha256(hash) WHERE height = 1",
    "the last block's hash": "UPDATE ledger_block SET hash = sha256(hash) WHERE height = 2",
    "a block's link": "UPDATE ledger_block SET previous_hash = sha256(hash) WHERE height = 2",
    "a block that is gone": "DELETE FROM ledger_block WHERE height = 1",
    "the order of blocks": "UPDATE ledger_block SET height = height + 1 WHERE height = 2",
}


@pytest.fixture(scope="module")
async def sound(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The name of a database in which money has moved, and all is well."""
    async with migrated(postgres.url) as url:
        async with World(Database(url, pool_size=1)).running() as world:
            sealer = Sealer(world.store, world.now, [False])
            alice, bob = await world.open("100.00"), await world.open()
            for _ in range(2):
                await world.submit(world.transfer(alice, bob, "1.00"))
                await sealer.turn()
            await sealer._hang_up()
        await world.store.close()
        yield url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
async def sql(postgres: EmbeddedPostgres, sound: str) -> AsyncIterator["Connection"]:
    """A copy of it, and a line to it that no trigger guards."""
    async with copied(postgres.url, sound) as url:
        connection = await asyncpg.connect(url)
        await connection.execute("SET session_replication_role = replica")
        yield connection
        await connection.close()


async def test_a_sound_ledger_holds_them_all(sql: "Connection") -> None:
    report = await audit(sql)
    assert report.findings == []
    assert report.as_dict()["ok"] is True
    assert (report.checked, report.transactions, report.blocks) == (len(INVARIANTS) + 1, 4, 2)
    assert report.summary.endswith("all hold")


@pytest.mark.parametrize("invariant", SPOILED)
async def test_a_broken_invariant_is_found(sql: "Connection", invariant: str) -> None:
    assert await sql.execute(SPOILED[invariant]) not in ("UPDATE 0", "DELETE 0", "INSERT 0 0")
    report = await audit(sql)
    assert invariant in {finding.partition(": {")[0] for finding in report.findings}
    assert report.as_dict()["ok"] is False
    assert report.summary.endswith("violations")


def test_each_invariant_is_broken_by_one_of_these() -> None:
    assert set(SPOILED) == {invariant.name for invariant in INVARIANTS} | {CHAIN}


@pytest.mark.parametrize("what", TAMPERED)
async def test_whoever_tampers_with_the_ledger_is_found_out(sql: "Connection", what: str) -> None:
    assert await sql.execute(TAMPERED[what]) not in ("UPDATE 0", "DELETE 0", "INSERT 0 0")
    assert (await audit(sql)).findings


async def test_two_connections_find_what_one_finds(
    postgres: EmbeddedPostgres, sql: "Connection"
) -> None:
    name = await sql.fetchval("SELECT current_database()")
    beside = await asyncpg.connect(postgres.url.replace("/commerce?", f"/{name}?"))
    report = await audit(sql, beside=beside)
    assert (report.findings, report.entries) == ([], (await audit(sql)).entries)
    for spoiling in (*SPOILED.values(), *TAMPERED.values()):
        transaction = sql.transaction()
        await transaction.start()
        await sql.execute(spoiling)
        await transaction.commit()
    told: list[float] = []
    report = await audit(sql, told.append, beside=beside)
    assert report.findings == (await audit(sql)).findings
    assert told == sorted(told)
    assert not any(each.is_in_transaction() for each in (sql, beside))
    await sql.execute("DROP TABLE ledger_block")
    with pytest.raises(asyncpg.UndefinedTableError):
        await audit(sql, beside=beside)
    assert not any(each.is_in_transaction() for each in (sql, beside))
    await beside.close()


async def test_what_is_wrong_in_one_mode_is_told_apart(sql: "Connection") -> None:
    await sql.execute("""
        INSERT INTO ledger_balance VALUES
            ('a', true, 'c', 'ssusd', false, true, 7, 0, 0),
            ('b', false, 'c', 'ssusd', false, true, 7, 0, 0)
    """)
    report = await audit(sql)
    live = [finding for finding in report.findings if "'livemode': True" in finding]
    assert report.live == live
    assert 0 < len(live) < len(report.findings)


async def test_a_sweep_that_no_invariant_explains_says_so_itself(sql: "Connection") -> None:
    # The same transaction twice: of both together the entries are what the postings come to.
    await sql.execute("""
        INSERT INTO ledger_transaction
        SELECT t.* FROM ledger_transaction o, LATERAL (
            SELECT (jsonb_populate_record(o, '{"account": "x", "postings": "[]"}')).*
        ) t WHERE o.type = 'transfer' LIMIT 1
    """)
    report = await audit(sql)
    assert SWEPT["transactions"] in {finding.partition(": {")[0] for finding in report.findings}


async def test_the_progress_is_told_from_nothing_to_all(sql: "Connection") -> None:
    told: list[float] = []
    await audit(sql, told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)
    assert len(told) > len(INVARIANTS)
    assert max(told) == 1


CHAIN_BROKEN: dict[str, set[tuple[int, str]]] = {
    "a block's time": {(1, "hash"), (2, "created")},
    "a block's root": {(at, what) for at in (1, 2) for what in ("merkle_root", "hash")},
    "a block's count": {(at, what) for at in (1, 2) for what in ("transaction_count", "hash")},
    "a block's hash": {(1, "hash"), (2, "previous_hash")},
    "the last block's hash": {(2, "hash")},
    "a block's link": {(2, "previous_hash"), (2, "hash")},
    "a block that is gone": {
        (2, what) for what in ("height", "previous_hash", "transaction_count")
    },
    "the order of blocks": {(3, "height"), (3, "hash")},
}


@pytest.mark.parametrize("what", CHAIN_BROKEN)
async def test_what_is_wrong_with_a_block_is_named(sql: "Connection", what: str) -> None:
    await sql.execute(TAMPERED[what])
    async with sql.transaction():
        found = [each async for each in wrong(sql)]
    assert {each["livemode"] for each in found} == {False}
    assert {(each["block"], each["problem"]) for each in found} == CHAIN_BROKEN[what]
    counts = [each["found"] for each in found if each["problem"] == "transaction_count"]
    assert counts == {"a block's count": [3, 1], "a block that is gone": [4]}.get(what, [])


async def test_of_many_violations_the_first_are_named(sql: "Connection") -> None:
    await sql.execute("""
        INSERT INTO ledger_balance SELECT account, livemode, code || n, currency, debit_normal,
            guarded, 0, 1, 0 FROM ledger_balance, generate_series(1, 100) n WHERE code LIKE 'fees:%'
    """)
    assert len((await audit(sql)).findings) == FINDINGS_MAX


async def test_of_many_rows_that_were_changed_the_first_are_named(
    sql: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commerce.ledger.audit.FINDINGS_MAX", 1)
    await sql.execute(TAMPERED["a row and its hash"])
    found = (await audit(sql)).findings
    assert len([each for each in found if each.startswith(CHAIN)]) == 1


async def test_rows_are_looked_at_few_at_a_time(
    sql: "Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sweep", "recount"):
        monkeypatch.setattr(f"commerce.ledger.{module}.ROWS_AT_ONCE", 1)
    assert (await audit(sql)).findings == []
    await sql.execute(TAMPERED["a row and its hash"])
    assert (await audit(sql)).findings != []


async def test_the_audit_changes_nothing_and_leaves_the_line_usable(sql: "Connection") -> None:
    await audit(sql)
    assert await sql.fetchval("SHOW transaction_read_only") == "off"
    assert not sql.is_in_transaction()
