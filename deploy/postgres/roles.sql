-- Who may do what in the database, in one transaction that may be repeated: before the first migration, again after it,
-- and after each that adds tables: only then has each table what it is to have. As a superuser, and connected to it:
--
--     psql -d image-builder -f roles.sql
--
-- image_builder_owner        owns the tables; for `image-builder migrate`.
-- image_builder_app          for `image-builder serve`: what it reads and writes, no more.
-- image_builder_maintenance  for `image-builder maintenance`. Only whoever owns a table can VACUUM it before
--                            PostgreSQL 17; there the database says so in a warning, the rest is done, and autovacuum
--                            does that part. From 17 on this role may.
--
-- They have no passwords yet: `ALTER ROLE … PASSWORD …` (psql's \password keeps it out of logs). A database that another
-- role has owned so far is handed over first: `REASSIGN OWNED BY … TO image_builder_owner`, after this file has made it;
-- then the file once more. Whoever else reads the database (exports) wants a GRANT of CONNECT, USAGE and SELECT.

BEGIN;

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['image_builder_owner', 'image_builder_app', 'image_builder_maintenance'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted);
        END IF;
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO image_builder_owner, image_builder_app, image_builder_maintenance',
                   current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO image_builder_owner;
GRANT USAGE ON SCHEMA public TO image_builder_app, image_builder_maintenance;

-- While pods are replaced, the new ones use the tables of their migrations before anybody repeats this file: until then
-- the service may read and write all of a new table. The maintenance waits.
ALTER DEFAULT PRIVILEGES FOR ROLE image_builder_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO image_builder_app;

DO $$
DECLARE
    known text;
    app   text;
    upkeep text;
BEGIN
    FOR known IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner = 'image_builder_owner' LOOP
        app := CASE known
            WHEN 'composes' THEN 'SELECT, INSERT, UPDATE (deleted)'
            WHEN 'compose_results' THEN 'SELECT, INSERT, UPDATE (metadata)'
            -- The last two are written by a trigger, which acts for whoever adds a version.
            WHEN 'blueprints' THEN 'SELECT, INSERT, UPDATE (name, description, deleted, latest_version, changed_at)'
            WHEN 'blueprint_versions' THEN 'SELECT, INSERT'
            WHEN 'blueprint_version_authors' THEN 'SELECT, INSERT'
            WHEN 'compose_authors' THEN 'SELECT, INSERT'
            WHEN 'compose_sboms' THEN 'SELECT, INSERT'
            -- Triggers write them, in the owner's name.
            WHEN 'compose_list_entries' THEN 'SELECT'
            WHEN 'compose_counts' THEN 'SELECT'
            WHEN 'compose_statuses' THEN
                'SELECT, INSERT, '
                'UPDATE (status, looked_at, started_at, finished_at, next_look_at, is_final, is_forgotten)'
            WHEN 'compose_reruns' THEN 'SELECT, INSERT'
            WHEN 'reconciler' THEN 'SELECT, INSERT, UPDATE (pod, until)'
            WHEN 'status_watcher' THEN 'SELECT, INSERT, UPDATE (pod, until)'
            WHEN 'schema_version' THEN 'SELECT'
            WHEN 'image_builder_migrations' THEN 'SELECT'
            ELSE 'SELECT, INSERT, UPDATE, DELETE'
        END;
        -- Results go with their composes, in the owner's name. Rows are locked before they go, which only those may do
        -- who may write some column.
        upkeep := CASE known
            WHEN 'composes' THEN 'SELECT, UPDATE (request), DELETE'
            WHEN 'compose_starts' THEN 'SELECT, UPDATE (id), DELETE'
            WHEN 'idempotency_keys' THEN 'SELECT, UPDATE (id), DELETE'
        END;
        EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, image_builder_app, image_builder_maintenance', known);
        EXECUTE format('GRANT %s ON public.%I TO image_builder_app', app, known);
        IF upkeep IS NOT NULL THEN
            EXECUTE format('GRANT %s ON public.%I TO image_builder_maintenance', upkeep, known);
        END IF;
        IF known = 'composes' AND current_setting('server_version_num')::integer >= 170000 THEN
            EXECUTE format('GRANT MAINTAIN ON public.%I TO image_builder_maintenance', known);
        END IF;
    END LOOP;
END
$$;

COMMIT;
