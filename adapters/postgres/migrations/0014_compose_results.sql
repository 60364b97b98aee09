-- What the composer said of a build when nothing of it would change any more: it forgets builds, the history does not.

CREATE TABLE compose_results (
    job_id   uuid PRIMARY KEY REFERENCES composes (job_id) ON DELETE CASCADE,
    status   jsonb NOT NULL,
    metadata jsonb
);
