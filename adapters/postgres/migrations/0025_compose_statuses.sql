-- What is known of the status of builds without asking the composer, and when the status watcher asks next. A row is
-- added by the first look at a build, or when the watcher finds the build: no trigger on `composes`, because older
-- programs, with rights of their own, insert there. The final status is in `compose_results`.

CREATE TABLE compose_statuses (
    job_id       uuid PRIMARY KEY REFERENCES composes (job_id) ON DELETE CASCADE,
    org_id       varchar NOT NULL,
    created_at   timestamp NOT NULL,
    -- The last status that is not final; NULL before the first look, and once the build is final or forgotten.
    status       jsonb,
    -- When the composer answered last.
    looked_at    timestamp,
    started_at   timestamp,
    finished_at  timestamp,
    -- NULL where the watcher does not ask any more.
    next_look_at timestamp,
    is_final     boolean NOT NULL DEFAULT false,
    -- The composer does not know the build.
    is_forgotten boolean NOT NULL DEFAULT false
);
CREATE INDEX compose_statuses_due_idx ON compose_statuses (org_id, next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX compose_statuses_unfinished_idx ON compose_statuses (created_at) INCLUDE (next_look_at)
    WHERE next_look_at IS NOT NULL;
-- Each look changes an indexed column (see 0017).
ALTER TABLE compose_statuses SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- The pod that watches statuses, and the time until which no other pod does.
CREATE TABLE status_watcher (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    pod      uuid NOT NULL,
    until    timestamp NOT NULL
);
