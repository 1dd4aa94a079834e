-- Metadata is filtered by containment. Only objects that have some are in these indexes, so a
-- transfer without metadata costs nothing here; nouns that never have any get none.

CREATE INDEX stablecoin_reserve_deposit_metadata ON stablecoin_reserve_deposit
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';

CREATE INDEX stablecoin_issuance_metadata ON stablecoin_issuance
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';

CREATE INDEX stablecoin_transfer_metadata ON stablecoin_transfer
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';

CREATE INDEX stablecoin_redemption_metadata ON stablecoin_redemption
    USING gin (metadata jsonb_path_ops) WHERE metadata <> '{}';
