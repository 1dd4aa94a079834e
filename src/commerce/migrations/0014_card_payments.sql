-- Payments by card, and what payments pay for. No number of a card stands in any table.

ALTER TABLE payment
    ADD COLUMN payment_method_type             text COLLATE "C" NOT NULL DEFAULT 'ssusd',
    ALTER COLUMN payment_method_payer DROP NOT NULL,
    ADD COLUMN payment_method_id               text COLLATE "C",
    ADD COLUMN payment_method_card_brand       text COLLATE "C",
    ADD COLUMN payment_method_card_last4       text COLLATE "C",
    ADD COLUMN payment_method_card_exp_month   bigint,
    ADD COLUMN payment_method_card_exp_year    bigint,
    ADD COLUMN payment_method_card_fingerprint text COLLATE "C",
    ADD COLUMN order_id                        text COLLATE "C",
    ADD COLUMN invoice                         text COLLATE "C",
    ADD COLUMN failure_code                    text COLLATE "C",
    ADD COLUMN failure_message                 text COLLATE "C",
    ADD COLUMN decline_code                    text COLLATE "C",
    ADD COLUMN processor_response_processor    text COLLATE "C",
    ADD COLUMN processor_response_reference    text COLLATE "C",
    ADD COLUMN processor_response_status       text COLLATE "C",
    ADD COLUMN unknown_since                   bigint,
    ADD COLUMN available_on                    bigint,
    ADD COLUMN source                          text COLLATE "C",
    ADD COLUMN unsettled                       jsonb,
    ADD CHECK ((payment_method_type = 'ssusd') = (payment_method_payer IS NOT NULL)),
    ADD CHECK ((payment_method_type = 'ssusd') = (currency = 'ssusd')),
    ADD CHECK ((payment_method_type = 'card') = (source IS NOT NULL)),
    ADD CHECK (payment_method_card_last4 ~ '^[0-9]{4}$'),
    ADD CHECK (livemode OR source !~ '[0-9]{12}'),
    ADD CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    ADD CHECK (unknown_since IS NULL OR status = 'processing'),
    ADD CHECK ((available_on IS NOT NULL) = (captured AND payment_method_type = 'card')),
    ADD CHECK (unsettled IS NULL OR available_on IS NOT NULL);

ALTER TABLE payment ALTER COLUMN payment_method_type DROP DEFAULT;

CREATE INDEX payment_order
    ON payment (account, livemode, order_id, created, id) WHERE order_id IS NOT NULL;

CREATE INDEX payment_invoice
    ON payment (account, livemode, invoice, created, id) WHERE invoice IS NOT NULL;
