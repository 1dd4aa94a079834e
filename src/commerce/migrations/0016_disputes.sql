-- Refunds to cards, and disputes.

ALTER TABLE refund
    ALTER COLUMN recipient DROP NOT NULL,
    ADD COLUMN failure_code                 text COLLATE "C",
    ADD COLUMN processor_response_processor text COLLATE "C",
    ADD COLUMN processor_response_reference text COLLATE "C",
    ADD COLUMN processor_response_status    text COLLATE "C",
    ADD COLUMN unknown_since                bigint,
    ADD COLUMN parts                        jsonb,
    DROP CONSTRAINT refund_check,
    ADD CHECK (recipient IS NULL OR (status = 'pending') <= (transaction_id IS NULL)),
    ADD CHECK ((recipient IS NULL) = (parts IS NOT NULL)),
    ADD CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    ADD CHECK (unknown_since IS NULL OR status = 'pending' AND transaction_id IS NOT NULL);

ALTER TABLE payment ADD COLUMN dispute text COLLATE "C";

CREATE TABLE dispute (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean          NOT NULL,
    id              text COLLATE "C" NOT NULL,
    version         bigint           NOT NULL,
    created         bigint           NOT NULL,
    metadata        jsonb            NOT NULL,
    amount          bigint           NOT NULL,
    currency        text COLLATE "C" NOT NULL,
    payment         text COLLATE "C" NOT NULL,
    reason          text COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL,
    evidence        jsonb            NOT NULL,
    evidence_due_by bigint           NOT NULL,
    submitted_at    bigint,
    closed_at       bigint,
    withdrawals     jsonb            NOT NULL,
    covered         bigint           NOT NULL,
    CHECK (amount > 0),
    CHECK (covered BETWEEN 0 AND amount),
    CHECK ((status IN ('won', 'lost')) = (closed_at IS NOT NULL)),
    CHECK ((status IN ('under_review', 'won')) <= (submitted_at IS NOT NULL)),
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX dispute_created ON dispute (account, livemode, created, id);

CREATE UNIQUE INDEX dispute_payment ON dispute (account, livemode, payment);

CREATE INDEX dispute_metadata ON dispute
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
