-- concurrently: blueprint_versions_blueprint_id_version_idx
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS blueprint_versions_blueprint_id_version_idx
    ON blueprint_versions (blueprint_id, version);
