-- Requests under an Idempotency-Key: what each made, so that the same one, sent again, makes nothing more. Until it is
-- settled it runs, or nobody knows what came of it. `body` is an HMAC.

CREATE TABLE idempotency_keys (
    id         uuid PRIMARY KEY,
    org_id     varchar NOT NULL,
    path       varchar NOT NULL,
    key        varchar NOT NULL,
    body       bytea NOT NULL,
    created_at timestamp NOT NULL,
    settled    boolean NOT NULL DEFAULT false,
    made       uuid[],
    failure    jsonb,
    UNIQUE (org_id, path, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at, id);
CREATE INDEX idempotency_keys_unsettled_idx ON idempotency_keys (created_at) WHERE NOT settled;
