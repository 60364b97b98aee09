-- Intents to cancel builds: a row is there from before the composer is asked to cancel the build until its final status
-- is stored. The reconciler completes those that a crash left.

CREATE TABLE compose_cancellations (
    id           uuid PRIMARY KEY,
    job_id       uuid NOT NULL REFERENCES composes (job_id) ON DELETE CASCADE,
    cancelled_by varchar NOT NULL,
    created_at   timestamp NOT NULL
);
CREATE INDEX compose_cancellations_job_id_idx ON compose_cancellations (job_id);
CREATE INDEX compose_cancellations_created_at_idx ON compose_cancellations (created_at);
