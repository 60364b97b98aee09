-- A database as the Go service left it: tern migration 15, with rows of all ages. The names of the constraints
-- blueprints_name_unique and of all indexes are tern's; names of checks are PostgreSQL's own.
CREATE TABLE schema_version (version int4 NOT NULL);
INSERT INTO schema_version VALUES (15);

CREATE TABLE composes (
    job_id uuid NOT NULL,
    request jsonb NOT NULL,
    created_at timestamp NOT NULL,
    account_number varchar NOT NULL,
    org_id varchar NOT NULL,
    CONSTRAINT composes_pkey PRIMARY KEY (job_id)
);
CREATE INDEX composes_org_id_idx ON composes (org_id);
ALTER TABLE composes ADD CHECK (btrim(org_id) <> '');
ALTER TABLE composes ADD COLUMN image_name varchar DEFAULT NULL CHECK (char_length(image_name) <= 100);
ALTER TABLE composes ADD COLUMN deleted boolean NOT NULL DEFAULT false;
ALTER TABLE composes ADD COLUMN email varchar;
ALTER TABLE composes ADD COLUMN client_id varchar;

CREATE TABLE blueprints (
    id uuid PRIMARY KEY,
    org_id varchar NOT NULL,
    account_number varchar NOT NULL,
    name varchar(200) NOT NULL,
    description varchar(250),
    created_at timestamp NOT NULL DEFAULT current_timestamp,
    deleted boolean NOT NULL DEFAULT false,
    metadata jsonb,
    CONSTRAINT blueprints_name_unique UNIQUE (name, org_id)
);
CREATE INDEX blueprints_org_id_idx ON blueprints (org_id);

CREATE TABLE blueprint_versions (
    id uuid PRIMARY KEY,
    blueprint_id uuid NOT NULL REFERENCES blueprints ON DELETE CASCADE,
    version int NOT NULL,
    body jsonb NOT NULL,
    created_at timestamp NOT NULL DEFAULT current_timestamp,
    service_snapshots jsonb NULL
);
CREATE UNIQUE INDEX blueprint_versions_blueprint_id_version_idx ON blueprint_versions (blueprint_id, version);

ALTER TABLE composes ADD COLUMN blueprint_version_id uuid NULL REFERENCES blueprint_versions ON DELETE SET NULL;
CREATE INDEX composes_blueprint_version_id_idx ON composes (blueprint_version_id);

INSERT INTO blueprints (id, org_id, account_number, name, description, created_at, deleted, metadata) VALUES
    ('b0000000-0000-4000-8000-000000000001', 'old', '7', 'kept', NULL, '2024-05-01 10:00:00.123456', false, NULL),
    ('b0000000-0000-4000-8000-000000000002', 'old', '', 'b0000000-0000-4000-8000-000000000002', 'gone',
     '2024-05-02 10:00:00', true, '{"parent_id": null, "exported_at": "", "is_on_prem": false}');
INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at, service_snapshots) VALUES
    ('c0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', 1,
     '{"name": "kept", "description": "", "metadata": null, "distribution": "rhel-9", "image_requests": [],
       "customizations": {"kernel": {"append": " audit=1"}, "users": [{"name": "u", "password": "$6$salt$hash"}]}}',
     '2024-05-01 10:00:00', NULL),
    ('c0000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000001', 2,
     '{"distribution": "rhel-9", "image_requests": [],
       "customizations": {"openscap": {"profile_id": "xccdf", "policy_id": "00000000-0000-0000-0000-000000000000"}}}',
     '2024-05-03 10:00:00', '{"compliance": {"policy_id": "p", "policy_customizations": {"packages": ["aide"]}}}');
INSERT INTO composes (job_id, request, created_at, account_number, org_id, image_name, deleted, email, client_id,
                      blueprint_version_id) VALUES
    ('a0000000-0000-4000-8000-000000000001',
     '{"distribution": "rhel-84", "image_requests": [{"architecture": "x86_64", "image_type": "rhel-edge-commit",
       "upload_request": {"type": "aws.s3", "options": {}}}]}',
     '2021-03-04 05:06:07.891011', '', 'old', NULL, false, NULL, NULL, NULL),
    ('a0000000-0000-4000-8000-000000000002',
     '{"distribution": "rhel-9", "image_requests": [{"architecture": "x86_64", "image_type": "no-longer-known",
       "upload_request": {"type": "nowhere", "options": null}}],
       "customizations": {"users": [{"name": "u", "password": "plain", "ssh_key": "k"}]}}',
     '2023-03-04 05:06:07', '7', 'old', 'mine', true, 'u@example.com', 'ui', NULL),
    ('a0000000-0000-4000-8000-000000000003',
     '{"distribution": "rhel-9", "image_requests": [{"architecture": "x86_64", "image_type": "guest-image",
       "upload_request": {"type": "aws.s3", "options": {}}}],
       "customizations": {"users": [{"name": "u", "hasPassword": true}]}}',
     '2024-05-03 11:00:00', '7', 'old', 'kept', false, 'u@example.com', 'mcp', 'c0000000-0000-4000-8000-000000000002');
