-- What the rules of connected accounts, keys and reserves need to know.

-- The first account of a line of connected ones: it is charged for the requests of all of them,
-- and none of them operates the reserves in a matter of another. As fixed as the parent is.
ALTER TABLE account ADD COLUMN root text COLLATE "C";

WITH RECURSIVE line AS (
    SELECT id, livemode, id AS root FROM account WHERE parent IS NULL
    UNION ALL
    SELECT a.id, a.livemode, line.root
    FROM account a JOIN line ON a.parent = line.id AND a.livemode = line.livemode
)
UPDATE account a SET root = line.root
FROM line WHERE a.id = line.id AND a.livemode = line.livemode AND a.parent IS NOT NULL;

ALTER TABLE account ADD CHECK ((parent IS NULL) = (root IS NULL));

DROP TRIGGER fixed ON account;

CREATE TRIGGER fixed BEFORE UPDATE ON account
    FOR EACH ROW WHEN ((OLD.parent, OLD.root) IS DISTINCT FROM (NEW.parent, NEW.root))
    EXECUTE FUNCTION fixed_when_made();

-- The deposit in which each payment to the bank was verified. Of a payment that was verified twice
-- before, the first deposit has it. In live mode there is one bank, the network's.
CREATE TABLE stablecoin_bank_payment (
    account   text COLLATE "C" NOT NULL,
    livemode  boolean          NOT NULL,
    reference text COLLATE "C" NOT NULL,
    deposit   text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, livemode, reference)
);

INSERT INTO stablecoin_bank_payment (account, livemode, reference, deposit)
SELECT CASE WHEN livemode THEN 'network' ELSE account END, livemode, plain, id
FROM stablecoin_reserve_deposit
CROSS JOIN LATERAL (SELECT lower(regexp_replace(bank_reference, '\s', '', 'g')) AS plain) p
WHERE status = 'verified' AND plain <> ''
ORDER BY verified_at, id
ON CONFLICT DO NOTHING;

-- Which key a key was rolled to, and the jobs that write down that keys have expired.
ALTER TABLE api_key ADD COLUMN replaced_by text COLLATE "C";

INSERT INTO job (account, livemode, task, subject, params, due_at, attempts, created)
SELECT account, livemode, 'api_key.expire', id || ':' || expires_at, '{"id":"' || id || '"}',
    expires_at, 0, created
FROM api_key WHERE status = 'active' AND expires_at IS NOT NULL;
