-- Builds that were started again from the request of an earlier build (`rerun_of`), which may be removed meanwhile.

CREATE TABLE compose_reruns (
    job_id   uuid PRIMARY KEY REFERENCES composes (job_id) ON DELETE CASCADE,
    rerun_of uuid NOT NULL
);
