-- Payouts: money of a wallet, sent to a bank account.

CREATE TABLE payout (
    account                     text COLLATE "C" NOT NULL,
    livemode                    boolean          NOT NULL,
    id                          text COLLATE "C" NOT NULL,
    version                     bigint           NOT NULL,
    created                     bigint           NOT NULL,
    metadata                    jsonb            NOT NULL,
    amount                      bigint           NOT NULL,
    currency                    text COLLATE "C" NOT NULL,
    destination_type            text COLLATE "C" NOT NULL,
    destination_account_number  text COLLATE "C",
    destination_routing_number  text COLLATE "C",
    destination_swift_code      text COLLATE "C",
    destination_iban            text COLLATE "C",
    destination_bank_name       text COLLATE "C",
    destination_beneficiary_name text COLLATE "C",
    status                      text COLLATE "C" NOT NULL,
    estimated_arrival           text COLLATE "C" NOT NULL,
    paid_at                     bigint,
    failure_reason              text COLLATE "C",
    transaction_id              text COLLATE "C" NOT NULL,
    transaction_tx_hash         bytea            NOT NULL,
    CHECK (amount > 0),
    CHECK (currency <> 'ssusd'),
    CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX payout_created ON payout (account, livemode, created, id);

CREATE INDEX payout_metadata ON payout
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
