-- Counts whose cost does not depend on the number of builds (docs/operations.md, Filters and counts of lists).
--
-- `compose_counts` counts by six hours. A list that begins within such a period had to count the entries of up to six hours
-- one by one: 18,000 of a million builds in two weeks. The counts by 20 minutes leave a thousand of them.
CREATE TABLE compose_fine_counts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id     varchar NOT NULL,
    period     timestamp NOT NULL,
    image_type varchar(50) NOT NULL,
    count      bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX compose_fine_counts_org_id_period_idx ON compose_fine_counts (org_id, period, image_type);

-- How many builds an organization has started by 20 minutes, deleted ones included: they count towards the quota.
CREATE TABLE compose_quota_counts (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id varchar NOT NULL,
    period timestamp NOT NULL,
    count  bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX compose_quota_counts_org_id_period_idx ON compose_quota_counts (org_id, period);

ALTER TABLE compose_fine_counts SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE compose_quota_counts SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Waits for running transactions: what they have written is counted by the functions before this migration, what is written
-- later by the functions below. 0039 adds what neither has counted.
LOCK TABLE composes, compose_list_entries IN SHARE ROW EXCLUSIVE MODE;

-- The beginning of the period of 20 minutes that a time is in. An infinite time is its own period.
CREATE FUNCTION compose_fine_counts_period(at timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE AS $$
    SELECT date_trunc('hour', at) + COALESCE(floor(extract(minute FROM at) / 20), 0) * interval '20 minutes'
$$;

-- The next two are like `compose_counts_add`: several rows may count the same period, so that no transaction waits.
CREATE FUNCTION compose_fine_counts_add(tenant varchar, at timestamp, type varchar, number bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    unlocked bigint;
    remains  bigint;
BEGIN
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT id INTO unlocked FROM compose_fine_counts
        WHERE org_id = tenant AND period = compose_fine_counts_period(at) AND image_type = type
        ORDER BY org_id, period, image_type LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    IF unlocked IS NULL THEN
        INSERT INTO compose_fine_counts (org_id, period, image_type, count)
        VALUES (tenant, compose_fine_counts_period(at), type, number);
    ELSE
        UPDATE compose_fine_counts SET count = count + number WHERE id = unlocked RETURNING count INTO remains;
        IF remains = 0 THEN
            DELETE FROM compose_fine_counts WHERE id = unlocked;
        END IF;
    END IF;
END
$$;

CREATE FUNCTION compose_quota_counts_add(tenant varchar, at timestamp, number bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    unlocked bigint;
    remains  bigint;
BEGIN
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT id INTO unlocked FROM compose_quota_counts
        WHERE org_id = tenant AND period = compose_fine_counts_period(at)
        ORDER BY org_id, period LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    IF unlocked IS NULL THEN
        INSERT INTO compose_quota_counts (org_id, period, count) VALUES (tenant, compose_fine_counts_period(at), number);
    ELSE
        UPDATE compose_quota_counts SET count = count + number WHERE id = unlocked RETURNING count INTO remains;
        IF remains = 0 THEN
            DELETE FROM compose_quota_counts WHERE id = unlocked;
        END IF;
    END IF;
END
$$;

-- The trigger functions of 0029, which also keep the finer counts.
CREATE OR REPLACE FUNCTION compose_list_entries_count_new() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_counts_add(org_id, period, image_type, number)
    FROM (SELECT org_id, compose_counts_period(created_at) AS period, image_type, count(*) AS number
          FROM new_rows GROUP BY 1, 2, 3) added;
    PERFORM compose_fine_counts_add(org_id, period, image_type, number)
    FROM (SELECT org_id, compose_fine_counts_period(created_at) AS period, image_type, count(*) AS number
          FROM new_rows GROUP BY 1, 2, 3) added;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION compose_list_entries_count_old() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_counts_add(org_id, period, image_type, -number)
    FROM (SELECT org_id, compose_counts_period(created_at) AS period, image_type, count(*) AS number
          FROM old_rows GROUP BY 1, 2, 3) removed;
    PERFORM compose_fine_counts_add(org_id, period, image_type, -number)
    FROM (SELECT org_id, compose_fine_counts_period(created_at) AS period, image_type, count(*) AS number
          FROM old_rows GROUP BY 1, 2, 3) removed;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION compose_list_entries_count_none() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM compose_counts;
    DELETE FROM compose_fine_counts;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION compose_list_entries_count_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_counts_add(OLD.org_id, OLD.created_at, OLD.image_type, -1);
    PERFORM compose_counts_add(NEW.org_id, NEW.created_at, NEW.image_type, 1);
    PERFORM compose_fine_counts_add(OLD.org_id, OLD.created_at, OLD.image_type, -1);
    PERFORM compose_fine_counts_add(NEW.org_id, NEW.created_at, NEW.image_type, 1);
    RETURN NULL;
END
$$;

CREATE FUNCTION composes_count_new_for_quota() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_quota_counts_add(org_id, period, number)
    FROM (SELECT org_id, compose_fine_counts_period(created_at) AS period, count(*) AS number
          FROM new_rows GROUP BY 1, 2) added;
    RETURN NULL;
END
$$;
CREATE TRIGGER composes_count_new_for_quota AFTER INSERT ON composes
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION composes_count_new_for_quota();

CREATE FUNCTION composes_count_old_for_quota() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_quota_counts_add(org_id, period, -number)
    FROM (SELECT org_id, compose_fine_counts_period(created_at) AS period, count(*) AS number
          FROM old_rows GROUP BY 1, 2) removed;
    RETURN NULL;
END
$$;
CREATE TRIGGER composes_count_old_for_quota AFTER DELETE ON composes
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION composes_count_old_for_quota();

CREATE FUNCTION composes_count_changed_for_quota() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM compose_quota_counts_add(OLD.org_id, OLD.created_at, -1);
    PERFORM compose_quota_counts_add(NEW.org_id, NEW.created_at, 1);
    RETURN NULL;
END
$$;
CREATE TRIGGER composes_count_changed_for_quota AFTER UPDATE ON composes FOR EACH ROW
    WHEN ((OLD.org_id, OLD.created_at) IS DISTINCT FROM (NEW.org_id, NEW.created_at))
    EXECUTE FUNCTION composes_count_changed_for_quota();

CREATE FUNCTION composes_count_none_for_quota() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM compose_quota_counts;
    RETURN NULL;
END
$$;
CREATE TRIGGER composes_count_none_for_quota AFTER TRUNCATE ON composes
    FOR EACH STATEMENT EXECUTE FUNCTION composes_count_none_for_quota();

-- By how much the counts of an organization differ from its builds. One statement sees one state of all tables: a build that
-- another transaction writes meanwhile is seen with its counts, or not at all.
CREATE FUNCTION compose_counts_missing(tenant varchar)
RETURNS TABLE (counts text, period timestamp, image_type varchar, number bigint) LANGUAGE sql AS $$
    SELECT counts, period, image_type, sum(number)::bigint
    FROM (
        SELECT 'compose_counts', compose_counts_period(created_at), entries.image_type, count(*)
        FROM compose_list_entries entries WHERE org_id = tenant GROUP BY 2, 3
        UNION ALL
        SELECT 'compose_counts', known.period, known.image_type, -known.count FROM compose_counts known
        WHERE org_id = tenant
        UNION ALL
        SELECT 'compose_fine_counts', compose_fine_counts_period(created_at), entries.image_type, count(*)
        FROM compose_list_entries entries WHERE org_id = tenant GROUP BY 2, 3
        UNION ALL
        SELECT 'compose_fine_counts', known.period, known.image_type, -known.count FROM compose_fine_counts known
        WHERE org_id = tenant
        UNION ALL
        SELECT 'compose_quota_counts', compose_fine_counts_period(created_at), '', count(*)
        FROM composes WHERE org_id = tenant GROUP BY 2
        UNION ALL
        SELECT 'compose_quota_counts', known.period, '', -known.count FROM compose_quota_counts known
        WHERE org_id = tenant
    ) both_sides (counts, period, image_type, number)
    GROUP BY 1, 2, 3
    HAVING sum(number) <> 0
$$;

-- Compares the list entries and counts of the organization that follows `after` with its builds; returns its org_id, NULL if
-- none follows, and the number of wrong entries and counts. With `repair`, it writes missing entries, removes those of deleted
-- builds, and adds what is missing to the counts: every later change is counted in both, so the added number stays right
-- whatever is written meanwhile. Builds that are locked are left to the next repair. Repairs wait for each other.
CREATE FUNCTION compose_counts_check(after varchar, repair boolean, OUT tenant varchar, OUT differences bigint)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    without_entry uuid[];
    hidden        uuid[];
    wrong_counts  bigint;
BEGIN
    IF repair THEN
        PERFORM pg_advisory_xact_lock(x'1B0005'::integer);
    END IF;
    -- One organization after the other, by the beginning of each index.
    SELECT min(org_id) INTO tenant
    FROM ((SELECT org_id FROM composes WHERE org_id > after ORDER BY org_id LIMIT 1)
          UNION ALL (SELECT org_id FROM compose_list_entries WHERE org_id > after ORDER BY org_id LIMIT 1)
          UNION ALL (SELECT org_id FROM compose_counts WHERE org_id > after ORDER BY org_id LIMIT 1)
          UNION ALL (SELECT org_id FROM compose_fine_counts WHERE org_id > after ORDER BY org_id LIMIT 1)
          UNION ALL (SELECT org_id FROM compose_quota_counts WHERE org_id > after ORDER BY org_id LIMIT 1)) next;
    without_entry := ARRAY(
        SELECT job_id FROM composes
        WHERE org_id = tenant AND NOT deleted
          AND NOT EXISTS (SELECT 1 FROM compose_list_entries entries WHERE entries.job_id = composes.job_id));
    hidden := ARRAY(
        SELECT job_id FROM compose_list_entries entries
        WHERE org_id = tenant
          AND NOT EXISTS (SELECT 1 FROM composes WHERE composes.job_id = entries.job_id AND NOT deleted));
    differences := cardinality(without_entry) + cardinality(hidden);
    IF NOT repair THEN
        SELECT differences + count(*) INTO differences FROM compose_counts_missing(tenant);
        RETURN;
    END IF;
    without_entry := ARRAY(
        SELECT job_id FROM composes WHERE job_id = ANY (without_entry) AND NOT deleted FOR NO KEY UPDATE SKIP LOCKED);
    PERFORM compose_list_entries_write(without_entry);
    DELETE FROM compose_list_entries WHERE job_id = ANY (hidden);
    WITH missing AS MATERIALIZED (
        SELECT * FROM compose_counts_missing(tenant)
    ), added AS (
        INSERT INTO compose_counts (org_id, period, image_type, count)
        SELECT tenant, period, image_type, number FROM missing WHERE counts = 'compose_counts'
    ), added_fine AS (
        INSERT INTO compose_fine_counts (org_id, period, image_type, count)
        SELECT tenant, period, image_type, number FROM missing WHERE counts = 'compose_fine_counts'
    ), added_for_quota AS (
        INSERT INTO compose_quota_counts (org_id, period, count)
        SELECT tenant, period, number FROM missing WHERE counts = 'compose_quota_counts'
    )
    SELECT count(*) INTO wrong_counts FROM missing;
    differences := differences + wrong_counts;
END
$$;

CREATE PROCEDURE compose_counts_repair() LANGUAGE plpgsql AS $$
DECLARE
    tenant varchar := '';
BEGIN
    WHILE tenant IS NOT NULL LOOP
        SELECT checked.tenant INTO tenant FROM compose_counts_check(tenant, true) checked;
        COMMIT;
    END LOOP;
END
$$;

-- The functions must find their tables and each other whatever the search_path of the session is, as in 0018.
ALTER FUNCTION compose_fine_counts_add(varchar, timestamp, varchar, bigint) SET search_path FROM CURRENT;
ALTER FUNCTION compose_quota_counts_add(varchar, timestamp, bigint) SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_new() SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_old() SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_none() SET search_path FROM CURRENT;
ALTER FUNCTION compose_list_entries_count_changed() SET search_path FROM CURRENT;
ALTER FUNCTION composes_count_new_for_quota() SET search_path FROM CURRENT;
ALTER FUNCTION composes_count_old_for_quota() SET search_path FROM CURRENT;
ALTER FUNCTION composes_count_changed_for_quota() SET search_path FROM CURRENT;
ALTER FUNCTION composes_count_none_for_quota() SET search_path FROM CURRENT;
ALTER FUNCTION compose_counts_missing(varchar) SET search_path FROM CURRENT;
ALTER FUNCTION compose_counts_check(varchar, boolean) SET search_path FROM CURRENT;
REVOKE ALL ON FUNCTION compose_fine_counts_add(varchar, timestamp, varchar, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION compose_quota_counts_add(varchar, timestamp, bigint) FROM PUBLIC;
