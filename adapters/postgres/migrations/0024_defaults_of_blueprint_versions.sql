-- The same as 0022 for versions, in a separate file so that no two tables are locked at once. The index of 0023 keeps
-- versions unique, as at tern 15; the constraint of earlier forms of 0001 would be a second index for the same columns.

ALTER TABLE blueprint_versions
    ALTER COLUMN created_at SET DEFAULT CURRENT_TIMESTAMP,
    DROP CONSTRAINT IF EXISTS blueprint_versions_blueprint_id_version_key;
