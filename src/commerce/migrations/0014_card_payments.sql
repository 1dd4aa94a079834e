-- Payments by card, and what payments pay for.

ALTER TABLE payment
    ALTER COLUMN payment_method_payer DROP NOT NULL,
    ADD COLUMN order_id text COLLATE "C",
    ADD COLUMN invoice  text COLLATE "C";

CREATE INDEX payment_order
    ON payment (account, livemode, order_id, created, id) WHERE order_id IS NOT NULL;

CREATE INDEX payment_invoice
    ON payment (account, livemode, invoice, created, id) WHERE invoice IS NOT NULL;
