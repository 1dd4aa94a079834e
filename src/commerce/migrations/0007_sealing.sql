-- Blocks: which transactions are sealed, in which order, and how that is found again.

-- The ids of PostgreSQL's transactions begin anew in another cluster, where a logical restore may
-- put this database. An epoch is a stretch of time in which they only grow.
CREATE TABLE ledger_epoch (
    number            bigint NOT NULL,
    system_identifier bigint NOT NULL,
    began_at          bigint NOT NULL,
    PRIMARY KEY (number)
);

CREATE FUNCTION current_ledger_epoch() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    here bigint := (SELECT system_identifier FROM pg_control_system());
    last ledger_epoch;
BEGIN
    SELECT * INTO last FROM ledger_epoch ORDER BY number DESC LIMIT 1;
    IF last.system_identifier = here THEN
        RETURN last.number;
    END IF;
    INSERT INTO ledger_epoch (number, system_identifier, began_at)
    VALUES (coalesce(last.number, 0) + 1, here, extract(epoch FROM clock_timestamp()))
    ON CONFLICT DO NOTHING;
    RETURN coalesce(last.number, 0) + 1;
END
$$;

-- A restored database begins another epoch even where the cluster says nothing: what was given
-- after the backup was taken is given again.
CREATE FUNCTION begin_ledger_epoch() RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO ledger_epoch (number, system_identifier, began_at)
    SELECT coalesce(max(number), 0) + 1, (SELECT system_identifier FROM pg_control_system()),
        extract(epoch FROM clock_timestamp())
    FROM ledger_epoch
    RETURNING number
$$;

-- A mark is an epoch and a transaction id in one number. Whatever was booked on an account has a
-- mark at least as large as what was booked there before, so the part of an account's entries
-- that is below a mark is always its beginning. What is older than this migration is below all.
ALTER TABLE ledger_transaction
    ADD COLUMN mark bigint NOT NULL DEFAULT 0,
    DROP COLUMN xid;

ALTER TABLE ledger_transaction ALTER COLUMN mark DROP DEFAULT;

ALTER TABLE ledger_entry ADD COLUMN mark bigint NOT NULL DEFAULT 0;

ALTER TABLE ledger_entry ALTER COLUMN mark DROP DEFAULT;

ALTER TABLE ledger_balance ADD COLUMN mark bigint NOT NULL DEFAULT 0;

ALTER TABLE ledger_balance ALTER COLUMN mark DROP DEFAULT;

CREATE INDEX ledger_transaction_mark ON ledger_transaction (livemode, mark);

-- A block holds the transactions whose marks are below `until` and not below the last one's.
CREATE TABLE ledger_block (
    livemode          boolean NOT NULL,
    height            bigint  NOT NULL,
    created           bigint  NOT NULL,
    previous_hash     bytea   NOT NULL,
    merkle_root       bytea   NOT NULL,
    transaction_count bigint  NOT NULL,
    until             bigint  NOT NULL,
    hash              bytea   NOT NULL,
    CHECK (height > 0),
    CHECK (transaction_count > 0),
    CHECK (octet_length(previous_hash) = 32),
    CHECK (octet_length(merkle_root) = 32),
    CHECK (octet_length(hash) = 32),
    PRIMARY KEY (livemode, height)
);

CREATE UNIQUE INDEX ledger_block_until ON ledger_block (livemode, until);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_block
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
