-- What a start that was left behind becomes when its build turns up at the composer: the compose without its id, known by
-- the fingerprint of the composer's request. The key is the one its request came with, `position` its place there.

ALTER TABLE compose_starts
    ADD COLUMN fingerprint bytea,
    ADD COLUMN compose jsonb,
    ADD COLUMN blueprint_version_id uuid,
    ADD COLUMN key_id uuid,
    ADD COLUMN position integer;
CREATE INDEX compose_starts_created_at_idx ON compose_starts (created_at, id);
CREATE INDEX compose_starts_key_id_idx ON compose_starts (key_id) WHERE key_id IS NOT NULL;

-- Which pod looks after starts that were left, and until when nobody else does.
CREATE TABLE reconciler (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    pod      uuid NOT NULL,
    until    timestamp NOT NULL
);
