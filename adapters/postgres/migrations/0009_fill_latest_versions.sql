-- outside a transaction
-- Fills the columns of blueprints from before 0006 and 0007, in batches as in 0008. Versions are read while their
-- blueprints are locked: versions that were added before are read, and later inserts wait for the lock in the trigger.
DO $$
DECLARE
    batch    uuid[];
    unlocked uuid[];
BEGIN
    WHILE EXISTS (
        SELECT 1 FROM blueprints
        WHERE lower_name IS NULL OR latest_version IS NULL AND EXISTS (
            SELECT 1 FROM blueprint_versions WHERE blueprint_id = blueprints.id)
    ) LOOP
        FOR batch IN
            SELECT array_agg(id)
            FROM (SELECT id, row_number() OVER () / 500 AS number FROM blueprints
                  WHERE lower_name IS NULL OR latest_version IS NULL) numbered
            GROUP BY number
            ORDER BY number
        LOOP
            SELECT array_agg(id) INTO unlocked
            FROM (SELECT id FROM blueprints WHERE id = ANY (batch) FOR NO KEY UPDATE SKIP LOCKED) lockable;
            UPDATE blueprints
            SET latest_version = latest.version, changed_at = latest.created_at,
                lower_name = lower(name), lower_description = lower(description)
            FROM unnest(unlocked) AS unlocked_one (one)
            LEFT JOIN LATERAL (
                SELECT version, created_at FROM blueprint_versions WHERE blueprint_id = one
                ORDER BY version DESC LIMIT 1) latest ON true
            WHERE id = one;
            COMMIT;
        END LOOP;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$;
