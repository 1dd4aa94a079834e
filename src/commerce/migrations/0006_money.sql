-- Batches of transfers, scheduled transfers, the ends of redemptions, jobs, and who was paid.

ALTER TABLE stablecoin_transfer
    ALTER COLUMN transaction_id DROP NOT NULL,
    ALTER COLUMN transaction_tx_hash DROP NOT NULL,
    ADD COLUMN status       text COLLATE "C" NOT NULL DEFAULT 'confirmed',
    ADD COLUMN scheduled_at bigint,
    ADD COLUMN batch        text COLLATE "C",
    ADD COLUMN failure_code text COLLATE "C",
    ADD CHECK ((status = 'confirmed') <= (transaction_id IS NOT NULL));

ALTER TABLE stablecoin_transfer ALTER COLUMN status DROP DEFAULT;

CREATE INDEX stablecoin_transfer_batch
    ON stablecoin_transfer (account, livemode, batch, id) WHERE batch IS NOT NULL;

ALTER TABLE stablecoin_redemption ADD COLUMN failure_reason text COLLATE "C";

-- Who owns the recipient may read a transaction that another account caused. What was booked
-- stays as it was: this only says once more whose address the recipient is.
ALTER TABLE ledger_transaction
    ADD COLUMN payee text COLLATE "C",
    ADD COLUMN memo  text COLLATE "C";

ALTER TABLE ledger_transaction DISABLE TRIGGER append_only;

UPDATE ledger_transaction t SET payee = a.account
    FROM address a WHERE a.livemode = t.livemode AND a.address = t.recipient;

ALTER TABLE ledger_transaction ENABLE TRIGGER append_only;

CREATE INDEX ledger_transaction_payee
    ON ledger_transaction (payee, livemode, id) WHERE payee IS NOT NULL;

-- A job is a verb that is to run at a time; it is written with its cause and done with its effect.
CREATE TABLE job (
    account  text COLLATE "C" NOT NULL,
    livemode boolean          NOT NULL,
    task     text COLLATE "C" NOT NULL,
    subject  text COLLATE "C" NOT NULL,
    params   text COLLATE "C" NOT NULL,
    due_at   bigint,
    attempts bigint           NOT NULL,
    problem  text COLLATE "C",
    created  bigint           NOT NULL,
    PRIMARY KEY (account, livemode, task, subject)
);

CREATE INDEX job_due ON job (due_at) WHERE due_at IS NOT NULL;

-- The answer to a batch of hundreds is long, and squeezing it would cost more than to write it.
ALTER TABLE answer ALTER COLUMN body SET STORAGE EXTERNAL;
