-- Rate limits: what the operator sets for an enterprise account, and what each account has used.

ALTER TABLE account
    ADD COLUMN rate_limit_rate  bigint,
    ADD COLUMN rate_limit_burst bigint,
    ADD COLUMN rate_limit_daily bigint;

-- Times are Unix nanoseconds of this database's clock. A bucket is the time at which it is full
-- again; what was asked for last stands beside it, since ON CONFLICT knows nothing but a row.
-- Rows are updated in place all the time, so their pages keep room for it.
CREATE TABLE rate_budget (
    account     text COLLATE "C" NOT NULL,
    livemode    boolean          NOT NULL,
    asked_at    bigint           NOT NULL,
    full_at     bigint           NOT NULL,
    used        bigint           NOT NULL,
    granted     bigint           NOT NULL,
    nanoseconds bigint           NOT NULL,
    burst       bigint           NOT NULL,
    daily       bigint,
    PRIMARY KEY (account, livemode)
) WITH (fillfactor = 50);
