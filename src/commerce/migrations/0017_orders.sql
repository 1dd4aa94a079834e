-- Orders, and what was sent of them.

CREATE TABLE sales_order (
    account          text COLLATE "C" NOT NULL,
    livemode         boolean          NOT NULL,
    id               text COLLATE "C" NOT NULL,
    version          bigint           NOT NULL,
    created          bigint           NOT NULL,
    metadata         jsonb            NOT NULL,
    number           text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL,
    payment_status   text COLLATE "C" NOT NULL,
    held_from        text COLLATE "C",
    customer         text COLLATE "C",
    currency         text COLLATE "C" NOT NULL,
    items            jsonb            NOT NULL,
    shipping_address jsonb,
    billing_address  jsonb,
    shipping         jsonb,
    discounts        jsonb            NOT NULL,
    tax              bigint,
    subtotal         bigint           NOT NULL,
    discount_total   bigint           NOT NULL,
    tax_total        bigint           NOT NULL,
    shipping_total   bigint           NOT NULL,
    total            bigint           NOT NULL,
    amount_paid      bigint           NOT NULL,
    amount_due       bigint           NOT NULL,
    amount_refunded  bigint           NOT NULL,
    escrow           boolean          NOT NULL,
    payments         jsonb            NOT NULL,
    refunds          jsonb            NOT NULL,
    fulfillments     jsonb            NOT NULL,
    returns          jsonb            NOT NULL,
    source           text COLLATE "C",
    notes            text COLLATE "C",
    hold_reason      text COLLATE "C",
    cancel_reason    text COLLATE "C",
    dispute_reason   text COLLATE "C",
    expires_at       bigint           NOT NULL,
    confirmed_at     bigint,
    paid_at          bigint,
    fulfilled_at     bigint,
    shipped_at       bigint,
    delivered_at     bigint,
    dispute_until    bigint,
    completed_at     bigint,
    cancelled_at     bigint,
    counted          jsonb            NOT NULL,
    given_back       jsonb            NOT NULL,
    under_way        text COLLATE "C",
    CHECK (subtotal >= 0 AND discount_total BETWEEN 0 AND subtotal),
    CHECK (tax_total >= 0 AND shipping_total >= 0),
    CHECK (total = subtotal - discount_total + tax_total + shipping_total),
    CHECK (amount_due BETWEEN 0 AND total),
    CHECK (amount_refunded BETWEEN 0 AND amount_paid),
    CHECK ((status = 'held') = (held_from IS NOT NULL)),
    PRIMARY KEY (account, livemode, id)
);

CREATE UNIQUE INDEX sales_order_number ON sales_order (account, livemode, number);

CREATE INDEX sales_order_created ON sales_order (account, livemode, created, id);

CREATE INDEX sales_order_customer
    ON sales_order (account, livemode, customer, created, id) WHERE customer IS NOT NULL;

CREATE INDEX sales_order_metadata ON sales_order
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';

CREATE TABLE fulfillment (
    account         text COLLATE "C" NOT NULL,
    livemode        boolean          NOT NULL,
    id              text COLLATE "C" NOT NULL,
    version         bigint           NOT NULL,
    created         bigint           NOT NULL,
    metadata        jsonb            NOT NULL,
    order_id        text COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL,
    items           jsonb            NOT NULL,
    carrier         text COLLATE "C",
    tracking_number text COLLATE "C",
    tracking_url    text COLLATE "C",
    notify_customer boolean          NOT NULL,
    shipped_at      bigint,
    counted         jsonb            NOT NULL,
    PRIMARY KEY (account, livemode, id)
);

CREATE INDEX fulfillment_created ON fulfillment (account, livemode, created, id);

CREATE INDEX fulfillment_order ON fulfillment (account, livemode, order_id, created, id);

CREATE INDEX fulfillment_metadata ON fulfillment
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';

CREATE TABLE order_draft (
    account  text COLLATE "C" NOT NULL,
    livemode boolean          NOT NULL,
    id       text COLLATE "C" NOT NULL,
    payment  text COLLATE "C",
    content  jsonb,
    customer jsonb,
    created  bigint           NOT NULL,
    PRIMARY KEY (account, livemode, id)
);
