-- outside a transaction
-- After the fills, index-only scans would have to read many rows, and the planner lacks statistics of the new columns.
VACUUM (ANALYZE) composes, blueprints, blueprint_versions;
