-- The ledger, the directory, the events, the answers, and the nouns of identity and stablecoin.
--
-- Text is in "C" order: ids sort by time, and comparing bytes is cheap. Rows of counters are
-- updated all the time, so their pages keep room for it. The rules at the end are the database's
-- own: they share no code with the engine, which keeps them too.

CREATE TABLE address (
    livemode boolean          NOT NULL,
    address  text COLLATE "C" NOT NULL,
    account  text COLLATE "C",
    blocked  boolean          NOT NULL,
    PRIMARY KEY (livemode, address)
);

CREATE TABLE account (
    account      text COLLATE "C" NOT NULL,
    livemode     boolean          NOT NULL,
    id           text COLLATE "C" NOT NULL,
    version      bigint           NOT NULL,
    created      bigint           NOT NULL,
    metadata     jsonb            NOT NULL,
    name         text COLLATE "C",
    plan         text COLLATE "C" NOT NULL,
    verification text COLLATE "C" NOT NULL,
    capabilities jsonb            NOT NULL,
    wallet       text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, livemode, id)
);

CREATE TABLE api_key (
    account    text COLLATE "C" NOT NULL,
    livemode   boolean          NOT NULL,
    id         text COLLATE "C" NOT NULL,
    version    bigint           NOT NULL,
    created    bigint           NOT NULL,
    metadata   jsonb            NOT NULL,
    type       text COLLATE "C" NOT NULL,
    name       text COLLATE "C",
    scopes     jsonb            NOT NULL,
    redacted   text COLLATE "C" NOT NULL,
    status     text COLLATE "C" NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    hash       bytea            NOT NULL,
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX api_key_created ON api_key (account, livemode, created, id);

CREATE TABLE ledger_balance (
    account      text COLLATE "C" NOT NULL,
    livemode     boolean          NOT NULL,
    code         text COLLATE "C" NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    debit_normal boolean          NOT NULL,
    guarded      boolean          NOT NULL,
    balance      bigint           NOT NULL,
    entries      bigint           NOT NULL,
    CHECK (NOT guarded OR balance >= 0),
    CHECK (entries >= 0),
    PRIMARY KEY (account, livemode, code, currency)
) WITH (fillfactor = 70);

CREATE TABLE ledger_cap (
    account    text COLLATE "C" NOT NULL,
    livemode   boolean          NOT NULL,
    meter      text COLLATE "C" NOT NULL,
    day        text COLLATE "C" NOT NULL,
    day_used   bigint           NOT NULL,
    day_cap    bigint,
    month      text COLLATE "C" NOT NULL,
    month_used bigint           NOT NULL,
    month_cap  bigint,
    used       bigint           NOT NULL,
    cap        bigint,
    CHECK (day_cap IS NULL OR day_used <= day_cap),
    CHECK (month_cap IS NULL OR month_used <= month_cap),
    CHECK (cap IS NULL OR used <= cap),
    PRIMARY KEY (account, livemode, meter)
) WITH (fillfactor = 70);

CREATE TABLE ledger_transaction (
    account   text COLLATE "C" NOT NULL,
    livemode  boolean          NOT NULL,
    id        text COLLATE "C" NOT NULL,
    version   bigint           NOT NULL,
    created   bigint           NOT NULL,
    metadata  jsonb            NOT NULL,
    type      text COLLATE "C" NOT NULL,
    booking   text COLLATE "C" NOT NULL,
    source    text COLLATE "C" NOT NULL,
    amount    bigint           NOT NULL,
    currency  text COLLATE "C" NOT NULL,
    sender    text COLLATE "C",
    recipient text COLLATE "C",
    postings  jsonb            NOT NULL,
    tx_hash   bytea            NOT NULL,
    xid       xid8             NOT NULL DEFAULT pg_current_xact_id(),
    CHECK (amount > 0),
    CHECK (octet_length(tx_hash) = 32),
    PRIMARY KEY (account, livemode, id)
);

CREATE UNIQUE INDEX ledger_transaction_source
    ON ledger_transaction (account, livemode, source, booking);

CREATE TABLE ledger_entry (
    account       text COLLATE "C" NOT NULL,
    livemode      boolean          NOT NULL,
    code          text COLLATE "C" NOT NULL,
    currency      text COLLATE "C" NOT NULL,
    number        bigint           NOT NULL,
    transaction   text COLLATE "C" NOT NULL,
    amount        bigint           NOT NULL,
    balance_after bigint           NOT NULL,
    CHECK (number > 0),
    CHECK (amount <> 0),
    PRIMARY KEY (account, livemode, code, currency, number)
);

CREATE TABLE event (
    account                  text COLLATE "C" NOT NULL,
    livemode                 boolean          NOT NULL,
    id                       text COLLATE "C" NOT NULL,
    version                  bigint           NOT NULL,
    created                  bigint           NOT NULL,
    metadata                 jsonb            NOT NULL,
    type                     text COLLATE "C" NOT NULL,
    object_id                text COLLATE "C" NOT NULL,
    sequence                 bigint           NOT NULL,
    data_object              text COLLATE "C" NOT NULL,
    data_previous_attributes text COLLATE "C",
    request_id               text COLLATE "C",
    request_idempotency_key  text COLLATE "C",
    xid                      xid8             NOT NULL DEFAULT pg_current_xact_id(),
    CHECK (sequence > 0),
    PRIMARY KEY (account, livemode, id)
);

CREATE TABLE answer (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean          NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    fingerprint     bytea            NOT NULL,
    status          smallint         NOT NULL,
    event           text COLLATE "C",
    body            text COLLATE "C",
    sealed          bytea,
    object_id       text COLLATE "C",
    created         bigint           NOT NULL,
    PRIMARY KEY (account, livemode, idempotency_key)
);

CREATE TABLE stablecoin_reserve_deposit (
    account        text COLLATE "C" NOT NULL,
    livemode       boolean          NOT NULL,
    id             text COLLATE "C" NOT NULL,
    version        bigint           NOT NULL,
    created        bigint           NOT NULL,
    metadata       jsonb            NOT NULL,
    amount         bigint           NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    type           text COLLATE "C" NOT NULL,
    bank_reference text COLLATE "C",
    status         text COLLATE "C" NOT NULL,
    verified_at    bigint,
    CHECK (amount > 0),
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX stablecoin_reserve_deposit_created
    ON stablecoin_reserve_deposit (account, livemode, created, id);

CREATE TABLE stablecoin_issuance (
    account                text COLLATE "C" NOT NULL,
    livemode               boolean          NOT NULL,
    id                     text COLLATE "C" NOT NULL,
    version                bigint           NOT NULL,
    created                bigint           NOT NULL,
    metadata               jsonb            NOT NULL,
    amount                 bigint           NOT NULL,
    currency               text COLLATE "C" NOT NULL,
    recipient              text COLLATE "C" NOT NULL,
    reference_id           text COLLATE "C" NOT NULL,
    purpose                text COLLATE "C" NOT NULL,
    memo                   text COLLATE "C",
    source_type            text COLLATE "C" NOT NULL,
    source_deposit         text COLLATE "C" NOT NULL,
    source_named           boolean          NOT NULL,
    compliance_kyc_verified boolean,
    compliance_aml_check_id text COLLATE "C",
    transaction_id         text COLLATE "C" NOT NULL,
    transaction_tx_hash    bytea            NOT NULL,
    reserve_total_supply   bigint           NOT NULL,
    reserve_total_reserves bigint           NOT NULL,
    CHECK (amount > 0),
    PRIMARY KEY (account, livemode, id)
);

CREATE UNIQUE INDEX stablecoin_issuance_reference_id
    ON stablecoin_issuance (account, livemode, reference_id);

CREATE INDEX stablecoin_issuance_created ON stablecoin_issuance (account, livemode, created, id);

CREATE TABLE stablecoin_transfer (
    account             text COLLATE "C" NOT NULL,
    livemode            boolean          NOT NULL,
    id                  text COLLATE "C" NOT NULL,
    version             bigint           NOT NULL,
    created             bigint           NOT NULL,
    metadata            jsonb            NOT NULL,
    amount              bigint           NOT NULL,
    currency            text COLLATE "C" NOT NULL,
    sender              text COLLATE "C" NOT NULL,
    recipient           text COLLATE "C" NOT NULL,
    memo                text COLLATE "C",
    priority            text COLLATE "C" NOT NULL,
    fees_network_fee    bigint           NOT NULL,
    balance_after       bigint           NOT NULL,
    transaction_id      text COLLATE "C" NOT NULL,
    transaction_tx_hash bytea            NOT NULL,
    CHECK (amount > 0),
    PRIMARY KEY (account, livemode, id)
);

CREATE TABLE stablecoin_redemption (
    account                      text COLLATE "C" NOT NULL,
    livemode                     boolean          NOT NULL,
    id                           text COLLATE "C" NOT NULL,
    version                      bigint           NOT NULL,
    created                      bigint           NOT NULL,
    metadata                     jsonb            NOT NULL,
    amount                       bigint           NOT NULL,
    currency                     text COLLATE "C" NOT NULL,
    sender                       text COLLATE "C" NOT NULL,
    reference_id                 text COLLATE "C" NOT NULL,
    destination_type             text COLLATE "C" NOT NULL,
    destination_account_number   text COLLATE "C",
    destination_routing_number   text COLLATE "C",
    destination_swift_code       text COLLATE "C",
    destination_iban             text COLLATE "C",
    destination_bank_name        text COLLATE "C",
    destination_beneficiary_name text COLLATE "C",
    fiat_currency                text COLLATE "C" NOT NULL,
    status                       text COLLATE "C" NOT NULL,
    estimated_arrival            text COLLATE "C" NOT NULL,
    completed_at                 bigint,
    purpose                      text COLLATE "C",
    source_of_funds              text COLLATE "C",
    tx_hash                      bytea            NOT NULL,
    transaction_id               text COLLATE "C" NOT NULL,
    transaction_tx_hash          bytea            NOT NULL,
    terms                        bytea            NOT NULL,
    CHECK (amount > 0),
    PRIMARY KEY (account, livemode, id)
);

CREATE UNIQUE INDEX stablecoin_redemption_reference_id
    ON stablecoin_redemption (account, livemode, reference_id);

CREATE INDEX stablecoin_redemption_created
    ON stablecoin_redemption (account, livemode, created, id);

CREATE UNIQUE INDEX api_key_hash ON api_key (hash);

CREATE UNIQUE INDEX event_object ON event (account, livemode, object_id, sequence);

-- The fingerprint of the master key that sealed what is sealed here: one row.
CREATE TABLE master_key (
    single      boolean NOT NULL DEFAULT true,
    fingerprint bytea   NOT NULL,
    CHECK (single),
    PRIMARY KEY (single)
);

-- Each transaction's entries sum to zero in each currency. They arrive in one statement, so the
-- check runs once a statement, over what the statement inserted.
CREATE FUNCTION ledger_entry_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM inserted GROUP BY livemode, transaction, currency HAVING sum(amount) <> 0
    ) THEN
        RAISE EXCEPTION 'ledger entries of a transaction do not balance';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER balanced AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entry_balanced();

-- What was booked is never changed: a correction is a new transaction.
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
