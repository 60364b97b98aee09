-- Starts of builds. A start is recorded before its build is submitted to the composer, and removed when the build
-- becomes a compose. A start that a crash or an unanswered submission leaves here counts towards the quota.

CREATE TABLE compose_starts (
    id         uuid PRIMARY KEY,
    org_id     varchar NOT NULL,
    created_at timestamp NOT NULL
);
CREATE INDEX compose_starts_org_id_created_at_idx ON compose_starts (org_id, created_at);
