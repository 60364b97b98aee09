-- concurrently: composes_of_type_listed_idx
CREATE INDEX CONCURRENTLY IF NOT EXISTS composes_of_type_listed_idx
    ON composes (org_id, image_type, created_at DESC, job_id DESC) WHERE deleted = false;
