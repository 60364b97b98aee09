-- concurrently: composes_org_id_created_at_idx
CREATE INDEX CONCURRENTLY IF NOT EXISTS composes_org_id_created_at_idx
    ON composes (org_id, created_at DESC, job_id DESC);
