-- outside a transaction
-- Fills the image type of builds from before 0005: those that lists show, and one more day, in the order in which they
-- are stored. Batches are small and skip locked rows, so that no transaction waits while it holds locks. Skipped rows
-- are filled in the next round.
DO $$
DECLARE
    since    CONSTANT timestamp := (now() AT TIME ZONE 'utc') - interval '15 days';
    batch    uuid[];
    unlocked uuid[];
BEGIN
    WHILE EXISTS (SELECT 1 FROM composes WHERE image_type IS NULL AND created_at >= since) LOOP
        FOR batch IN
            SELECT array_agg(job_id)
            FROM (SELECT job_id, row_number() OVER () / 500 AS number FROM composes
                  WHERE image_type IS NULL AND created_at >= since) numbered
            GROUP BY number
            ORDER BY number
        LOOP
            SELECT array_agg(job_id) INTO unlocked
            FROM (SELECT job_id FROM composes WHERE job_id = ANY (batch) AND image_type IS NULL
                  FOR NO KEY UPDATE SKIP LOCKED) lockable;
            UPDATE composes SET image_type = left(COALESCE(request #>> '{image_requests,0,image_type}', ''), 100)
            WHERE job_id = ANY (unlocked);
            COMMIT;
        END LOOP;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$;
