-- Builds on their way to the composer: recorded before it hears of them, gone once they are composes. What a crash
-- or a silent composer leaves here still counts towards the quota.

CREATE TABLE compose_starts (
    id         uuid PRIMARY KEY,
    org_id     varchar NOT NULL,
    created_at timestamp NOT NULL
);
CREATE INDEX compose_starts_org_id_created_at_idx ON compose_starts (org_id, created_at);
