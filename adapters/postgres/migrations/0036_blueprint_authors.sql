-- Who saved a version of a blueprint: the user name in the identity; no row for versions of the Go service, and for unknown
-- names.

CREATE TABLE blueprint_version_authors (
    version_id uuid PRIMARY KEY REFERENCES blueprint_versions (id) ON DELETE CASCADE,
    created_by varchar(255) NOT NULL
);
