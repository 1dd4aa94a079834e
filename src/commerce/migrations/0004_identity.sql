-- Connected accounts, and keys with money limits.

-- The account that this one is connected to: the same in both modes.
ALTER TABLE account ADD COLUMN parent text COLLATE "C";

CREATE INDEX account_parent ON account (parent, livemode, created, id) WHERE parent IS NOT NULL;

-- What a key may spend, and the meter that counts it: "<account>:<key>", the first key of a line.
ALTER TABLE api_key
    ADD COLUMN limits     jsonb,
    ADD COLUMN recipients jsonb,
    ADD COLUMN meter      text COLLATE "C";

-- Processes remember whose child an account is, and whether a key has limits, without asking
-- again. So neither ever changes.
CREATE FUNCTION fixed_when_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was fixed when the % was made never changes', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER fixed BEFORE UPDATE ON account
    FOR EACH ROW WHEN (OLD.parent IS DISTINCT FROM NEW.parent)
    EXECUTE FUNCTION fixed_when_made();

CREATE TRIGGER fixed BEFORE UPDATE ON api_key
    FOR EACH ROW WHEN (
        (OLD.type, OLD.scopes, OLD.limits, OLD.recipients, OLD.meter)
        IS DISTINCT FROM (NEW.type, NEW.scopes, NEW.limits, NEW.recipients, NEW.meter)
    )
    EXECUTE FUNCTION fixed_when_made();
