-- outside a transaction
-- The fills left rows that index-only scans would have to look up, and columns the planner knows nothing about.
VACUUM (ANALYZE) composes, blueprints, blueprint_versions;
