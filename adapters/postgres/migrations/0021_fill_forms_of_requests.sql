-- outside a transaction
-- Fills the sizes and forms of large requests from before 0020 that lists show, in batches as in 0008. Requests with at
-- most 2,000 stored bytes are small: lists do not need their size.
DO $$
DECLARE
    since    CONSTANT timestamp := (now() AT TIME ZONE 'utc') - interval '15 days';
    batch    uuid[];
    unlocked uuid[];
BEGIN
    WHILE EXISTS (
        SELECT 1 FROM composes WHERE request_size IS NULL AND pg_column_size(request) > 2000 AND created_at >= since
    ) LOOP
        FOR batch IN
            SELECT array_agg(job_id)
            FROM (SELECT job_id, row_number() OVER () / 20 AS number FROM composes
                  WHERE request_size IS NULL AND pg_column_size(request) > 2000 AND created_at >= since) numbered
            GROUP BY number
            ORDER BY number
        LOOP
            SELECT array_agg(job_id) INTO unlocked
            FROM (SELECT job_id FROM composes WHERE job_id = ANY (batch) AND request_size IS NULL
                  FOR NO KEY UPDATE SKIP LOCKED) lockable;
            UPDATE composes
            SET (request_size, request_shown, request_without_data, request_summary) = (
                SELECT size, shown, without_data, summary FROM compose_request_forms(request))
            WHERE job_id = ANY (unlocked);
            COMMIT;
        END LOOP;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$;
