-- concurrently: blueprints_listed_idx
CREATE INDEX CONCURRENTLY IF NOT EXISTS blueprints_listed_idx
    ON blueprints (org_id, changed_at DESC, id DESC) INCLUDE (lower_name, lower_description)
    WHERE deleted = false AND changed_at IS NOT NULL;
