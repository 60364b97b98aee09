-- An index-only scan looks up each row whose page has changed since the last vacuum. By itself autovacuum comes when a
-- fifth of a table has changed, which is more than all that lists of builds show: let it come for so many rows instead,
-- however many there are. Before PostgreSQL 13 nothing makes it come for new rows of composes (docs/operations.md); a
-- new blueprint is changed once, by its first version, so that there it comes anyway.

DO $$
BEGIN
    ALTER TABLE blueprints SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
    IF current_setting('server_version_num')::integer >= 130000 THEN
        ALTER TABLE composes SET (
            autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000);
    END IF;
END
$$;
