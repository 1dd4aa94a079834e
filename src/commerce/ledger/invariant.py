"""The ledger's invariants, each as the query that finds what breaks it, in SQL alone."""

from __future__ import annotations

from typing import Literal, NamedTuple

Sweep = Literal["accounts", "transactions"]
"""A pass over all entries that sees whether any of several invariants is broken, not which."""


class Invariant(NamedTuple):
    """A rule of the ledger, and the query that finds what breaks it."""

    name: str
    violations: str
    seen_by: tuple[Sweep, ...] = ()
    """The sweeps of which one finds something whenever this query would: it is run only then."""


INVARIANTS = (
    Invariant(
        "in every currency and mode, entries sum to zero",
        """SELECT livemode, currency, sum(amount) AS off FROM ledger_entry
           GROUP BY livemode, currency HAVING sum(amount) <> 0""",
        ("transactions",),
    ),
    Invariant(
        "the entries of every transaction sum to zero",
        """SELECT livemode, transaction, currency, sum(amount) AS off FROM ledger_entry
           GROUP BY livemode, transaction, currency HAVING sum(amount) <> 0""",
        ("transactions",),
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
        ("accounts",),
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
        ("accounts",),
    ),
    Invariant(
        "the entries of every transaction are what its postings come to",
        """WITH told AS (
               SELECT t.livemode, t.id AS transaction, leg.owner AS account, leg.code, leg.currency,
                   sum(leg.amount) AS amount
               FROM ledger_transaction t
               CROSS JOIN LATERAL json_array_elements(
                   CASE WHEN t.postings IS JSON ARRAY THEN t.postings::json END
               ) p
               CROSS JOIN LATERAL (
                   VALUES (p->>0, p->>1, p->>4, (p->>5)::bigint),
                       (p->>2, p->>3, p->>4, -(p->>5)::bigint)
               ) leg (owner, code, currency, amount)
               GROUP BY t.livemode, t.id, leg.owner, leg.code, leg.currency
               HAVING sum(leg.amount) <> 0
           )
           SELECT livemode, transaction, account, code, t.amount, e.amount AS entered
           FROM told t
           FULL JOIN (
               SELECT livemode, transaction, account, split_part(code, '#', 1) AS code, currency,
                   amount
               FROM ledger_entry
           ) e USING (livemode, transaction, account, code, currency)
           WHERE t.amount IS DISTINCT FROM e.amount""",
        ("transactions",),
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
        ("accounts", "transactions"),
    ),
    Invariant(
        "no guarded account was ever below zero",
        """SELECT e.account, e.livemode, e.code, e.number, e.balance_after
           FROM ledger_entry e JOIN ledger_balance b USING (account, livemode, code, currency)
           WHERE b.guarded AND e.balance_after < 0""",
        ("accounts",),
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
        """SELECT coalesce(t.livemode, e.livemode) AS livemode,
               coalesce(t.id, e.transaction) AS id
           FROM ledger_transaction t
           FULL JOIN (SELECT DISTINCT livemode, transaction FROM ledger_entry) e
               ON e.livemode = t.livemode AND e.transaction = t.id
           WHERE t.id IS NULL OR e.transaction IS NULL""",
        ("transactions",),
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
               SELECT account, livemode, id, 'withdrawn' FROM payout
               UNION ALL
               SELECT account, livemode, id, CASE status WHEN 'paid' THEN 'sent' ELSE status END
               FROM payout WHERE status <> 'pending'
               UNION ALL
               SELECT account, livemode, id, 'adjusted:' || number
               FROM product CROSS JOIN LATERAL generate_series(1, adjustments) number
               UNION ALL
               SELECT account, livemode, id, 'shipped:' || product
               FROM fulfillment CROSS JOIN LATERAL jsonb_array_elements_text(counted) product
               UNION ALL
               SELECT t.account, t.livemode, t.source, t.booking
               FROM ledger_transaction t JOIN sales_order o
                   ON (o.account, o.livemode, o.id) = (t.account, t.livemode, t.source)
               UNION ALL
               SELECT t.account, t.livemode, t.source, t.booking
               FROM ledger_transaction t JOIN order_draft d
                   ON (d.account, d.livemode, d.id) = (t.account, t.livemode, t.source)
               UNION ALL
               SELECT a.account, p.livemode, p.id, b.booking
               FROM payment p
               JOIN address a
                   ON a.livemode = p.livemode AND a.address = p.payment_method_wallet_address
               CROSS JOIN LATERAL (
                   SELECT 'paid' WHERE p.captured
                   UNION ALL
                   SELECT 'paid:' || place
                   FROM jsonb_array_elements(p.splits) WITH ORDINALITY s (split, place)
                   WHERE split->>'transaction' <> p.transaction_id
                   UNION ALL
                   SELECT 'application_fee'
                   WHERE p.captured AND p.application_fee_amount > 0
                       AND (NOT p.capture
                           OR p.application_fee_recipient <> p.payment_method_wallet_address)
                   UNION ALL
                   SELECT 'held' WHERE NOT p.capture
                   UNION ALL
                   SELECT 'released' WHERE NOT p.capture
                       AND (p.status = 'canceled' OR p.captured AND p.amount_captured < p.amount)
               ) b (booking)
               UNION ALL
               SELECT p.account, p.livemode, p.id, b.booking
               FROM payment p
               CROSS JOIN LATERAL (
                   SELECT 'paid' WHERE p.captured
                   UNION ALL
                   SELECT 'paid:' || place
                   FROM jsonb_array_elements(p.splits) WITH ORDINALITY s (split, place)
                   WHERE split->>'transaction' <> p.transaction_id
                   UNION ALL
                   SELECT 'application_fee' WHERE p.captured AND p.application_fee_amount > 0
                   UNION ALL
                   SELECT 'settled' WHERE p.captured AND p.unsettled IS NULL
               ) b (booking)
               WHERE p.payment_method_type = 'card'
               UNION ALL
               SELECT a.account, r.livemode, r.id, 'refunded:' || place
               FROM refund r
               CROSS JOIN LATERAL
                   jsonb_array_elements(r.sources) WITH ORDINALITY s (source, place)
               JOIN address a ON a.livemode = r.livemode AND a.address = source->>'wallet'
               WHERE r.status = 'succeeded' AND source->>'wallet' <> r.recipient
               UNION ALL
               SELECT a.account, r.livemode, r.id, verb || ':' || place
               FROM refund r
               CROSS JOIN LATERAL
                   jsonb_array_elements(r.sources) WITH ORDINALITY s (source, place)
               JOIN address a ON a.livemode = r.livemode AND a.address = source->>'wallet'
               CROSS JOIN LATERAL (
                   SELECT 'refunded' UNION ALL SELECT 'restored' WHERE r.status = 'failed'
               ) b (verb)
               WHERE r.recipient IS NULL AND source->>'transaction' IS NOT NULL
               UNION ALL
               SELECT a.account, d.livemode, d.id, verb || ':' || place
               FROM dispute d
               CROSS JOIN LATERAL
                   jsonb_array_elements(d.withdrawals) WITH ORDINALITY w (withdrawal, place)
               JOIN address a ON a.livemode = d.livemode AND a.address = withdrawal->>'wallet'
               CROSS JOIN LATERAL (
                   SELECT 'disputed' UNION ALL SELECT 'reinstated' WHERE d.status = 'won'
               ) b (verb)
               WHERE withdrawal->>'transaction' IS NOT NULL
               UNION ALL
               SELECT account, livemode, id, verb
               FROM dispute d
               CROSS JOIN LATERAL (
                   SELECT 'covered' UNION ALL SELECT 'recovered' WHERE d.status = 'won'
               ) b (verb)
               WHERE d.covered > 0
           )
           SELECT coalesce(m.livemode, t.livemode) AS livemode,
               coalesce(m.id, t.source) AS source, coalesce(m.booking, t.booking) AS booking
           FROM moved m
           FULL JOIN ledger_transaction t
               ON t.account = m.account AND t.livemode = m.livemode
               AND t.source = m.id AND t.booking = m.booking
           WHERE t.id IS NULL OR m.id IS NULL AND t.booking NOT LIKE 'settled:%'""",
    ),
    Invariant(
        "what is set aside is what scheduled transfers and payments to capture will cost",
        """SELECT account, livemode, held, promised FROM (
               SELECT account, livemode, sum(balance) AS held FROM ledger_balance
               WHERE code LIKE 'wallet:%:locked' GROUP BY account, livemode
           ) b FULL JOIN (
               SELECT account, livemode, sum(cost) AS promised FROM (
                   SELECT account, livemode, amount + fees_network_fee AS cost
                   FROM stablecoin_transfer WHERE status = 'scheduled'
                   UNION ALL
                   SELECT a.account, p.livemode, p.amount
                   FROM payment p
                   JOIN address a
                       ON a.livemode = p.livemode AND a.address = p.payment_method_wallet_address
                   WHERE p.status = 'requires_capture'
               ) costs GROUP BY account, livemode
           ) t USING (account, livemode)
           WHERE coalesce(held, 0) <> coalesce(promised, 0)""",
    ),
    Invariant(
        "what is owed to bank accounts is what payouts have not sent",
        """SELECT livemode, currency, owed, promised FROM (
               SELECT livemode, currency, sum(balance) AS owed FROM ledger_balance
               WHERE code = 'payouts:payable' GROUP BY livemode, currency
           ) b FULL JOIN (
               SELECT livemode, currency, sum(amount) AS promised FROM payout
               WHERE status = 'pending' GROUP BY livemode, currency
           ) p USING (livemode, currency)
           WHERE coalesce(owed, 0) <> coalesce(promised, 0)""",
    ),
    Invariant(
        "what a payment says was given back is what its refunds and its parties say",
        """SELECT p.account, p.livemode, p.id, p.amount_refunded, r.total, s.parts
           FROM payment p
           LEFT JOIN (
               SELECT account, livemode, payment, sum(amount) AS total
               FROM refund WHERE status <> 'failed' GROUP BY account, livemode, payment
           ) r ON (r.account, r.livemode, r.payment) = (p.account, p.livemode, p.id)
           LEFT JOIN LATERAL (
               SELECT sum((each->>'amount')::numeric) AS whole,
                   sum((each->>'amount_refunded')::numeric) AS parts
               FROM jsonb_array_elements(p.splits) each
           ) s ON p.splits IS NOT NULL
           WHERE p.amount_refunded <> coalesce(r.total, 0)
               OR (p.amount_refunded - coalesce(p.application_fee_refunded, 0)) * s.whole
                   <> s.parts * p.amount""",
    ),
    Invariant(
        "what is pending in wallets is what their payments by card have unsettled",
        """SELECT livemode, address, currency, held, promised FROM (
               SELECT livemode, split_part(code, ':', 2) AS address, currency,
                   sum(balance) AS held
               FROM ledger_balance WHERE code LIKE 'wallet:%:pending'
               GROUP BY livemode, address, currency
           ) b FULL JOIN (
               SELECT p.livemode, each->>'wallet' AS address, p.currency,
                   sum((each->>'amount')::bigint) AS promised
               FROM payment p CROSS JOIN LATERAL jsonb_array_elements(p.unsettled) each
               WHERE p.unsettled IS NOT NULL GROUP BY p.livemode, address, p.currency
           ) t USING (livemode, address, currency)
           WHERE coalesce(held, 0) <> coalesce(promised, 0)""",
    ),
    Invariant(
        "what is reserved of every product, and what has left, is what orders say",
        """WITH told AS (
               SELECT account, livemode, item->>'product' AS product,
                   sum(CASE WHEN status NOT IN ('cancelled', 'refunded') THEN
                       (item->>'quantity')::bigint - (item->>'quantity_fulfilled')::bigint
                   END) AS reserved,
                   sum((item->>'quantity_fulfilled')::bigint - (item->>'quantity_returned')::bigint)
                       AS shipped
               FROM (
                   SELECT account, livemode, status, items, counted FROM sales_order
                   UNION ALL
                   SELECT account, livemode, 'pending', (content->>'items')::jsonb,
                       (content->>'counted')::jsonb
                   FROM order_draft WHERE content IS NOT NULL
               ) asked CROSS JOIN LATERAL jsonb_array_elements(items) item
               WHERE counted ? (item->>'id')
               GROUP BY account, livemode, item->>'product'
           ), held AS (
               SELECT account, livemode, split_part(code, ':', 2) AS product,
                   sum(balance) FILTER (WHERE code LIKE '%:reserved') AS reserved,
                   sum(balance) FILTER (WHERE code LIKE '%:shipped') AS shipped
               FROM ledger_balance WHERE code LIKE 'stock:%:%'
               GROUP BY account, livemode, product
           )
           SELECT account, livemode, product, held.reserved, told.reserved AS reserved_for_orders,
               held.shipped, told.shipped AS shipped_of_orders
           FROM told FULL JOIN held USING (account, livemode, product)
           WHERE coalesce(held.reserved, 0) <> coalesce(told.reserved, 0)
               OR coalesce(held.shipped, 0) <> coalesce(told.shipped, 0)""",
    ),
    Invariant(
        "what orders say was paid and not given back is what their payments say",
        """SELECT o.account, o.livemode, o.id, o.amount_paid, o.amount_refunded, p.captured, p.given
           FROM sales_order o
           LEFT JOIN (
               SELECT account, livemode, order_id, sum(amount_captured) AS captured,
                   sum(amount_refunded) AS given, sum(asked) AS asked
               FROM payment LEFT JOIN (
                   SELECT account, livemode, payment AS id, sum(amount) AS asked
                   FROM refund WHERE status = 'pending' GROUP BY account, livemode, payment
               ) waiting USING (account, livemode, id)
               WHERE order_id IS NOT NULL GROUP BY account, livemode, order_id
           ) p ON (p.account, p.livemode, p.order_id) = (o.account, o.livemode, o.id)
           WHERE o.payment_status <> 'escrowed' AND o.amount_paid - o.amount_refunded
               NOT BETWEEN coalesce(p.captured, 0) - coalesce(p.given, 0)
                   AND coalesce(p.captured, 0) - coalesce(p.given, 0) + coalesce(p.asked, 0)""",
    ),
    Invariant(
        "the events of every object are numbered without a gap",
        """SELECT account, livemode, object_id, count(*) AS events, max(sequence) AS last
           FROM event GROUP BY account, livemode, object_id
           HAVING count(*) <> max(sequence) OR min(sequence) <> 1""",
    ),
)
