-- Cards: what the test processor was asked. No number of a card stands in any table.

CREATE TABLE test_call (
    account  text COLLATE "C" NOT NULL,
    livemode boolean          NOT NULL,
    id       text COLLATE "C" NOT NULL,
    asked    text COLLATE "C" NOT NULL,
    verdict  text COLLATE "C",
    created  bigint           NOT NULL,
    CHECK (NOT livemode),
    PRIMARY KEY (account, livemode, id)
);

CREATE TABLE token (
    account          text COLLATE "C" NOT NULL,
    livemode         boolean          NOT NULL,
    id               text COLLATE "C" NOT NULL,
    version          bigint           NOT NULL,
    created          bigint           NOT NULL,
    metadata         jsonb            NOT NULL,
    card_brand       text COLLATE "C" NOT NULL,
    card_last4       text COLLATE "C" NOT NULL,
    card_exp_month   bigint           NOT NULL,
    card_exp_year    bigint           NOT NULL,
    card_fingerprint text COLLATE "C" NOT NULL,
    used             boolean          NOT NULL,
    expires_at       bigint           NOT NULL,
    source           text COLLATE "C" NOT NULL,
    CHECK (card_last4 ~ '^[0-9]{4}$'),
    CHECK (card_exp_month BETWEEN 1 AND 12),
    CHECK (livemode OR source !~ '[0-9]{12}'),
    PRIMARY KEY (account, livemode, id)
);

CREATE TABLE payment_method (
    account          text COLLATE "C" NOT NULL,
    livemode         boolean          NOT NULL,
    id               text COLLATE "C" NOT NULL,
    version          bigint           NOT NULL,
    created          bigint           NOT NULL,
    metadata         jsonb            NOT NULL,
    customer         text COLLATE "C" NOT NULL,
    card_brand       text COLLATE "C",
    card_last4       text COLLATE "C",
    card_exp_month   bigint,
    card_exp_year    bigint,
    card_fingerprint text COLLATE "C",
    status           text COLLATE "C" NOT NULL,
    failure_code     text COLLATE "C",
    unknown_since    bigint,
    deleted          boolean          NOT NULL,
    source           text COLLATE "C" NOT NULL,
    CHECK (card_last4 ~ '^[0-9]{4}$'),
    CHECK (livemode OR source !~ '[0-9]{12}'),
    CHECK ((status = 'detached') = deleted),
    CHECK (unknown_since IS NULL OR status = 'processing'),
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX payment_method_created ON payment_method (account, livemode, created, id);

CREATE INDEX payment_method_customer ON payment_method (account, livemode, customer, created, id);

CREATE INDEX payment_method_metadata ON payment_method
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
