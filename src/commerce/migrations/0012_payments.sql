-- Payments in ssUSD, and what was given back of them.

CREATE TABLE payment (
    account                      text COLLATE "C" NOT NULL,
    livemode                     boolean          NOT NULL,
    id                           text COLLATE "C" NOT NULL,
    version                      bigint           NOT NULL,
    created                      bigint           NOT NULL,
    metadata                     jsonb            NOT NULL,
    amount                       bigint           NOT NULL,
    amount_captured              bigint           NOT NULL,
    amount_refunded              bigint           NOT NULL,
    currency                     text COLLATE "C" NOT NULL,
    status                       text COLLATE "C" NOT NULL,
    capture                      boolean          NOT NULL,
    captured                     boolean          NOT NULL,
    payment_method_payer         text COLLATE "C" NOT NULL,
    payment_method_wallet_address text COLLATE "C",
    next_action                  jsonb,
    customer                     text COLLATE "C",
    recipient                    text COLLATE "C",
    splits                       jsonb,
    application_fee_amount       bigint,
    application_fee_recipient    text COLLATE "C",
    application_fee_refunded     bigint,
    fees_processing_fee          bigint,
    net                          bigint,
    transaction_id               text COLLATE "C",
    transaction_tx_hash          bytea,
    refunds                      jsonb            NOT NULL,
    description                  text COLLATE "C",
    statement_descriptor         text COLLATE "C",
    receipt_email                text COLLATE "C",
    receipt_url                  text COLLATE "C",
    client_secret_hash           bytea,
    CHECK (amount > 0),
    CHECK (amount_captured BETWEEN 0 AND amount),
    CHECK (amount_refunded BETWEEN 0 AND amount_captured),
    CHECK ((recipient IS NULL) = (splits IS NOT NULL)),
    CHECK ((application_fee_amount IS NULL) = (application_fee_recipient IS NULL)),
    CHECK ((status = 'succeeded') = captured),
    CHECK ((status = 'succeeded') = (transaction_id IS NOT NULL)),
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX payment_created ON payment (account, livemode, created, id);

CREATE INDEX payment_customer
    ON payment (account, livemode, customer, created, id) WHERE customer IS NOT NULL;

CREATE INDEX payment_metadata ON payment
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';

CREATE TABLE refund (
    account             text COLLATE "C" NOT NULL,
    livemode            boolean          NOT NULL,
    id                  text COLLATE "C" NOT NULL,
    version             bigint           NOT NULL,
    created             bigint           NOT NULL,
    metadata            jsonb            NOT NULL,
    payment             text COLLATE "C" NOT NULL,
    amount              bigint           NOT NULL,
    currency            text COLLATE "C" NOT NULL,
    reason              text COLLATE "C",
    status              text COLLATE "C" NOT NULL,
    recipient           text COLLATE "C" NOT NULL,
    sources             jsonb            NOT NULL,
    transaction_id      text COLLATE "C",
    transaction_tx_hash bytea,
    CHECK (amount > 0),
    CHECK ((status = 'pending') <= (transaction_id IS NULL)),
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX refund_created ON refund (account, livemode, created, id);

CREATE INDEX refund_payment ON refund (account, livemode, payment, created, id);

CREATE INDEX refund_metadata ON refund
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
