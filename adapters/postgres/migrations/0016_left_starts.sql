-- Columns for the adoption of an abandoned start: `compose` is the compose to be created, without its id; `fingerprint`
-- is that of the composer's request, by which the build is found. `key_id` is the Idempotency-Key of the request, and
-- `position` the position of the build in the request.

ALTER TABLE compose_starts
    ADD COLUMN fingerprint bytea,
    ADD COLUMN compose jsonb,
    ADD COLUMN blueprint_version_id uuid,
    ADD COLUMN key_id uuid,
    ADD COLUMN position integer;
CREATE INDEX compose_starts_created_at_idx ON compose_starts (created_at, id);
CREATE INDEX compose_starts_key_id_idx ON compose_starts (key_id) WHERE key_id IS NOT NULL;

-- The pod that reconciles abandoned starts, and the time until which no other pod does.
CREATE TABLE reconciler (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    pod      uuid NOT NULL,
    until    timestamp NOT NULL
);
