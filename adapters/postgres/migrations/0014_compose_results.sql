-- The final status and the metadata of builds: the composer forgets builds after some time, the history keeps them.

CREATE TABLE compose_results (
    job_id   uuid PRIMARY KEY REFERENCES composes (job_id) ON DELETE CASCADE,
    status   jsonb NOT NULL,
    metadata jsonb
);
