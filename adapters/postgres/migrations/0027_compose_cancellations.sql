-- Intents to cancel builds. An intent is recorded before the composer is asked to delete the build, and removed when the
-- final status of the build is stored. The reconciler completes intents that a crash interrupted.

CREATE TABLE compose_cancellations (
    id           uuid PRIMARY KEY,
    job_id       uuid NOT NULL REFERENCES composes (job_id) ON DELETE CASCADE,
    -- The name of the user, empty for unknown.
    cancelled_by varchar NOT NULL,
    created_at   timestamp NOT NULL,
    -- When the intent was recorded, or when the reconciler last failed to complete it.
    attempted_at timestamp NOT NULL
);
CREATE INDEX compose_cancellations_job_id_idx ON compose_cancellations (job_id, created_at);
CREATE INDEX compose_cancellations_attempted_at_idx ON compose_cancellations (attempted_at);
