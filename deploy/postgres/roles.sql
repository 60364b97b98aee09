-- Creates the database roles and grants their privileges, in one transaction. The file can be run repeatedly. Run it before
-- the first migration, again after it, and after each version that adds tables, because it grants privileges on existing
-- tables. Run it as a superuser in the service's database:
--
--     psql -d image-builder -f roles.sql
--
-- image_builder_owner        owns the tables; for `image-builder migrate`.
-- image_builder_app          for `image-builder serve`, with the privileges that it needs.
-- image_builder_maintenance  for `image-builder maintenance`. Before PostgreSQL 17 only the owner of a table can VACUUM it:
--                            there the database logs a warning, the other steps of the maintenance work, and autovacuum
--                            vacuums the table. From PostgreSQL 17 on this role has the privilege.
--
-- The roles have no passwords yet: set them by `ALTER ROLE … PASSWORD …` (psql's \password keeps them out of logs). If
-- another role owns an existing database, run this file, then `REASSIGN OWNED BY … TO image_builder_owner`, and then this
-- file again. Other readers of the database, such as exports, need a GRANT of CONNECT, USAGE and SELECT.

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

-- During a roll-out, new pods use the tables of their migrations before this file is run again: until then the service has
-- all privileges on rows of a new table, and the maintenance has none.
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
            -- A trigger writes the last two columns with the privileges of the role that adds a version.
            WHEN 'blueprints' THEN 'SELECT, INSERT, UPDATE (name, description, deleted, latest_version, changed_at)'
            WHEN 'blueprint_versions' THEN 'SELECT, INSERT'
            WHEN 'blueprint_version_authors' THEN 'SELECT, INSERT'
            WHEN 'compose_authors' THEN 'SELECT, INSERT'
            WHEN 'compose_labels' THEN 'SELECT, INSERT, UPDATE (labels)'
            WHEN 'blueprint_labels' THEN 'SELECT, INSERT, UPDATE (labels)'
            WHEN 'compose_sboms' THEN 'SELECT, INSERT'
            -- Triggers write them, in the owner's name.
            WHEN 'compose_list_entries' THEN 'SELECT'
            WHEN 'compose_counts' THEN 'SELECT'
            WHEN 'compose_fine_counts' THEN 'SELECT'
            WHEN 'compose_quota_counts' THEN 'SELECT'
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
        -- Rows of compose_results are deleted together with their composes, with the privileges of the owner. The
        -- maintenance locks rows before it deletes them, which requires UPDATE on at least one column.
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
