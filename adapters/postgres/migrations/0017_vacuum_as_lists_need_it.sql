-- An index-only scan reads each row whose page has changed since the last vacuum. By default autovacuum runs when a
-- fifth of a table has changed, which may be more than lists of builds show. Here it runs after a fixed number of
-- changed rows, whatever the size of the table. Before PostgreSQL 13 new rows do not trigger autovacuum
-- (docs/operations.md, Vacuum); for blueprints that is no problem, because each new blueprint is updated once, by its
-- first version.

DO $$
BEGIN
    ALTER TABLE blueprints SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
    IF current_setting('server_version_num')::integer >= 130000 THEN
        ALTER TABLE composes SET (
            autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000);
    END IF;
END
$$;
