-- Migration 0001 as it was before migration 0022: databases that it made lacked what 0022 to 0024 add.

CREATE TABLE schema_version (
    version integer NOT NULL
);
INSERT INTO schema_version (version) VALUES (15);

CREATE TABLE blueprints (
    id             uuid PRIMARY KEY,
    org_id         varchar NOT NULL CHECK (btrim(org_id) <> ''),
    account_number varchar NOT NULL,
    name           varchar(200) NOT NULL,
    description    varchar(250),
    created_at     timestamp NOT NULL,
    deleted        boolean NOT NULL DEFAULT false,
    metadata       jsonb,
    UNIQUE (name, org_id)
);
CREATE INDEX blueprints_org_id_idx ON blueprints (org_id);

CREATE TABLE blueprint_versions (
    id                uuid PRIMARY KEY,
    blueprint_id      uuid NOT NULL REFERENCES blueprints (id) ON DELETE CASCADE,
    version           integer NOT NULL,
    body              jsonb NOT NULL,
    created_at        timestamp NOT NULL,
    service_snapshots jsonb,
    UNIQUE (blueprint_id, version)
);

CREATE TABLE composes (
    job_id               uuid PRIMARY KEY,
    request              jsonb NOT NULL,
    created_at           timestamp NOT NULL,
    account_number       varchar NOT NULL,
    org_id               varchar NOT NULL CHECK (btrim(org_id) <> ''),
    image_name           varchar(100),
    deleted              boolean NOT NULL DEFAULT false,
    email                varchar,
    client_id            varchar,
    blueprint_version_id uuid REFERENCES blueprint_versions (id) ON DELETE SET NULL
);
CREATE INDEX composes_org_id_idx ON composes (org_id);
CREATE INDEX composes_blueprint_version_id_idx ON composes (blueprint_version_id);
