-- Requests with an Idempotency-Key, and the ids of what each created (`made`), so that a repeated request creates
-- nothing more. Until a request is settled it is running, or its outcome is unknown. `body` is an HMAC of the request's
-- body.

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
