-- Products. How many there are of each stands in the ledger alone.

CREATE TABLE product (
    account                       text COLLATE "C" NOT NULL,
    livemode                      boolean          NOT NULL,
    id                            text COLLATE "C" NOT NULL,
    version                       bigint           NOT NULL,
    created                       bigint           NOT NULL,
    metadata                      jsonb            NOT NULL,
    name                          text COLLATE "C" NOT NULL,
    sku                           text COLLATE "C",
    unit_price                    bigint           NOT NULL,
    currency                      text COLLATE "C" NOT NULL,
    tax_category                  text COLLATE "C",
    hs_code                       text COLLATE "C",
    country_of_origin             text COLLATE "C",
    weight_value                  text COLLATE "C",
    weight_unit                   text COLLATE "C",
    dimensions_length             text COLLATE "C",
    dimensions_width              text COLLATE "C",
    dimensions_height             text COLLATE "C",
    dimensions_unit               text COLLATE "C",
    inventory_tracked             boolean          NOT NULL,
    inventory_low_stock_threshold bigint,
    active                        boolean          NOT NULL,
    deleted                       boolean          NOT NULL,
    adjustments                   bigint           NOT NULL,
    CHECK (unit_price > 0),
    CHECK (adjustments >= 0),
    CHECK (NOT (deleted AND (active OR sku IS NOT NULL))),
    PRIMARY KEY (account, livemode, id)
);

CREATE UNIQUE INDEX product_sku ON product (account, livemode, sku);

CREATE INDEX product_created ON product (account, livemode, created, id);

CREATE INDEX product_metadata ON product
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
