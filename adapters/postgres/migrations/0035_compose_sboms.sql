-- The bills of materials of images, one row per document, which is JSON as text: the composer forgets builds after some
-- time, the history keeps them.

CREATE TABLE compose_sboms (
    job_id     uuid NOT NULL REFERENCES composes (job_id) ON DELETE CASCADE,
    position   integer NOT NULL,
    pipeline   text NOT NULL,
    purpose    text NOT NULL,
    media_type text NOT NULL,
    document   text NOT NULL,
    PRIMARY KEY (job_id, position)
);
