-- concurrently: blueprints_by_name_idx
CREATE INDEX CONCURRENTLY IF NOT EXISTS blueprints_by_name_idx
    ON blueprints (org_id, lower_name COLLATE "C", id) INCLUDE (lower_description)
    WHERE deleted = false AND latest_version IS NOT NULL;
