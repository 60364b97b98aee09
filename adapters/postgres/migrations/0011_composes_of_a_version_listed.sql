-- concurrently: composes_of_version_listed_idx
CREATE INDEX CONCURRENTLY IF NOT EXISTS composes_of_version_listed_idx
    ON composes (blueprint_version_id, created_at DESC, job_id DESC) INCLUDE (org_id, image_type)
    WHERE deleted = false AND blueprint_version_id IS NOT NULL;
