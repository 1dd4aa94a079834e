-- Customers. A deleted one keeps its id, and nothing of what was known of it.
CREATE TABLE customer (
    account        text COLLATE "C" NOT NULL,
    livemode       boolean          NOT NULL,
    id             text COLLATE "C" NOT NULL,
    version        bigint           NOT NULL,
    created        bigint           NOT NULL,
    metadata       jsonb            NOT NULL,
    email          text COLLATE "C",
    name           text COLLATE "C",
    phone          text COLLATE "C",
    address        jsonb,
    shipping       jsonb,
    tax_ids        jsonb            NOT NULL,
    wallet_address text COLLATE "C",
    deleted        boolean          NOT NULL,
    CHECK (NOT deleted OR (
        (email, name, phone, address, shipping, wallet_address) IS NULL
        AND tax_ids = '[]' AND metadata = '{}'
    )),
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX customer_created ON customer (account, livemode, created, id);

-- Customers are looked up by their addresses.
CREATE INDEX customer_email ON customer (account, livemode, email, created, id)
    WHERE email IS NOT NULL;

CREATE INDEX customer_metadata ON customer
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
