-- concurrently: composes_listed_idx
CREATE INDEX CONCURRENTLY IF NOT EXISTS composes_listed_idx
    ON composes (org_id, created_at DESC, job_id DESC) INCLUDE (image_type) WHERE deleted = false;
