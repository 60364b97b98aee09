-- The version that a blueprint's file gives itself (`version` in TOML); the older program leaves it empty.

ALTER TABLE blueprint_versions ADD COLUMN file_version text;
