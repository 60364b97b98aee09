-- concurrently: composes_created_at_job_id_idx
CREATE INDEX CONCURRENTLY IF NOT EXISTS composes_created_at_job_id_idx
    ON composes (created_at, job_id);
