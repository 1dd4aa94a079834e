-- What the whole surface needs beyond the core.

-- A transaction's postings are kept as the very text that was hashed.
ALTER TABLE ledger_transaction
    ALTER COLUMN postings TYPE text COLLATE "C" USING postings::text;
