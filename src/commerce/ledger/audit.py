"""The audit: the ledger's invariants, checked in SQL that shares nothing with the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from commerce.ledger.recount import wrong

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

Told = Callable[[float], None]
FINDINGS_MAX = 20
"""How many violations of each invariant are named."""
CHAIN = "every hash is that of what it stands for, and every block follows from the one before"
CHAIN_STEPS = 4
"""How much work that is beside the other invariants, about."""


class Invariant(NamedTuple):
    """A rule of the ledger, and the query that finds what breaks it."""

    name: str
    violations: str


INVARIANTS = (
    Invariant(
        "in every currency and mode, entries sum to zero",
        """SELECT livemode, currency, sum(amount) AS off FROM ledger_entry
           GROUP BY livemode, currency HAVING sum(amount) <> 0""",
    ),
    Invariant(
        "the entries of every transaction sum to zero",
        """SELECT livemode, transaction, currency, sum(amount) AS off FROM ledger_entry
           GROUP BY livemode, transaction, currency HAVING sum(amount) <> 0""",
    ),
    Invariant(
        "every balance is the sum of its entries",
        """SELECT b.account, b.livemode, b.code, b.currency, b.balance, e.total
           FROM ledger_balance b
           FULL JOIN (
               SELECT account, livemode, code, currency, sum(amount) AS total, count(*) AS entries
               FROM ledger_entry GROUP BY account, livemode, code, currency
           ) e USING (account, livemode, code, currency)
           WHERE b.code IS NULL
              OR b.balance <> CASE WHEN b.debit_normal THEN 1 ELSE -1 END * coalesce(e.total, 0)
              OR b.entries <> coalesce(e.entries, 0)""",
    ),
    Invariant(
        "each entry's balance follows from the one before",
        """SELECT account, livemode, code, currency, number FROM (
               SELECT e.*, CASE WHEN b.debit_normal THEN e.amount ELSE -e.amount END AS change,
                   lag(e.balance_after, 1, 0) OVER chain AS before,
                   row_number() OVER chain AS place
               FROM ledger_entry e JOIN ledger_balance b USING (account, livemode, code, currency)
               WINDOW chain AS (
                   PARTITION BY e.account, e.livemode, e.code, e.currency ORDER BY e.number
               )
           ) chained
           WHERE balance_after <> before + change OR number <> place""",
    ),
    Invariant(
        "the entries of every transaction are what its postings come to",
        """WITH told AS (
               SELECT t.livemode, t.id, leg.owner, leg.code, leg.currency, sum(leg.amount) AS amount
               FROM ledger_transaction t
               CROSS JOIN LATERAL json_array_elements(t.postings::json) p
               CROSS JOIN LATERAL (
                   VALUES (p->>0, p->>1, p->>4, (p->>5)::bigint),
                       (p->>2, p->>3, p->>4, -(p->>5)::bigint)
               ) leg (owner, code, currency, amount)
               GROUP BY t.livemode, t.id, leg.owner, leg.code, leg.currency
               HAVING sum(leg.amount) <> 0
           )
           SELECT coalesce(t.id, e.transaction) AS id, t.code, t.amount, e.amount AS entered
           FROM told t
           FULL JOIN (
               SELECT livemode, transaction, account, split_part(code, '#', 1) AS code, currency,
                   amount
               FROM ledger_entry
           ) e ON e.livemode = t.livemode AND e.transaction = t.id AND e.account = t.owner
               AND e.code = t.code AND e.currency = t.currency
           WHERE t.amount IS DISTINCT FROM e.amount""",
    ),
    Invariant(
        "the marks of every account never fall, and are those of its transactions",
        """SELECT e.account, e.livemode, e.code, e.number, e.mark, t.mark AS of_transaction
           FROM (
               SELECT *, lag(mark, 1, 0::bigint) OVER chain AS before
               FROM ledger_entry
               WINDOW chain AS (PARTITION BY account, livemode, code, currency ORDER BY number)
           ) e
           LEFT JOIN ledger_transaction t ON t.livemode = e.livemode AND t.id = e.transaction
           WHERE e.mark < e.before OR e.mark IS DISTINCT FROM t.mark
           UNION ALL
           SELECT b.account, b.livemode, b.code, b.entries, b.mark, e.mark
           FROM ledger_balance b
           LEFT JOIN ledger_entry e ON (e.account, e.livemode, e.code, e.currency, e.number)
               = (b.account, b.livemode, b.code, b.currency, b.entries)
           WHERE b.mark <> coalesce(e.mark, 0)""",
    ),
    Invariant(
        "no guarded account was ever below zero",
        """SELECT e.account, e.livemode, e.code, e.number, e.balance_after
           FROM ledger_entry e JOIN ledger_balance b USING (account, livemode, code, currency)
           WHERE b.guarded AND e.balance_after < 0""",
    ),
    Invariant(
        "cash in the reserves is what is owed in ssUSD",
        """SELECT livemode, sum(balance) FILTER (WHERE code LIKE 'reserves:cash%') AS cash,
               sum(balance) FILTER (WHERE code NOT LIKE 'reserves:cash%') AS owed
           FROM ledger_balance WHERE currency = 'ssusd' GROUP BY livemode
           HAVING coalesce(sum(balance) FILTER (WHERE code LIKE 'reserves:cash%'), 0)
               <> coalesce(sum(balance) FILTER (WHERE code NOT LIKE 'reserves:cash%'), 0)""",
    ),
    Invariant(
        "the meter of the supply is what wallets and fees hold",
        """SELECT b.livemode, c.used, sum(b.balance) AS held
           FROM ledger_balance b
           LEFT JOIN ledger_cap c ON c.account = 'network' AND c.livemode = b.livemode
               AND c.meter = 'stablecoin:supply'
           WHERE b.currency = 'ssusd' AND b.code NOT LIKE 'reserves:%'
               AND b.code NOT LIKE 'redemptions:%'
           GROUP BY b.livemode, c.used HAVING sum(b.balance) <> coalesce(c.used, 0)""",
    ),
    Invariant(
        "every transaction has entries, and every entry its transaction",
        """SELECT coalesce(t.id, e.transaction) AS id
           FROM ledger_transaction t
           FULL JOIN (SELECT DISTINCT livemode, transaction FROM ledger_entry) e
               ON e.livemode = t.livemode AND e.transaction = t.id
           WHERE t.id IS NULL OR e.transaction IS NULL""",
    ),
    Invariant(
        "every object that moves money has its transaction, and none is without its object",
        """WITH moved AS (
               SELECT account, livemode, id, 'issued' AS booking FROM stablecoin_issuance
               UNION ALL
               SELECT account, livemode, id, 'transferred' FROM stablecoin_transfer
               WHERE status = 'confirmed'
               UNION ALL
               SELECT account, livemode, id, 'scheduled' FROM stablecoin_transfer
               WHERE scheduled_at IS NOT NULL
               UNION ALL
               SELECT account, livemode, id, 'released' FROM stablecoin_transfer
               WHERE status IN ('cancelled', 'failed')
               UNION ALL
               SELECT account, livemode, id, 'burned' FROM stablecoin_redemption
               UNION ALL
               SELECT account, livemode, id, status FROM stablecoin_redemption
               WHERE status IN ('completed', 'failed', 'cancelled')
               UNION ALL
               SELECT account, livemode, id, 'verified' FROM stablecoin_reserve_deposit
               WHERE status = 'verified'
               UNION ALL
               SELECT account, livemode, id, 'adjusted:' || number
               FROM product CROSS JOIN LATERAL generate_series(1, adjustments) number
           )
           SELECT coalesce(m.id, t.source) AS source, coalesce(m.booking, t.booking) AS booking
           FROM moved m
           FULL JOIN ledger_transaction t
               ON t.account = m.account AND t.livemode = m.livemode
               AND t.source = m.id AND t.booking = m.booking
           WHERE m.id IS NULL OR t.id IS NULL""",
    ),
    Invariant(
        "what is set aside is what scheduled transfers will cost",
        """SELECT account, livemode, held, promised FROM (
               SELECT account, livemode, sum(balance) AS held FROM ledger_balance
               WHERE code LIKE 'wallet:%:locked' GROUP BY account, livemode
           ) b FULL JOIN (
               SELECT account, livemode, sum(amount + fees_network_fee) AS promised
               FROM stablecoin_transfer WHERE status = 'scheduled' GROUP BY account, livemode
           ) t USING (account, livemode)
           WHERE coalesce(held, 0) <> coalesce(promised, 0)""",
    ),
    Invariant(
        "the events of every object are numbered without a gap",
        """SELECT account, livemode, object_id, count(*) AS events, max(sequence) AS last
           FROM event GROUP BY account, livemode, object_id
           HAVING count(*) <> max(sequence) OR min(sequence) <> 1""",
    ),
)


class Report(NamedTuple):
    """What an audit found."""

    checked: int
    entries: int
    transactions: int
    blocks: int
    findings: list[str]

    @property
    def summary(self) -> str:
        """The result in one line."""
        result = "all hold" if not self.findings else f"{len(self.findings)} violations"
        return (
            f"{self.checked} invariants over {self.transactions} transactions,"
            f" {self.entries} entries and {self.blocks} blocks: {result}"
        )

    def as_dict(self) -> dict[str, object]:
        """The result for machines."""
        return {"ok": not self.findings, **self._asdict()}


async def audit(connection: Connection, told: Told = lambda _: None) -> Report:
    """Check every invariant in one snapshot, beside a server that goes on serving.

    `told` hears which part of the work is done, from 0 to 1, again and again.
    """
    findings: list[str] = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL transaction_timeout = 0")
        # Whole tables are joined here. Where nobody has analysed them since they were small, a
        # join row by row would be planned, and never end.
        await connection.execute("SET LOCAL enable_nestloop = off")
        entries, transactions, blocks = [
            int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
            for table in ("ledger_entry", "ledger_transaction", "ledger_block")
        ]
        steps = len(INVARIANTS) + CHAIN_STEPS
        for number, invariant in enumerate(INVARIANTS):
            told(number / steps)
            rows = await connection.fetch(f"{invariant.violations} LIMIT {FINDINGS_MAX}")
            findings += [f"{invariant.name}: {dict(row)}" for row in rows]
        findings += await _of_chain(
            connection,
            lambda looked: told((len(INVARIANTS) + CHAIN_STEPS * looked / transactions) / steps),
        )
    told(1)
    return Report(len(INVARIANTS) + 1, entries, transactions, blocks, findings)


async def _of_chain(connection: Connection, told: Told) -> list[str]:
    findings: list[str] = []
    looked = 0

    def count(more: int) -> None:
        nonlocal looked
        looked += more
        told(looked)

    async for finding in wrong(connection, count):
        findings.append(f"{CHAIN}: {finding}")
        if len(findings) == FINDINGS_MAX:
            break
    return findings
